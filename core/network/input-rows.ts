/**
 * @file Rows of data as a network needs them: checked against its input, and in its layout.
 */
import { DataError, GraphError, InternalError, ShapeError } from '../errors/errors.js'
import { batchAxis, concreteShape, type GraphInput, isBatch } from '../graph/graph.js'
import type { Examples } from '../tensor/examples.js'
import { allFinite, checkFinite } from '../tensor/finite.js'
import { cast, formatShape, type Precision, sizeOf, type Tensor } from '../tensor/tensor.js'
import { describeInput, type InputNames, matchInputs } from './match-inputs.js'
import { inLayout } from './row-layout.js'

/** The shape of one example of an input: its axes without the batch axis. */
function exampleShape(input: GraphInput): number[] {
  return input.shape.filter((dim): dim is number => !isBatch(dim))
}

/** What a network is run with: a tensor of the shape of each input, for N examples, by the input's name. */
export type Inputs = ReadonlyMap<string, Tensor>

/**
 * Examples as the network's inputs: matched by name or place, checked to be finite, in the right element type and
 * layout.
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
      : timesFirst(x, input)
      ? ` x has the times first: give the examples first, ${formatShape(['N', ...wanted])}.`
      : otherLength(x, wanted, input)
    throw new ShapeError(
      `The network's input ${describeInput(input)} (${width} numbers an example); ${called} is ${
        formatShape(x.shape)
      } (${x.data.length / n} an example).${single}`,
      { expected: ['N', ...wanted], actual: x.shape },
    )
  }
  const rows = inLayout(x, wanted, note)
  checkFinite(rows, called, width, input.columns)
  checkElements(rows, input, called, width)
  const floating = input.dtype === 'float32' || input.dtype === 'float64'
  const values = cast(rows, floating ? precision : input.dtype)
  if (values !== rows) checkFits(rows, values, called, width)
  return moveBatchAxis(values, input)
}

/** @throws DataError NOT_FINITE for numbers that single precision cannot hold */
function checkFits({ data }: Tensor, cut: Tensor, called: string, width: number): void {
  if (allFinite(cut.data)) return
  const at = cut.data.findIndex((value: number) => !Number.isFinite(value))
  throw new DataError('NOT_FINITE',
    `${called} holds ${data[at]} in row ${Math.floor(at / width)}, column ${at % width}, which the network's single ` +
      'precision cannot hold. Scale the data, or set precision to float64.', { array: called,
    row: Math.floor(at / width), column: at % width, value: String(data[at]) })
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

/** What to do about sequences of another length; empty for rows that differ in more. */
function otherLength(x: Tensor, wanted: readonly number[], { dtype }: GraphInput): string {
  const shape = x.shape.slice(1)
  const differing = wanted.flatMap((extent, axis) => (extent === shape[axis] ? [] : [axis]))
  const [axis] = differing
  if (shape.length !== wanted.length || differing.length !== 1) return ''
  if (wanted.length === 1 && dtype !== 'int64' && dtype !== 'bool') return ''
  return ` All batches of a fit and of its predictions must have sequences of one length: pad or cut them to ${
    wanted[axis]
  }, and mask the padding (tokenizers: padding='max_length').`
}

/** Whether data lie as the input itself does, with its examples on a later axis. */
function timesFirst({ shape }: Tensor, input: GraphInput): boolean {
  const axis = input.shape.findIndex(isBatch)
  return axis > 0 && shape.length === input.shape.length &&
    input.shape.every((dim, i) => isBatch(dim) || dim === shape[i])
}

/**
 * Refuses examples that lie on a later axis than the first, where labels of as many rows as that axis show it.
 * @throws ShapeError
 */
export function checkExamplesFirst(x: Tensor, y: Tensor, input: GraphInput): void {
  const axis = input.shape.findIndex(isBatch)
  const [rows] = y.shape
  if (axis < 0 || x.shape.length !== input.shape.length || rows === x.shape[0]) return
  const found = `x is ${formatShape(x.shape)} and y has ${rows} rows`
  if (axis > 0 && rows === x.shape[axis]) {
    throw new ShapeError(
      `${found}: x has the times first, as the network has them. Give the ` +
        'examples first (N x times x ...); they are moved to where the network wants them.',
      { expected: rows, actual: x.shape },
    )
  }
  if (axis === 0 && x.shape[0] === 1 && rows === x.shape[1]) {
    throw new ShapeError(
      `${found}, so that the second axis of x seems to carry the examples. The network has them on the first axis ` +
        `(${describeInput(input)}): export it with its second axis open (torch: dynamic_axes or dynamic_shapes), and ` +
        `give x with the examples first, ${
          formatShape([rows, ...x.shape.slice(2)])
        }. Labels for the positions of one ` +
        `example are 1 x ${rows}.`,
      { expected: rows, actual: x.shape },
    )
  }
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
