/** @file Convolutions of 3 x 3 by Winograd's minimal filtering, in the arena of the kernels. */
import { arenaConstant, inArena } from './arena.js'
import { type Padding, spreadTile } from './gathered.js'
import type { RealArray } from './plain.js'

/** Numbers of a panel of transformed inputs are 16 terms x 8 panels of 32 bytes for each channel. */
const PANEL_BYTES = 16 * 8 * 32

/** A convolution of planes, and how its tiles of 2 x 2 results lie in them. Tables are in bytes. */
export interface WinogradConvolution {
  readonly examples: number
  /** Examples that the tables hold, and tiles of one example. */
  readonly tile: number
  readonly tiles: number
  readonly channels: number
  readonly outputs: number
  /** Numbers of a plane of the image and of the result, and of a line of the result. */
  readonly imagePlane: number
  readonly plane: number
  readonly line: number
  readonly padding: Padding
  /** Room for the padded planes of a tile: zeros where padding is. */
  readonly padded: RealArray
  readonly origins: Int32Array
  readonly targets: Int32Array
  /** 1 where a tile has a second column, plus 2 where it has a second row. */
  readonly edges: Int32Array
  /** outputs x channels x 9, or channels x outputs x 9 to be turned by half a circle. */
  readonly weights: RealArray
  readonly turned: boolean
  readonly kernels: RealArray
  readonly room: RealArray
  readonly bias: RealArray | undefined
  readonly added: RealArray | undefined
  readonly rectified: boolean
}

/** Numbers of the transformed weights, and of the transformed inputs of a block of tiles. */
export function winogradRoom(outputs: number, inputs: number, size: number): { kernels: number, room: number } {
  return { kernels: 16 * 4 * Math.ceil(outputs / 4) * inputs * (size === 8 ? 2 : 1), room: PANEL_BYTES / size * inputs }
}

/** @returns false, and nothing is done, where the arrays do not live in the arena */
export function winograd(convolution: WinogradConvolution, image: RealArray, out: RealArray): boolean {
  const { examples, tile, tiles, channels, outputs, imagePlane, plane, line, padding, padded, bias, added } =
    convolution
  const size = out.BYTES_PER_ELEMENT
  const none = new Float32Array(0)
  return inArena([
    { array: image, use: 'read' },
    { array: out, use: 'write' },
    { array: padded, use: 'update' },
    { array: convolution.weights, use: 'read' },
    { array: convolution.kernels, use: 'write' },
    { array: convolution.room, use: 'write' },
    { array: bias ?? none, use: 'read' },
    { array: added ?? none, use: 'read' },
    { array: arenaConstant(convolution.origins), use: 'read' },
    { array: arenaConstant(convolution.targets), use: 'read' },
    { array: arenaConstant(convolution.edges), use: 'read' },
  ], (kernel, ...[atImage, atOut, atPadded, weights, kernels, room, atBias, atAdded, origins, targets, edges]) => {
    const [transform, run] = size === 8
      ? [kernel.winogradWeights64, kernel.winograd64]
      : [kernel.winogradWeights32, kernel.winograd32]
    transform(outputs, channels, Number(convolution.turned), weights, kernels)
    for (let from = 0; from < examples; from += tile) {
      const count = Math.min(tile, examples - from)
      spreadTile(kernel, padding, size, count * channels, atImage + from * channels * imagePlane * size, atPadded)
      const target = from * outputs * plane * size
      run(outputs, channels, count * tiles, atPadded, padding.plane * size, padding.line * size, origins, kernels, room,
        bias === undefined ? 0 : atBias, added === undefined ? 0 : atAdded + target, Number(convolution.rectified),
        atOut + target, plane * size, line * size, targets, edges)
    }
  })
}
