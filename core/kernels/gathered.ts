/**
 * @file Products with matrices that are never formed, because their numbers lie in an image already: number (p, j) of
 * the matrix is that at `steps[p] + origins[j]`. The windows of a convolution are such a matrix.
 */
import { arenaConstant, inArena, inKernelMemory, type Operand } from './arena.js'
import type { KernelExports } from './kernel-module.js'
import type { RealArray } from './plain.js'

/** Where the numbers of a matrix lie, in bytes from the start of an image; origins grow. */
export interface GatheredMatrix {
  readonly steps: Int32Array
  readonly origins: Int32Array
}

/** Where the results of a product lie, in bytes from the start of a channel; one place for each origin. */
export interface Placed extends GatheredMatrix {
  readonly targets: Int32Array
  /** Weights of every group, channels x steps. */
  readonly weights: RealArray
}

/** Planes of depth x height x width, and where they go in planes with more room: in numbers. */
export interface Padding {
  readonly extents: readonly [depth: number, height: number, width: number]
  /** From the start of a padded plane to its first own number, from line to line, slice to slice and plane to plane. */
  readonly first: number
  readonly line: number
  readonly slice: number
  readonly plane: number
}

/** A product for each of some examples; several products fill the planes of the result between them. */
export interface GatheredProduct {
  readonly examples: number
  /** Examples that a table of origins holds. */
  readonly tile: number
  readonly groups: number
  /** Channels of the image, and of the result. */
  readonly channels: number
  readonly outputs: number
  /** Numbers of one channel of the image and of the result. */
  readonly imagePlane: number
  readonly plane: number
  /** Room for the padded planes of one tile, zeros where padding is. */
  readonly padded?: RealArray
  readonly padding: Padding
  readonly products: readonly Placed[]
  /** One number a channel of the result. */
  readonly bias?: RealArray | undefined
  /** As long as the result. */
  readonly added?: RealArray | undefined
  /** Whether negative results become 0. */
  readonly rectified: boolean
}

/** out = products of the weights with what is gathered, + bias + added, rectified or not; arrays are of one type. */
export function convolve(product: GatheredProduct, image: RealArray, out: RealArray): void {
  if (convolveWith(inArena, product, image, out, 0, product.examples)) return
  for (let first = 0; first < product.examples; first += product.tile) {
    const end = Math.min(product.examples, first + product.tile)
    if (!convolveWith(inKernelMemory, product, image, out, first, end)) plainly(product, image, out, first, end)
  }
}

type Place = typeof inArena

/** What is not there. */
const NONE = new Float32Array(0)

/** Examples `first` to `end`. @returns false, and nothing is done, where there are no kernels or not enough memory */
function convolveWith(place: Place, product: GatheredProduct, image: RealArray, out: RealArray, first: number,
  end: number): boolean {
  const { channels, outputs, imagePlane, plane, padded, products, bias, added } = product
  const part = (array: RealArray, size: number): RealArray =>
    end - first === product.examples ? array : array.subarray(first * size, end * size)
  const fixed: Operand[] = [
    { array: part(image, channels * imagePlane), use: 'read' },
    { array: part(out, outputs * plane), use: 'update' },
    { array: padded ?? NONE, use: 'update' },
    { array: bias ?? NONE, use: 'read' },
    { array: added === undefined ? NONE : part(added, outputs * plane), use: 'read' },
  ]
  const tables = products.flatMap(({ weights, steps, origins, targets }): Operand[] =>
    [weights, ...[steps, origins, targets].map(arenaConstant)].map(array => ({ array, use: 'read' }))
  )
  return place([...fixed, ...tables], (kernel, ...at) => {
    for (let from = first; from < end; from += product.tile) {
      convolveTile(kernel, product, out.BYTES_PER_ELEMENT, from - first, Math.min(product.tile, end - from), at)
    }
  })
}

/** Rows of numbers that lie in an image: number p of row i is at `rows[i] + columns[p]`, tables in bytes. */
export interface GatheredRows {
  readonly examples: number
  /** Examples that the table of columns holds. */
  readonly tile: number
  /** Planes of an example, and numbers of a plane. */
  readonly channels: number
  readonly imagePlane: number
  readonly padded?: RealArray
  readonly padding?: Padding
  readonly rows: Int32Array
  readonly columns: Int32Array
}

/**
 * The lower triangle of G G' is added to the sum, for the rows G of all examples; float32 is multiplied in short panels
 * and added in float64.
 * @returns false, and nothing is done, where the image does not live in the arena, or there is no room for the sum
 */
export function addGatheredGram(gathered: GatheredRows, image: RealArray, sum: Float64Array): boolean {
  const { examples, tile, channels, imagePlane, padded, padding, rows, columns } = gathered
  const size = image.BYTES_PER_ELEMENT
  return inArena([{ array: image, use: 'read' }, { array: padded ?? new Float32Array(0), use: 'update' }, {
    array: rows,
    use: 'read',
  }, { array: columns, use: 'read' }, { array: sum, use: 'update' }],
    (kernel, atImage, atPadded, atRows, atColumns, atSum) => {
      const add = size === 8 ? kernel.gramGathered64 : kernel.gramGatheredMixed
      for (let from = 0; from < examples; from += tile) {
        const count = Math.min(tile, examples - from)
        const source = atImage + from * channels * imagePlane * size
        if (padding !== undefined) spreadTile(kernel, padding, size, count * channels, source, atPadded)
        add(rows.length, columns.length / tile * count, padding === undefined ? source : atPadded, atRows, atColumns,
          atSum)
      }
    })
}

/** Copies the planes of a tile into room with padding between them. */
export function spreadTile(kernel: KernelExports,
  { extents: [depth, height, width], first, line, slice, plane }: Padding, size: number, planes: number, source: number,
  padded: number): void {
  const spread = size === 8 ? kernel.spreadPlanes64 : kernel.spreadPlanes32
  spread(planes, depth, height, width, source, padded + first * size, line * size, slice * size, plane * size)
}

/** One tile, whose first example is the `from`th behind the addresses. */
function convolveTile(kernel: KernelExports, product: GatheredProduct, size: number, from: number, examples: number,
  [image, out, padded, bias, added, ...tables]: readonly number[]): void {
  const { groups, channels, outputs, imagePlane, plane, padding } = product
  const run = size === 8 ? kernel.convolve64 : kernel.convolve32
  let source = image + from * channels * imagePlane * size
  let step = imagePlane
  if (product.padded !== undefined) {
    spreadTile(kernel, padding, size, examples * channels, source, padded)
    source = padded
    step = padding.plane
  }
  const target = from * outputs * plane * size
  const [own, line] = [channels / groups, outputs / groups]
  product.products.forEach(({ weights, steps, origins }, i) => {
    const columns = origins.length / product.tile * examples
    const groupBytes = weights.length / groups * size
    for (let group = 0; group < groups; group++) {
      const behind = target + group * line * plane * size
      run(line, columns, steps.length, tables[4 * i] + group * groupBytes, source + group * own * step * size,
        tables[4 * i + 2], tables[4 * i + 1], product.bias === undefined ? 0 : bias + group * line * size,
        product.added === undefined ? 0 : added + behind, Number(product.rectified), out + behind, plane * size,
        tables[4 * i + 3])
    }
  })
}

/** The plain twin, number by number. */
function plainly(product: GatheredProduct, image: RealArray, out: RealArray, first: number, end: number): void {
  const { groups, channels, outputs, imagePlane, plane, padded, padding, bias, added, rectified } = product
  const size = out.BYTES_PER_ELEMENT
  if (padded !== undefined) spreadPlainly(product, image, padded, first, end)
  const [source, base, step] = padded === undefined
    ? [image, first * channels * imagePlane, imagePlane]
    : [padded, 0, padding.plane]
  const line = outputs / groups
  for (const { weights, steps, origins, targets } of product.products) {
    const columns = origins.length / product.tile * (end - first)
    for (let c = 0; c < outputs; c++) {
      const from = base + Math.floor(c / line) * (channels / groups) * step
      const to = (first * outputs + c) * plane
      for (let j = 0; j < columns; j++) {
        let sum = bias?.[c] ?? 0
        for (let p = 0; p < steps.length; p++) {
          sum += weights[c * steps.length + p] * source[from + (steps[p] + origins[j]) / size]
        }
        const at = to + targets[j] / size
        if (added !== undefined) sum += added[at]
        out[at] = rectified && sum < 0 ? 0 : sum
      }
    }
  }
}

function spreadPlainly({ channels, padding }: GatheredProduct, image: RealArray, padded: RealArray, first: number,
  end: number): void {
  const [depth, height, width] = padding.extents
  let from = first * channels * depth * height * width
  for (let plane = 0; plane < (end - first) * channels; plane++) {
    for (let line = 0; line < depth * height; line++, from += width) {
      const to = padding.first + plane * padding.plane + Math.floor(line / height) * padding.slice +
        line % height * padding.line
      for (let i = 0; i < width; i++) padded[to + i] = image[from + i]
    }
  }
}
