/** @file GridSample and AffineGrid: images read at places that are computed (spatial transformers, optical flow). */
import { isBatch } from '../../../core/graph/graph.js'
import { badNode, numberAttribute, stringAttribute } from '../../../core/ops/node-attributes.js'
import { knownDims } from '../../../core/ops/shape-rules.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'
import { type Composition, type Compositions, upTo } from './composition.js'

/** How an axis is read. */
interface Reading {
  readonly extent: number
  readonly padding: string
  readonly aligned: boolean
}

/** One of the neighbours of every place along an axis: its index, its weight, and where it is inside of the image. */
interface Neighbour {
  readonly index: string
  readonly weight: string | undefined
  readonly inside: string | undefined
}

/** -1 .. 1 as a place among the elements of an axis. */
function place(grid: string, { extent, aligned }: Reading, context: UpgradeContext): string {
  return aligned
    ? context.mul(context.add(grid, 1), (extent - 1) / 2)
    : context.div(context.sub(context.mul(context.add(grid, 1), extent), 1), 2)
}

/** A place mirrored at the borders as often as it takes. */
function reflected(x: string, { extent, aligned }: Reading, context: UpgradeContext): string {
  const [low, high] = aligned ? [0, extent - 1] : [-0.5, extent - 0.5]
  const span = high - low
  if (span === 0) return context.mul(x, 0)
  const from = context.node('Abs', [context.sub(x, low)])
  const turns = context.node('Floor', [context.div(from, span)])
  const rest = context.sub(from, context.mul(turns, span))
  const odd = context.sub(turns, context.mul(context.node('Floor', [context.div(turns, 2)]), 2))
  // On odd turns the place is counted from the other end.
  return context.add(context.add(rest, context.mul(odd, context.sub(span, context.mul(rest, 2)))), low)
}

function clamped(x: string, extent: number, context: UpgradeContext): string {
  return context.node('Clip', [x, context.scalarLike(x, 0), context.scalarLike(x, extent - 1)])
}

function neighbour(x: string, weight: string | undefined, reading: Reading, context: UpgradeContext): Neighbour {
  const { extent, padding } = reading
  const bound = padding === 'reflection' ? reflected(x, reading, context) : x
  const index = context.cast(clamped(bound, extent, context), 'int64')
  if (padding !== 'zeros') return { index, weight, inside: undefined }
  const inside = context.node('And', [context.binary('GreaterOrEqual', x, 0), context.binary('Less', x, extent)])
  return { index, weight, inside }
}

/** Keys' cubic convolution with a = -0.75, as weights of the neighbours -1, 0, 1, 2 of a place t behind the second. */
function cubicWeights(t: string, context: UpgradeContext): string[] {
  const a = -0.75
  const polynomial = (d: string, [c3, c2, c1, c0]: readonly number[]): string =>
    context.add(context.mul(context.add(context.mul(context.add(context.mul(d, c3), c2), d), c1), d), c0)
  const near = (d: string): string => polynomial(d, [a + 2, -(a + 3), 0, 1])
  const far = (d: string): string => polynomial(d, [a, -5 * a, 8 * a, -4 * a])
  return [far(context.add(t, 1)), near(t), near(context.sub(1, t)), far(context.sub(2, t))]
}

/** The neighbours of every place along an axis. */
function neighbours(grid: string, mode: string, reading: Reading, context: UpgradeContext): Neighbour[] {
  const given = place(grid, reading, context)
  const { extent, padding } = reading
  // The standard's reference rounds to the nearest element before it mirrors.
  if (mode === 'nearest') return [neighbour(context.node('Round', [given]), undefined, reading, context)]
  const whole = padding === 'border'
    ? clamped(given, extent, context)
    : padding === 'reflection'
    ? clamped(reflected(given, reading, context), extent, context)
    : given
  const x = mode === 'cubic' ? given : whole
  const floor = context.node('Floor', [x])
  const t = context.sub(x, floor)
  const [first, weights] = mode === 'cubic'
    ? [-1, cubicWeights(t, context)]
    : [0, [context.sub(1, t), t]]
  return weights.map((weight, i) => neighbour(context.add(floor, first + i), weight, reading, context))
}

const gridSample: Composition = (node, context) => {
  const [x, grid] = node.inputs
  const mode = stringAttribute(node, 'mode', 'linear').replace('bilinear', 'linear').replace('bicubic', 'cubic')
  const padding = stringAttribute(node, 'padding_mode', 'zeros')
  if (!['linear', 'nearest', 'cubic'].includes(mode)) throw badNode(node, `mode '${mode}' is not known.`)
  if (!['zeros', 'border', 'reflection'].includes(padding)) throw badNode(node, `mode '${padding}' is not known.`)
  const space = context.shape(x).slice(2).map((_, i) => context.length(x, i + 2, 'image'))
  const channels = context.length(x, 1, 'channels')
  const size = sizeOf(context.shape(grid).slice(1, -1).map((_, i) => context.length(grid, i + 1, 'grid')))
  const rank = space.length
  // N x 1 x places, one for each axis; the grid names the last axis first.
  const coordinate = (axis: number): string =>
    context.reshape(context.slice(grid, -1, rank - 1 - axis, rank - axis), [0, 1, size])
  const aligned = numberAttribute(node, 'align_corners', 0) !== 0
  const axes = space.map((extent, axis) => neighbours(coordinate(axis), mode, { extent, padding, aligned }, context))
  const flat = context.reshape(x, [0, channels, sizeOf(space)])
  const corners = axes.reduce<Neighbour[][]>((rows, axis) => rows.flatMap(row => axis.map(each => [...row, each])), [
    [],
  ])
  const parts = corners.map(corner => {
    const index = corner.map(({ index }, axis) => context.mul(index, sizeOf(space.slice(axis + 1)))).reduce((a, b) =>
      context.add(a, b)
    )
    const each = context.node('Expand', [index, context.integers([1, channels, 1])])
    const found = context.node('GatherElements', [flat, each], { axis: 2 })
    const inside = corner.flatMap(({ inside }) => (inside === undefined ? [] : [inside]))
    const kept = inside.length === 0
      ? found
      : context.node('Where', [inside.reduce((a, b) => context.node('And', [a, b])), found,
        context.scalarLike(found, 0)])
    return corner.reduce((value, { weight }) => (weight === undefined ? value : context.mul(value, weight)), kept)
  })
  const extents = context.shape(grid).slice(1, -1) as number[]
  return [context.reshape(parts.reduce((a, b) => context.add(a, b)), [0, channels, ...extents])]
}

/** The places of an image's elements, moved by a matrix for every example. */
const affineGrid: Composition = (node, context) => {
  const [theta, size] = node.inputs
  const dims = knownDims(context.type(size))
  const space = dims?.slice(2)
  if (space === undefined || space.some(isBatch)) throw new NotExpressible('whose size depends on the data')
  context.decideBy(size)
  const extents = space as number[]
  const aligned = numberAttribute(node, 'align_corners', 0) !== 0
  const at = (i: number,
    extent: number): number => (aligned ? (extent === 1 ? -1 : -1 + 2 * i / (extent - 1)) : -1 + (2 * i + 1) / extent)
  const rows = upTo(sizeOf(extents)).flatMap(i => {
    const places = extents.map((extent, axis) => at(Math.floor(i / sizeOf(extents.slice(axis + 1))) % extent, extent))
    return [...places.reverse(), 1]
  })
  const grid = tensor(context.type(theta).dtype, [sizeOf(extents), extents.length + 1], rows)
  const moved = context.node('MatMul', [context.constant(grid, 'grid'), context.transpose(theta, [0, 2, 1])])
  return [context.reshape(moved, [0, ...extents, extents.length])]
}

/** Sampling. */
export const samplingCompositions: Compositions = [['GridSample', gridSample], ['AffineGrid', affineGrid]]
