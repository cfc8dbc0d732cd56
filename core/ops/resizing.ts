/**
 * @file Resize: enlarging and shrinking by interpolation (nearest, linear, cubic), one axis after the other.
 *
 * Along one axis every output is a weighted sum of a few inputs, its taps.
 */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf, type Tensor, tensor } from '../tensor/tensor.js'
import { axisBlocks } from './axis-blocks.js'
import { expression } from './expression.js'
import { badNode, batchAxisError, integersAttribute, numberAttribute, requiredInput,
  stringAttribute } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { scatterAlong } from './scatter-rows.js'
import { formatDims, knownDims, resolveAxis, sameDim } from './shape-rules.js'

/** How one axis changes: its new extent, and by which factor positions are scaled. */
interface AxisChange {
  readonly axis: number
  readonly from: number
  readonly to: number
  readonly scale: number
}

/** Input indices and weights of one tap, for every output. */
interface Tap {
  readonly indices: readonly number[]
  readonly weights: readonly number[]
}

/** The new extents: `sizes` or extents times `scales`, for all axes or those of the attribute `axes`. */
function resizedDims(node: Node, shape: readonly Dim[], scales: readonly number[] | undefined,
  sizes: readonly Dim[] | undefined): { shape: Dim[], changes: AxisChange[] } {
  const axes = node.attributes['axes'] === undefined
    ? shape.map((_, axis) => axis)
    : integersAttribute(node, 'axes').map(axis => resolveAxis(node, axis, shape.length))
  const count = sizes?.length ?? scales?.length
  if (count !== axes.length) {
    throw badNode(node, `it needs ${axes.length} scales or sizes, one an axis; it has ${count ?? 'none'}.`)
  }
  const result = [...shape]
  const changes: AxisChange[] = []
  const common = commonScale(node, axes.map(axis => shape[axis]), sizes)
  axes.forEach((axis, i) => {
    const dim = shape[axis]
    const [scale, size] = [common ?? scales?.[i], common === undefined ? sizes?.[i] : undefined]
    if (isBatch(dim) || (size !== undefined && isBatch(size))) {
      if (size === undefined ? scale !== 1 : !sameDim(size, dim)) {
        throw batchAxisError(node, `it changes the number of examples of a value of shape ${formatDims(shape)}.`)
      }
      return
    }
    // Scales are given in single precision, where 5 times 2.6 is 13; in double precision it is less.
    const scaled = Math.floor(Math.fround(dim * (scale ?? 1)))
    const to = size ?? (common === undefined ? scaled : Math.floor(dim * common + 0.5))
    if (!Number.isSafeInteger(to) || to < 1 || dim < 1) {
      throw badNode(node, `it cannot make an axis of ${to} elements from one of ${dim}.`)
    }
    if (to === dim && (scale ?? 1) === 1) return
    result[axis] = to
    changes.push({ axis, from: dim, to, scale: scale ?? to / dim })
  })
  return { shape: result, changes }
}

/** One factor for all axes where sizes are only to be reached by some of them; undefined where each has its own. */
function commonScale(node: Node, extents: readonly Dim[], sizes: readonly Dim[] | undefined): number | undefined {
  const policy = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch')
  if (policy === 'stretch' || sizes === undefined) return undefined
  if (extents.some(isBatch)) throw batchAxisError(node, 'it changes the number of examples with the other axes.')
  const scales = extents.map((extent, i) => Number(sizes[i]) / Number(extent))
  if (policy === 'not_larger') return Math.min(...scales)
  if (policy === 'not_smaller') return Math.max(...scales)
  throw badNode(node, `keep_aspect_ratio_policy '${policy}' is not one of stretch, not_larger, not_smaller.`)
}

function inferredChanges(node: Node,
  inputs: readonly (InferredValue | undefined)[]): { shape: Dim[], changes: AxisChange[] } {
  const x = requiredInput(node, inputs, 0)
  const scales = isGiven(inputs[2]) ? inputs[2]?.constant : undefined
  const sizes = isGiven(inputs[3]) ? knownDims(inputs[3]) : undefined
  if (scales === undefined && sizes === undefined) {
    throw badNode(node, 'its scales or sizes must be constant, or follow from shapes.')
  }
  return resizedDims(node, x.shape, scales === undefined ? undefined : Array.from(scales.data), sizes)
}

/** An input that is left out may also be an empty tensor. */
function isGiven(value: InferredValue | undefined): boolean {
  return value !== undefined && value.shape[0] !== 0
}

/**
 * Where output i lies among the inputs, by the rule of `coordinate_transformation_mode`. Nearest neighbours are found
 * with quotients of single precision, in which other implementations decide what lies exactly between two inputs.
 */
function coordinate(node: Node, { from, to, scale }: AxisChange): (i: number) => number {
  const quotient = stringAttribute(node, 'mode', 'nearest') === 'nearest'
    ? (a: number) => Math.fround(a / Math.fround(scale))
    : (a: number) => a / scale
  const mode = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  switch (mode) {
    case 'half_pixel':
      return i => quotient(i + 0.5) - 0.5
    case 'half_pixel_symmetric':
      return i => (from / 2) * (1 - to / (scale * from)) + quotient(i + 0.5) - 0.5
    case 'pytorch_half_pixel':
      return i => (to > 1 ? quotient(i + 0.5) - 0.5 : 0)
    case 'align_corners':
      return i => (to > 1 ? i * (from - 1) / (to - 1) : 0)
    case 'asymmetric':
      return quotient
    default:
      throw badNode(node, `coordinate_transformation_mode '${mode}' is not supported.`)
  }
}

function nearest(node: Node): (x: number) => number {
  const mode = stringAttribute(node, 'nearest_mode', 'round_prefer_floor')
  switch (mode) {
    case 'round_prefer_floor':
      return x => Math.ceil(x - 0.5)
    case 'round_prefer_ceil':
      return x => Math.floor(x + 0.5)
    case 'floor':
      return Math.floor
    case 'ceil':
      return Math.ceil
    default:
      throw badNode(node, `nearest_mode '${mode}' is not known.`)
  }
}

/** The weight of a neighbour at a distance: a triangle, or Keys' cubic convolution. */
function kernelOf(node: Node, mode: 'linear' | 'cubic'): { readonly reach: number, weight(distance: number): number } {
  if (mode === 'linear') return { reach: 1, weight: d => Math.max(0, 1 - d) }
  const a = numberAttribute(node, 'cubic_coeff_a', -0.75)
  return { reach: 2, weight: d => {
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
  } }
}

/** The taps of an axis. Inputs outside are replaced by the border, or with `exclude_outside` left out. */
function tapsOf(node: Node, change: AxisChange): Tap[] {
  const { from, to } = change
  const position = coordinate(node, change)
  const mode = stringAttribute(node, 'mode', 'nearest')
  const inside = (index: number): number => Math.min(from - 1, Math.max(0, index))
  const outputs = Array.from({ length: to }, (_, i) => position(i))
  if (mode === 'nearest') {
    const round = nearest(node)
    return [{ indices: outputs.map(x => inside(round(x))), weights: outputs.map(() => 1) }]
  }
  if (mode !== 'linear' && mode !== 'cubic') throw badNode(node, `mode '${mode}' is not one of nearest, linear, cubic.`)
  const { reach, weight } = kernelOf(node, mode)
  // Against aliasing the kernel covers as many inputs as an output stands for.
  const stretched = numberAttribute(node, 'antialias', 0) !== 0 && change.scale < 1
  const scale = stretched ? change.scale : 1
  const first = Math.floor(-reach / scale) + 1
  const neighbours = Array.from({ length: 2 - 2 * first }, (_, k) => first + k)
  const exclude = numberAttribute(node, 'exclude_outside', 0) !== 0
  const rows = outputs.map(x => {
    const left = stretched ? Math.ceil(x) - 1 : Math.floor(x)
    const weights = neighbours.map(k =>
      exclude && inside(left + k) !== left + k ? 0 : weight(Math.abs(left + k - x) * scale)
    )
    const total = exclude || stretched ? weights.reduce((sum, each) => sum + each, 0) : 1
    return { left, weights: weights.map(each => each / total) }
  })
  return neighbours.map((offset, k) => ({ indices: rows.map(({ left }) => inside(left + offset)),
    weights: rows.map(({ weights }) => weights[k]) })
  )
}

function interpolate(x: Tensor, { axis, to }: AxisChange, taps: readonly Tap[], context: KernelContext): Tensor {
  const { outer, extent, inner } = axisBlocks(x.shape, axis)
  const shape = x.shape.map((own, i) => (i === axis ? to : own))
  const data = context.allocate(x.dtype, sizeOf(shape)).fill(0)
  for (const { indices, weights } of taps) {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < to; i++) {
        const [from, at, weight] = [(o * extent + indices[i]) * inner, (o * to + i) * inner, weights[i]]
        if (weight !== 0) { for (let j = 0; j < inner; j++) data[at + j] += weight * x.data[from + j] }
      }
    }
  }
  return { dtype: x.dtype, shape, data }
}

const resize: Operator = {
  op: 'Resize',
  infer(node, inputs) {
    const { shape, changes } = inferredChanges(node, inputs)
    for (const change of changes) coordinate(node, change)
    return [{ dtype: requiredInput(node, inputs, 0).dtype, shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const list = (
      value: Tensor | undefined,
    ): number[] | undefined => (value === undefined || value.data.length === 0 ? undefined : Array.from(value.data))
    const { changes } = resizedDims(node, x.shape, list(inputs[2]), list(inputs[3]))
    return [changes.reduce((value, change) => interpolate(value, change, tapsOf(node, change), context), x)]
  },
  backward: resizeBackward,
}

/** The transposed interpolation, axis by axis: every tap hands its weighted cotangent back to its input. */
function resizeBackward(
  { builder, node, inputs, outputs: [y], cotangents: [cotangent] }: BackwardContext,
): (string | undefined)[] {
  if (cotangent === undefined) return [undefined]
  const e = expression(builder)
  let result = cotangent
  let shape: readonly Dim[] = y.shape
  for (const change of inferredChanges(node, inputs).changes.reverse()) {
    const { axis, from, to } = change
    const column = [to, ...new Array<number>(shape.length - axis - 1).fill(1)]
    const parts = tapsOf(node, change).map(({ indices, weights }) => {
      const weighted = weights.every(weight => weight === 1)
        ? result
        : e.mul(result, builder.constant(tensor(builder.precision, column, weights)))
      return scatterAlong(builder, weighted, shape, axis, indices, from)
    })
    result = parts.reduce((a, b) => e.add(a, b))
    shape = shape.map((dim, i) => (i === axis ? from : dim))
  }
  return [result]
}

/** Interpolation. */
export const resizingOperators: readonly Operator[] = [resize]
