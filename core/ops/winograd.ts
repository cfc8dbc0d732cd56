/** @file Convolutions that Winograd's minimal filtering suits: 3 x 3 in steps of 1 between many channels. */
import type { Padding } from '../kernels/gathered.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { winograd, type WinogradConvolution, winogradRoom } from '../kernels/winograd.js'
import type { Convolution, WindowAxis } from './window.js'

/** With fewer channels the transformations cost more than the products that they save. */
const FEWEST_CHANNELS = 16
/** With fewer tiles the transformation of the weights does. */
const FEWEST_TILES = 32
/** Tiles whose inputs are padded together, and the most numbers of those where they are of several examples. */
const TILES = 256
const PADDED_NUMBERS = 1 << 20
/** Tables of origins are filled up to whole panels of so many. */
const PANEL = 8

/** Height and width of the input and of the result, and the padding in front of the input, of a suitable window. */
interface Plane {
  readonly inputs: readonly [height: number, width: number]
  readonly outputs: readonly [height: number, width: number]
  readonly front: readonly [height: number, width: number]
}

/** A transposed convolution is one of the same window, turned round, with the rest of a window in front. */
function planeOf({ window, transposed }: Convolution): Plane {
  const [height, width] = window
  const both = (of: (axis: WindowAxis) => number): [number, number] => [of(height), of(width)]
  return transposed
    ? { inputs: both(axis => axis.output), outputs: both(axis => axis.input), front: both(axis => 2 - axis.front) }
    : { inputs: both(axis => axis.input), outputs: both(axis => axis.output), front: both(axis => axis.front) }
}

/** Whether the filtering saves time. */
export function suitsWinograd(convolution: Convolution, examples: number): boolean {
  const { window, groups, in: channels, out } = convolution
  if (window.length !== 2 || groups !== 1 || Math.min(channels, out) < FEWEST_CHANNELS) return false
  const fits = window.every(({ kernel, stride, dilation, front }) =>
    kernel === 3 && stride === 1 && dilation === 1 && front <= 2
  )
  return fits && examples * tilesOf(planeOf(convolution)) >= FEWEST_TILES
}

function tilesOf({ outputs: [height, width] }: Plane): number {
  return Math.ceil(height / 2) * Math.ceil(width / 2)
}

function paddingOf({ inputs: [height, width], outputs, front: [top, left] }: Plane): Padding {
  const [padded, line] = [[height + top, outputs[0]], [width + left, outputs[1]]].map(([own, results]) =>
    Math.max(own, 2 * Math.ceil(results / 2) + 2)
  )
  return { extents: [1, height, width], first: top * line + left, line, slice: padded * line, plane: padded * line }
}

function tileExamples(plane: Plane, { in: channels }: Convolution, examples: number): number {
  const most = Math.floor(PADDED_NUMBERS / (channels * paddingOf(plane).plane))
  return Math.max(1, Math.min(examples, most, Math.ceil(TILES / tilesOf(plane))))
}

/** Numbers beside inputs and outputs: padded planes, transformed weights, transformed inputs of a block. */
export function winogradNumbers(convolution: Convolution, examples: number): number {
  const plane = planeOf(convolution)
  const { kernels, room } = winogradRoom(convolution.out, convolution.in, 4)
  return tileExamples(plane, convolution, examples) * convolution.in * paddingOf(plane).plane + kernels + room
}

/** What the shapes decide, in numbers of `size` bytes. */
export function winogradPlan(convolution: Convolution, examples: number, size: number) {
  const { in: channels, out: outputs, transposed } = convolution
  const plane = planeOf(convolution)
  const padding = paddingOf(plane)
  const tile = tileExamples(plane, convolution, examples)
  return {
    examples,
    tile,
    tiles: tilesOf(plane),
    channels,
    outputs,
    imagePlane: plane.inputs[0] * plane.inputs[1],
    plane: plane.outputs[0] * plane.outputs[1],
    line: plane.outputs[1],
    padding,
    ...tileTables(plane, padding, tile, channels, outputs, size),
    turned: transposed,
  }
}

/** What is kept of a convolution from run to run. */
export type WinogradPlan = ReturnType<typeof winogradPlan>

/**
 * The convolution of an image with weights in the layout of its node.
 * @returns false, and nothing is done, where the arrays do not live in the arena
 */
export function runWinograd(plan: WinogradPlan, image: RealArray, weights: RealArray,
  finish: Pick<WinogradConvolution, 'bias' | 'added' | 'rectified'>, out: RealArray,
  allocate: (length: number) => RealArray): boolean {
  const { tile, channels, outputs, padding } = plan
  const { kernels, room } = winogradRoom(outputs, channels, out.BYTES_PER_ELEMENT)
  return winograd({
    ...plan,
    padded: allocate(tile * channels * padding.plane).fill(0),
    weights,
    kernels: allocate(kernels),
    room: allocate(room),
    ...finish,
  }, image, out)
}

/** Where the tiles of some examples begin, in bytes, and which of them reach beyond the result. */
function tileTables({ outputs: [height, width] }: Plane, padding: Padding, examples: number, channels: number,
  outputs: number, size: number): { origins: Int32Array, targets: Int32Array, edges: Int32Array } {
  const [down, across] = [Math.ceil(height / 2), Math.ceil(width / 2)]
  const count = examples * down * across
  const filled = Math.ceil(count / PANEL) * PANEL
  const [origins, targets, edges] = [filled, filled, filled].map(length => new Int32Array(length))
  let at = 0
  for (let n = 0; n < examples; n++) {
    for (let y = 0; y < down; y++) {
      for (let x = 0; x < across; x++, at++) {
        origins[at] = (n * channels * padding.plane + 2 * y * padding.line + 2 * x) * size
        targets[at] = (n * outputs * height * width + 2 * y * width + 2 * x) * size
        edges[at] = (2 * x + 1 < width ? 1 : 0) + (2 * y + 1 < height ? 2 : 0)
      }
    }
  }
  return { origins, targets, edges }
}
