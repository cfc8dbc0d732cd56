/**
 * @file Training and test data as the networks need them: rows checked against the input, labels against the likelihood.
 */
import { DataError, ShapeError } from '../errors/errors.js'
import { concreteShape, type GraphInput, isBatch } from '../graph/graph.js'
import type { Likelihood } from '../options/words.js'
import { cast, formatShape, type Precision, reshape, sizeOf, type Tensor, type TensorData } from '../tensor/tensor.js'

/** A batch of examples: inputs with one example a row, and its labels. */
export interface Batch { readonly x: Tensor, readonly y: Tensor }

/** Labels in the form that the likelihoods take: class numbers (n), or n x C values. */
export interface Labels { readonly values: Float64Array, readonly n: number }

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
export function networkInput(x: Tensor, input: GraphInput, precision: Precision, note: (sentence: string) => void): Tensor {
  const wanted = exampleShape(input)
  const width = sizeOf(wanted)
  const n = x.shape[0] ?? 0
  if (x.shape.length === 0) throw new ShapeError(`The data must have one example a row; got a scalar. The network's input '${input.name}' is ${describeInput(input)}.`, { expected: wanted, actual: x.shape })
  if (n === 0 || x.data.length === 0) throw new DataError('EMPTY_DATA', `There are no examples: x is ${formatShape(x.shape)}.`, { actual: x.shape })
  if (x.data.length / n !== width) {
    const single = x.shape.length === 1 && x.data.length === width ? ' To predict one example, give it as a row: shape 1 x ' + width + '.' : ''
    throw new ShapeError(
      `The network's input '${input.name}' is ${describeInput(input)} (${width} numbers an example); x is ${formatShape(x.shape)} (${x.data.length / n} an example).${single}`,
      { expected: ['N', ...wanted], actual: x.shape })
  }
  if (!sameShape(x.shape.slice(1), wanted)) note(`Rows of ${formatShape(x.shape.slice(1))} were reshaped to the network's input ${formatShape(wanted)}.`)
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
    for (let e = 0; e < n; e++) data.set(x.data.subarray((e * outer + o) * inner, (e * outer + o + 1) * inner), (o * n + e) * inner)
  }
  return { dtype: x.dtype, shape: target, data }
}

/** @throws DataError NOT_FINITE naming the first place. */
export function checkFinite({ data }: Tensor, name: string, width: number): void {
  if (allFinite(data)) return
  const i = data.findIndex((value: number) => !Number.isFinite(value))
  throw new DataError('NOT_FINITE', `${name} must hold finite numbers; found ${data[i]} in row ${Math.floor(i / width)}, column ${i % width}. Remove such rows or fill them in.`,
    { array: name, row: Math.floor(i / width), column: i % width, value: String(data[i]) })
}

/** A finite number times zero is zero, any other is NaN. Four sums, as one would wait for itself. */
function allFinite(data: TensorData): boolean {
  const whole = data.length - data.length % 4
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let i = 0; i < whole; i += 4) {
    a += data[i] * 0
    b += data[i + 1] * 0
    c += data[i + 2] * 0
    d += data[i + 3] * 0
  }
  for (let i = whole; i < data.length; i++) a += data[i] * 0
  return a + b + c + d === 0
}

/**
 * Checks labels against the likelihood and brings them to one form.
 * @param y classification: n integers 0..C-1; binary, multilabel: n x C of 0 and 1; regression: n x C (n alone for C = 1)
 * @throws DataError BAD_LABELS, NOT_FINITE; ShapeError when the numbers of rows differ
 */
export function checkLabels(y: Tensor, likelihood: Likelihood, n: number, outputs: number): Labels {
  const rows = y.shape[0] ?? 0
  if (rows !== n) throw new ShapeError(`x has ${n} rows and y has ${rows}; each example needs its label.`, { expected: n, actual: rows })
  const width = rows === 0 ? 0 : y.data.length / rows
  checkFinite(y, 'y', Math.max(1, width))
  if (likelihood === 'classification') return { values: classNumbers(y, width, outputs), n }
  if (width !== outputs) {
    throw new ShapeError(`The network has ${outputs} output${outputs === 1 ? '' : 's'}, so y must be ${n} x ${outputs}; it is ${formatShape(y.shape)}.`, { expected: [n, outputs], actual: y.shape })
  }
  const values = Float64Array.from(y.data)
  if (likelihood === 'binary' || likelihood === 'multilabel') checkZeroOne(values, width, likelihood)
  return { values, n }
}

function classNumbers(y: Tensor, width: number, outputs: number): Float64Array {
  if (y.dtype === 'bool' && outputs === 2 && width === 1) {
    throw new DataError('BAD_LABELS', 'Class labels must be integers 0 to 1; y is boolean. Convert it (false to 0, true to 1).', { outputs })
  }
  if (width === outputs && width > 1) {
    throw new DataError('BAD_LABELS', `y is ${formatShape(y.shape)}, which looks one-hot; give class numbers instead: one integer 0 to ${outputs - 1} a row (the argmax of each row).`, { outputs })
  }
  if (width !== 1) throw new DataError('BAD_LABELS', `Class labels must be one integer a row; y is ${formatShape(y.shape)}.`, { actual: y.shape })
  const values = Float64Array.from(y.data)
  for (let i = 0; i < values.length; i++) {
    if (Number.isInteger(values[i]) && values[i] >= 0 && values[i] < outputs) continue
    const why = !Number.isInteger(values[i]) ? 'is not an integer (for real-valued targets use the likelihood regression)'
      : values[i] === outputs ? `is out of range (are the labels counted from 1? subtract 1)` : 'is out of range'
    throw new DataError('BAD_LABELS', `Class labels must be integers 0 to ${outputs - 1}, because the network has ${outputs} outputs; y[${i}] = ${values[i]} ${why}.`,
      { row: i, value: values[i], outputs })
  }
  return values
}

function checkZeroOne(values: Float64Array, width: number, likelihood: string): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0 || values[i] === 1) continue
    const hint = values.includes(-1) ? ' Labels -1 and 1 become 0 and 1 by (y + 1) / 2.' : ''
    throw new DataError('BAD_LABELS', `Labels of the likelihood ${likelihood} must be 0 or 1; y[${Math.floor(i / width)}] = ${values[i]}.${hint}`,
      { row: Math.floor(i / width), value: values[i] })
  }
}
