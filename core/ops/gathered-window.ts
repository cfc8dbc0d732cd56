/**
 * @file Convolutions, and transposed ones, as products with a matrix that is gathered from the padded input.
 *
 * A transposed convolution gathers too: output i takes from position t where i = t stride - front + k dilation. Outputs
 * whose i + front leaves the same rest by the stride see the same elements k of the kernel, one product for each rest.
 */
import type { Padding, Placed } from '../kernels/gathered.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { Window, WindowAxis } from './window.js'

/** Columns of a tile, so that weights which are packed again for every tile cost little. */
const COLUMNS = 1024
/** Numbers of the padded input of a tile, where it holds several examples. */
const PADDED_NUMBERS = 1 << 20

/** Outputs of an axis that see the same elements of the kernel. */
interface Phase {
  readonly places: readonly number[]
  /** Where the window of each of them begins in the padded input. */
  readonly starts: readonly number[]
  /** The elements of the kernel, and how far behind the start the number lies that each is multiplied with. */
  readonly elements: readonly number[]
  readonly shifts: readonly number[]
}

/** One axis: its padding, and its outputs by phases. */
interface GatheredAxis {
  readonly front: number
  readonly input: number
  readonly padded: number
  readonly output: number
  readonly kernel: number
  readonly phases: readonly Phase[]
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

function windowAxis({ input, output, kernel, stride, dilation, front }: WindowAxis): GatheredAxis {
  const reach = (output - 1) * stride + (kernel - 1) * dilation + 1
  return { front, input, padded: Math.max(front + input, reach), output, kernel,
    phases: [{ places: range(output), starts: range(output).map(o => o * stride), elements: range(kernel),
      shifts: range(kernel).map(k => k * dilation) }] }
}

function transposedAxis(axis: WindowAxis): GatheredAxis {
  const { input, output, kernel, stride, dilation, front: cut } = axis
  const front = Math.max(0, Math.ceil(((kernel - 1) * dilation - cut) / stride))
  const padded = Math.max(front + output, front + Math.floor((input - 1 + cut) / stride) + 1)
  const phases = range(Math.min(stride, input)).map((first): Phase => {
    const places = range(input).filter(i => i % stride === first)
    const elements = range(kernel).filter(k => (first + cut - k * dilation) % stride === 0)
    return { places, starts: places.map((_, m) => m + front), elements,
      shifts: elements.map(k => (first + cut - k * dilation) / stride) }
  })
  return { front, input: output, padded, output: input, kernel, phases }
}

/** A convolution's geometry: the window slides over its input, or if `transposed` over its output. */
export interface GatheredWindow {
  readonly axes: readonly [GatheredAxis, GatheredAxis, GatheredAxis]
  readonly padding: Padding
  readonly needsPadding: boolean
}

/** How a window's numbers are gathered. */
export function gatheredWindow(window: Window, transposed: boolean): GatheredWindow {
  const [z, y, x] = window.map(axis => (transposed ? transposedAxis(axis) : windowAxis(axis)))
  const [line, slice, plane] = [x.padded, y.padded * x.padded, z.padded * y.padded * x.padded]
  return { axes: [z, y, x], needsPadding: [z, y, x].some(({ input, padded }) => input !== padded),
    padding: { extents: [z.input, y.input, x.input], first: z.front * slice + y.front * line + x.front, line, slice,
      plane } }
}

/** Examples whose windows are multiplied together. */
export function tileExamples({ axes, padding }: GatheredWindow, channels: number, examples: number): number {
  const columns = axes.reduce((product, axis) => product * axis.output, 1)
  const most = Math.floor(PADDED_NUMBERS / (channels * padding.plane))
  return Math.max(1, Math.min(examples, most, Math.ceil(COLUMNS / columns)))
}

/** Channels on both sides, in all and of one group. */
export interface GatheredChannels {
  readonly groups: number
  readonly in: number
  readonly out: number
}

/** Tables of the products of a window, one for each combination of the axes' phases, for a tile of examples. */
export interface ProductTables {
  readonly tile: number
  /** Numbers of the padded planes of a tile; none where no window reaches beyond the image. */
  readonly paddedNumbers: number
  readonly padding: Padding
  readonly products: readonly (Omit<Placed, 'weights'> & { readonly elements: Int32Array })[]
}

/** The tables of a window between channels, in numbers of `size` bytes. */
export function productTables(gathered: GatheredWindow, channels: GatheredChannels, examples: number,
  size: number): ProductTables {
  const { axes, padding, needsPadding } = gathered
  const tile = tileExamples(gathered, channels.in, examples)
  const plane = axes.reduce((product, axis) => product * axis.output, 1)
  return { tile, padding, paddedNumbers: needsPadding ? tile * channels.in * padding.plane : 0,
    products: gatheredTables(gathered, size).map(({ steps, origins, targets, elements }) => ({
      steps: repeated(steps, channels.in / channels.groups, padding.plane * size),
      origins: repeated(origins, tile, channels.in * padding.plane * size),
      targets: repeated(targets, tile, channels.out * plane * size),
      elements,
    })) }
}

/**
 * The products of a window.
 * @param kernel elements of the window
 * @param weights out x (in / groups) x kernel, or in x (out / groups) x kernel of a transposed convolution
 */
export function gatheredProducts(products: ProductTables['products'],
  channels: GatheredChannels & { readonly transposed: boolean }, kernel: number, weights: RealArray): Placed[] {
  return products.map(({ steps, origins, targets, elements }) => ({ steps, origins, targets,
    weights: channels.transposed ? turned(weights, channels, elements, kernel) : weights })
  )
}

/** The windows of one plane, for each combination of the axes' phases, in units of `size`. */
export function gatheredTables({ axes: [z, y, x], padding: { line, slice } }: GatheredWindow, size: number): {
  readonly steps: Int32Array
  readonly origins: Int32Array
  readonly targets: Int32Array
  readonly elements: Int32Array
}[] {
  const kernel = [z, y, x].map(axis => axis.kernel)
  return z.phases.flatMap(pz =>
    y.phases.flatMap(py =>
      x.phases.map(px => ({
        elements: combine(pz.elements, py.elements, px.elements, kernel[1] * kernel[2], kernel[2], 1),
        steps: combine(pz.shifts, py.shifts, px.shifts, slice, line, size),
        origins: combine(pz.starts, py.starts, px.starts, slice, line, size),
        targets: combine(pz.places, py.places, px.places, y.output * x.output, x.output, size),
      }))
    )
  )
}

/** All sums a slice + b line + c, the last changing fastest, times `size`. */
function combine(a: readonly number[], b: readonly number[], c: readonly number[], slice: number, line: number,
  size: number): Int32Array {
  const all = new Int32Array(a.length * b.length * c.length)
  let at = 0
  for (const i of a) for (const j of b) for (const k of c) all[at++] = (i * slice + j * line + k) * size
  return all
}

/** A table again and again, `step` further each time. */
export function repeated(table: Int32Array, count: number, step: number): Int32Array {
  const all = new Int32Array(count * table.length)
  for (let i = 0, at = 0; i < count; i++) for (const entry of table) all[at++] = i * step + entry
  return all
}

/** For every group out x in x elements, of weights stored as in x out x kernel. */
function turned(weights: RealArray, { groups, in: inputs, out: outputs }: GatheredChannels, elements: Int32Array,
  kernel: number): RealArray {
  const [own, line] = [inputs / groups, outputs / groups]
  const Numbers = weights.constructor as new(length: number) => RealArray
  const result = new Numbers(outputs * own * elements.length)
  for (let o = 0, at = 0; o < outputs; o++) {
    const first = (Math.floor(o / line) * own * line + o % line) * kernel
    for (let c = 0; c < own; c++) {
      const from = first + c * line * kernel
      for (const element of elements) result[at++] = weights[from + element]
    }
  }
  return result
}
