/**
 * @file Rows of data as a network needs them: checked against its input, and reshaped where the sizes agree.
 */
import { DataError, GraphError, InternalError, ShapeError } from '../errors/errors.js'
import { batchAxis, concreteShape, type GraphInput, isBatch } from '../graph/graph.js'
import type { Examples } from '../tensor/examples.js'
import { checkFinite } from '../tensor/finite.js'
import { cast, formatShape, type Precision, reshape, sizeOf, type Tensor } from '../tensor/tensor.js'
import { describeInput, type InputNames, matchInputs } from './match-inputs.js'

/** The shape of one example of an input: its axes without the batch axis. */
export function exampleShape(input: GraphInput): number[] {
  return input.shape.filter((dim): dim is number => !isBatch(dim))
}

/** What a network is run with: a tensor of the shape of each input, for N examples, by the input's name. */
export type Inputs = ReadonlyMap<string, Tensor>

/**
 * Examples as the network's inputs: matched by name or place, checked to be finite, in the right element type and
 * reshaped where the sizes agree.
 * @param note is told when rows were reshaped
 * @throws ShapeError, DataError EMPTY_DATA, NOT_FINITE, BAD_ARRAY
 */
export function networkInputs(x: Examples, network: InputNames, precision: Precision,
  note: (sentence: string) => void): Inputs {
  const matched = matchInputs(x, network)
  const named = network.inputs.length > 1
  return new Map(network.inputs.map(input => {
    const values = matched.get(input.name)?.values
    if (values === undefined) throw new InternalError(`The input '${input.name}' has no array.`)
    return [input.name, inputRows(values, input, precision, named ? `the input '${input.name}'` : 'x', note)] as const
  }))
}

function inputRows(x: Tensor, input: GraphInput, precision: Precision, called: string,
  note: (sentence: string) => void): Tensor {
  const wanted = exampleShape(input)
  if (batchAxis(input) < 0) {
    throw new GraphError('BATCH_AXIS', `The network's input ${describeInput(input)} for all examples together; every ` +
      'input needs an axis that carries the examples. Make it a constant when the network is exported.', {
      name: input.name,
    })
  }
  const width = sizeOf(wanted)
  const n = x.shape[0] ?? 0
  if (x.shape.length === 0) {
    throw new ShapeError(
      `The data must have one example a row; got a scalar. The network's input ${describeInput(input)}.`,
      { expected: wanted, actual: x.shape },
    )
  }
  if (n === 0 || x.data.length === 0) {
    throw new DataError('EMPTY_DATA', `There are no examples: ${called} is ${formatShape(x.shape)}.`, {
      actual: x.shape,
    })
  }
  if (x.data.length / n !== width) {
    const single = x.shape.length === 1 && x.data.length === width
      ? ' To predict one example, give it as a row: shape 1 x ' + width + '.'
      : ''
    throw new ShapeError(
      `The network's input ${describeInput(input)} (${width} numbers an example); ${called} is ${
        formatShape(x.shape)
      } (${x.data.length / n} an example).${single}`,
      { expected: ['N', ...wanted], actual: x.shape },
    )
  }
  if (!sameShape(x.shape.slice(1), wanted)) {
    note(`Rows of ${formatShape(x.shape.slice(1))} were reshaped to the network's input ${formatShape(wanted)}.`)
  }
  checkFinite(x, called, width)
  checkElements(x, input, called, width)
  const floating = input.dtype === 'float32' || input.dtype === 'float64'
  const typed = cast(x, floating ? precision : input.dtype)
  return moveBatchAxis(reshape(typed, [n, ...wanted]), input)
}

/**
 * A fraction would be cut off, and an integer outside of the list that it picks from would pick another element.
 * @throws DataError BAD_ARRAY naming the row
 */
function checkElements({ data }: Tensor, { dtype, below = Infinity }: GraphInput, called: string, width: number): void {
  if (dtype !== 'int64' && dtype !== 'bool') return
  const [least, most] = dtype === 'bool' ? [0, 1] : below === Infinity ? [-Infinity, Infinity] : [0, below - 1]
  const at = data.findIndex((value: number) => !Number.isInteger(value) || value < least || value > most)
  if (at < 0) return
  const kind = dtype === 'bool' ? 'booleans, 0 and 1' : most === Infinity ? 'integers' : `integers from 0 to ${most}`
  throw new DataError('BAD_ARRAY',
    `${called} must hold ${kind}, as the network takes them (token ids, categories, masks); found ${data[at]} in row ${
      Math.floor(at / width)
    }, column ${at % width}.`, { array: called, row: Math.floor(at / width), column: at % width, value: data[at] })
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
