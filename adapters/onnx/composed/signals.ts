/** @file Fourier transforms as products with matrices of cosines and sines, windows, and the scale of mel filters. */
import { dtypeOf } from '../../../core/ops/element-types.js'
import { numberAttribute } from '../../../core/ops/node-attributes.js'
import { type DType, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'
import { type Composition, type Compositions, isGiven, upTo } from './composition.js'

/** Matrices up to this many elements; longer transforms need the fast algorithm, which is not here. */
const LARGEST_MATRIX = 1 << 24

/** Real and imaginary part of a value; undefined for zero. */
interface Complex {
  readonly re: string
  readonly im: string | undefined
}

/** f(2 pi n k / length) for n of `rows` and k of `columns`, times a weight of each row. */
function trigonometric(f: (angle: number) => number, [rows, columns]: readonly [number, number], length: number,
  dtype: DType, weight: (row: number) => number = () => 1): Tensor {
  if (rows * columns > LARGEST_MATRIX) throw new NotExpressible(`of ${rows} elements`)
  // Products of indices are reduced first: angles stay exact however long the signal is.
  const data = upTo(rows).flatMap(n => upTo(columns).map(k => weight(n) * f(2 * Math.PI * (n * k % length) / length)))
  return tensor(dtype, [rows, columns], data)
}

interface Transform {
  readonly length: number
  readonly inverse: boolean
  readonly onesided: boolean
}

/** The transform along the last axis of real and imaginary parts, the latter undefined where it is left out. */
function transform({ re, im }: Complex, { length, inverse, onesided }: Transform, context: UpgradeContext): Complex {
  const { dtype } = context.type(re)
  const half = Math.floor(length / 2) + 1
  const rows = inverse && onesided ? half : length
  const columns = onesided && !inverse ? half : length
  // Half a spectrum stands for the other half too, but for its ends.
  const weight = (row: number): number =>
    (inverse ? 1 / length : 1) * (inverse && onesided && row > 0 && 2 * row !== length ? 2 : 1)
  const matrix = (f: (angle: number) => number): string =>
    context.constant(trigonometric(f, [rows, columns], length, dtype, weight), 'fourier')
  const [cos, sin] = [matrix(Math.cos), matrix(inverse ? angle => -Math.sin(angle) : Math.sin)]
  const times = (a: string, b: string): string => context.node('MatMul', [a, b])
  const real = im === undefined ? times(re, cos) : context.add(times(re, cos), times(im, sin))
  if (inverse && onesided) return { re: real, im: undefined }
  const minus = context.node('Neg', [times(re, sin)])
  return { re: real, im: im === undefined ? minus : context.add(times(im, cos), minus) }
}

/** The parts in the last axis of a value. */
function partsOf(x: string, context: UpgradeContext): Complex {
  const part = (i: number): string => context.node('Squeeze', [context.slice(x, -1, i, i + 1), context.integers([-1])])
  return context.length(x, -1, 'parts') === 1
    ? { re: context.node('Squeeze', [x, context.integers([-1])]), im: undefined }
    : { re: part(0), im: part(1) }
}

function joinParts({ re, im }: Complex, context: UpgradeContext): string {
  const last = (value: string): string => context.unsqueeze(value, -1)
  return im === undefined ? last(re) : context.concat([last(re), last(im)], -1)
}

/** The first `length` elements of the last axis, with zeros behind where there are fewer. */
function resized(value: string, length: number, context: UpgradeContext): string {
  const own = context.length(value, -1, 'signal')
  if (own === length) return value
  return own > length
    ? context.slice(value, -1, 0, length)
    : context.node('Pad', [value, context.integers([0, length - own]), '', context.integers([-1])])
}

const dft: Composition = (node, context, opset) => {
  const [x, lengthInput, axisInput] = node.inputs
  const rank = context.shape(x).length
  const given = isGiven(axisInput)
    ? context.known(axisInput, 'axis').data[0]
    : numberAttribute(node, 'axis', opset < 20 ? 1 : -2)
  const axis = (given + rank) % rank
  const [inverse, onesided] = [numberAttribute(node, 'inverse', 0) !== 0, numberAttribute(node, 'onesided', 0) !== 0]
  const own = context.length(x, axis, 'axis of the transform')
  const length = isGiven(lengthInput)
    ? context.known(lengthInput, 'length').data[0]
    : inverse && onesided
    ? 2 * (own - 1)
    : own
  const toLast = [...upTo(rank - 1).filter(other => other !== axis), axis]
  const move = (value: string): string =>
    resized(axis === rank - 2 ? value : context.transpose(value, toLast),
      inverse && onesided ? Math.floor(length / 2) + 1 : length, context)
  const parts = partsOf(x, context)
  const result = transform({ re: move(parts.re), im: parts.im === undefined ? undefined : move(parts.im) }, { length,
    inverse, onesided }, context)
  const back = (
    value: string,
  ): string => (axis === rank - 2 ? value : context.transpose(value, upTo(rank - 1).map(i => toLast.indexOf(i))))
  return [joinParts({ re: back(result.re), im: result.im === undefined ? undefined : back(result.im) }, context)]
}

/** Transforms of windowed frames of a signal: B x frames x frequencies x 2. */
const stft: Composition = (node, context) => {
  const [signal, stepInput, windowInput, lengthInput] = node.inputs
  const [step] = context.known(stepInput, 'step').data
  const length = isGiven(lengthInput)
    ? context.known(lengthInput, 'frame length').data[0]
    : isGiven(windowInput)
    ? context.length(windowInput, 0, 'window')
    : context.length(signal, 1, 'signal')
  const frames = Math.floor((context.length(signal, 1, 'signal') - length) / step) + 1
  if (!(frames >= 1)) throw new NotExpressible(`of a frame of ${length} elements, which is longer than the signal`)
  const places = tensor('int64', [frames, length],
    upTo(frames * length).map(i => Math.floor(i / length) * step + i % length))
  const index = context.constant(places, 'frames')
  const framed = (part: string): string => {
    const found = context.node('Gather', [part, index], { axis: 1 })
    return isGiven(windowInput) ? context.mul(found, windowInput) : found
  }
  const parts = context.shape(signal).length === 2 ? { re: signal, im: undefined } : partsOf(signal, context)
  const complex = { re: framed(parts.re), im: parts.im === undefined ? undefined : framed(parts.im) }
  const onesided = numberAttribute(node, 'onesided', 1) !== 0
  return [joinParts(transform(complex, { length, inverse: false, onesided }, context), context)]
}

/** A sum of cosines over `size` points. */
const window = (...coefficients: readonly number[]): Composition => (node, context) => {
  const [size] = context.known(node.inputs[0], 'size').data
  const period = numberAttribute(node, 'periodic', 1) === 0 ? size - 1 : size
  const dtype = dtypeOf(node, numberAttribute(node, 'output_datatype', 1))
  const at = (n: number): number =>
    coefficients.reduce((sum, a, k) => sum + a * (-1) ** k * Math.cos(2 * Math.PI * k * n / period), 0)
  return [context.constant(tensor(dtype, [size], upTo(size).map(at)), 'window')]
}

/** Triangular filters from the frequencies of a transform to bands that are equally wide on the mel scale. */
const melWeights: Composition = (node, context) => {
  const [bands, length, rate, low, high] = node.inputs.map(name => context.known(name, 'parameter').data[0])
  const bins = Math.floor(length / 2) + 1
  const mel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700)
  const step = (mel(high) - mel(low)) / (bands + 2)
  const edges = upTo(bands + 2).map(i => {
    const hertz = 700 * (10 ** ((i * step + mel(low)) / 2595) - 1)
    return Math.floor((length + 1) * hertz / rate)
  })
  const data = new Array<number>(bins * bands).fill(0)
  for (let i = 0; i < bands; i++) {
    const [left, centre, right] = edges.slice(i, i + 3)
    if (centre === left) data[centre * bands + i] = 1
    else for (let j = left; j <= centre; j++) data[j * bands + i] = (j - left) / (centre - left)
    if (right > centre) { for (let j = centre; j < right; j++) data[j * bands + i] = (right - j) / (right - centre) }
  }
  const dtype = dtypeOf(node, numberAttribute(node, 'output_datatype', 1))
  return [context.constant(tensor(dtype, [bins, bands], data), 'mel')]
}

/** Signals. */
export const signalCompositions: Compositions = [
  ['DFT', dft],
  ['STFT', stft],
  ['HannWindow', window(0.5, 0.5)],
  ['HammingWindow', window(25 / 46, 21 / 46)],
  ['BlackmanWindow', window(0.42, 0.5, 0.08)],
  ['MelWeightMatrix', melWeights],
]
