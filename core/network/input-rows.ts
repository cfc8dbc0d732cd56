/**
 * @file Rows of data as a network needs them: checked against its input, and reshaped where the sizes agree.
 */
import { DataError, ShapeError } from '../errors/errors.js'
import { concreteShape, type GraphInput, isBatch } from '../graph/graph.js'
import { checkFinite } from '../tensor/finite.js'
import { cast, formatShape, type Precision, reshape, sizeOf, type Tensor } from '../tensor/tensor.js'

/** The shape of one example of an input: its axes without the batch axis. */
export function exampleShape(input: GraphInput): number[] {
  return input.shape.filter((dim): dim is number => !isBatch(dim))
}

function describeInput(input: GraphInput): string {
  return formatShape(input.shape.map(dim => (isBatch(dim) ? 'N' : dim)))
}

/**
 * Rows of data as the network's input: checked to be finite, in the right precision and reshaped where the sizes agree.
 * @param x one example a row, N x ...
 * @param note is told when rows were reshaped
 * @returns a tensor of the input's shape for N examples
 * @throws ShapeError, DataError EMPTY_DATA, NOT_FINITE
 */
export function networkInput(x: Tensor, input: GraphInput, precision: Precision,
  note: (sentence: string) => void): Tensor {
  const wanted = exampleShape(input)
  const width = sizeOf(wanted)
  const n = x.shape[0] ?? 0
  if (x.shape.length === 0) {
    throw new ShapeError(
      `The data must have one example a row; got a scalar. The network's input '${input.name}' is ${
        describeInput(input)
      }.`,
      { expected: wanted, actual: x.shape },
    )
  }
  if (n === 0 || x.data.length === 0) {
    throw new DataError('EMPTY_DATA', `There are no examples: x is ${formatShape(x.shape)}.`, { actual: x.shape })
  }
  if (x.data.length / n !== width) {
    const single = x.shape.length === 1 && x.data.length === width
      ? ' To predict one example, give it as a row: shape 1 x ' + width + '.'
      : ''
    throw new ShapeError(
      `The network's input '${input.name}' is ${describeInput(input)} (${width} numbers an example); x is ${
        formatShape(x.shape)
      } (${x.data.length / n} an example).${single}`,
      { expected: ['N', ...wanted], actual: x.shape },
    )
  }
  if (!sameShape(x.shape.slice(1), wanted)) {
    note(`Rows of ${formatShape(x.shape.slice(1))} were reshaped to the network's input ${formatShape(wanted)}.`)
  }
  checkFinite(x, 'x', width)
  const floating = input.dtype === 'float32' || input.dtype === 'float64'
  const typed = cast(x, floating ? precision : input.dtype)
  return moveBatchAxis(reshape(typed, [n, ...wanted]), input)
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i])
}

/** Examples arrive first; networks of recurrent layers may want them on a later axis. */
function moveBatchAxis(x: Tensor, input: GraphInput): Tensor {
  const axis = input.shape.findIndex(isBatch)
  if (axis <= 0) return x
  const n = x.shape[0]
  const target = concreteShape(input.shape, n)
  const outer = sizeOf(target.slice(0, axis))
  const inner = sizeOf(target.slice(axis + 1))
  const data = x.data.slice()
  for (let o = 0; o < outer; o++) {
    for (let e = 0; e < n; e++) {
      data.set(x.data.subarray((e * outer + o) * inner, (e * outer + o + 1) * inner), (o * n + e) * inner)
    }
  }
  return { dtype: x.dtype, shape: target, data }
}
