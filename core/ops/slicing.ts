/** @file Slice: ranges with steps along axes. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf } from '../tensor/tensor.js'
import { badNode, batchAxisError, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { scatterAlong } from './scatter-rows.js'
import { constantIntegers, formatDims, knownDims, requiredDims, resolveAxis, sameDim } from './shape-rules.js'
import { copyStrided } from './strided-copy.js'

/** The indices start, start + step, ... along one axis. */
interface Range {
  readonly axis: number
  readonly start: number
  readonly step: number
  readonly count: number
}

/** Ends from here on mean "to the last element". */
const UNBOUNDED = 2 ** 31 - 1

/** ONNX' rule: negative positions count from the end, positions outside are moved to the border. */
function rangeAlong(node: Node, axis: number, extent: number, start: number, end: number, step: number): Range {
  if (step === 0) throw badNode(node, 'a step is 0.')
  const bound = (position: number, low: number, high: number): number =>
    Math.min(high, Math.max(low, position < 0 ? position + extent : position))
  const [from, to] = step > 0
    ? [bound(start, 0, extent), bound(end, 0, extent)]
    : [bound(start, 0, extent - 1), bound(end, -1, extent - 1)]
  return { axis, start: from, step, count: Math.max(0, Math.ceil((to - from) / step)) }
}

function axesAndSteps(node: Node, rank: number, count: number, axes: readonly number[] | undefined,
  steps: readonly number[] | undefined): { axes: number[], steps: readonly number[] } {
  const named = axes ?? Array.from({ length: count }, (_, i) => i)
  if (named.length !== count || (steps !== undefined && steps.length !== count)) {
    throw badNode(node,
      `its starts (${count}), axes (${named.length}) and steps (${steps?.length ?? count}) differ in number.`)
  }
  return { axes: named.map(axis => resolveAxis(node, axis, rank)), steps: steps ?? named.map(() => 1) }
}

/** The ranges along axes of known extent; along the batch axis only the whole of it may be asked for. */
function inferredRanges(node: Node, inputs: readonly (InferredValue | undefined)[]): Range[] {
  const { shape } = requiredInput(node, inputs, 0)
  const starts = constantIntegers(node, requiredInput(node, inputs, 1), 'starts')
  const ends = requiredDims(node, requiredInput(node, inputs, 2), 'ends')
  if (ends.length !== starts.length) throw badNode(node, `it has ${starts.length} starts and ${ends.length} ends.`)
  const optional = (index: number, what: string):
    | number[]
    | undefined => (inputs[index] === undefined
      ? undefined
      : constantIntegers(node, requiredInput(node, inputs, index), what))
  const { axes, steps } = axesAndSteps(node, shape.length, starts.length, optional(3, 'axes'), optional(4, 'steps'))
  return axes.flatMap((axis, i) => {
    const [dim, start, end, step] = [shape[axis], starts[i], ends[i], steps[i]]
    if (isBatch(dim)) {
      const whole = start === 0 && step === 1 && (isBatch(end) ? sameDim(end, dim) : end >= UNBOUNDED)
      if (!whole) {
        throw batchAxisError(node, `it takes a part of the batch axis of a value of shape ${formatDims(shape)}.`)
      }
      return []
    }
    if (isBatch(end)) {
      throw batchAxisError(node,
        `its end along axis ${axis} of a value of shape ${formatDims(shape)} depends on the number of examples.`)
    }
    return [rangeAlong(node, axis, dim, start, end, step)]
  })
}

function slicedDims(x: InferredValue, ranges: readonly Range[]): { dims?: readonly Dim[] } {
  const dims = x.dtype === 'int64' && x.shape.length === 1 ? knownDims(x) : undefined
  if (dims === undefined) return {}
  return {
    dims: ranges.reduce<readonly Dim[]>(
      (rest, { start, step, count }) => Array.from({ length: count }, (_, i) => rest[start + i * step]),
      dims,
    ),
  }
}

/** The cotangent put back where the ranges were, with zeros elsewhere. */
function sliceBackward(
  { builder, node, inputs, outputs, cotangents: [cotangent] }: BackwardContext,
): (string | undefined)[] {
  const [x] = inputs
  if (cotangent === undefined || x === undefined) return [undefined]
  let result = cotangent
  let shape: readonly Dim[] = outputs[0].shape
  const padded: { readonly axis: number, readonly front: number, readonly back: number }[] = []
  for (const { axis, start, step, count } of inferredRanges(node, inputs)) {
    const extent = Number(x.shape[axis])
    if (step === 1) {
      if (count < extent) padded.push({ axis: axis - x.shape.length, front: start, back: extent - start - count })
      continue
    }
    result = scatterAlong(builder, result, shape, axis, Array.from({ length: count }, (_, i) => start + i * step),
      extent)
    shape = shape.map((dim, i) => (i === axis ? extent : dim))
  }
  if (padded.length === 0) return [result]
  const pads = builder.integers([...padded.map(({ front }) => front), ...padded.map(({ back }) => back)])
  return [builder.node('Pad', [result, pads, builder.scalar(0), builder.integers(padded.map(({ axis }) => axis))])]
}

const slice: Operator = {
  op: 'Slice',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    const shape = [...x.shape]
    const ranges = inferredRanges(node, inputs)
    for (const { axis, count } of ranges) shape[axis] = count
    return [{ dtype: x.dtype, shape, ...slicedDims(x, ranges) }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const [starts, ends] = [requiredInput(node, inputs, 1), requiredInput(node, inputs, 2)].map(value =>
      Array.from(value.data)
    )
    const { axes, steps } = axesAndSteps(node, x.shape.length, starts.length,
      inputs[3] === undefined ? undefined : Array.from(inputs[3].data),
      inputs[4] === undefined ? undefined : Array.from(inputs[4].data))
    const shape = [...x.shape]
    const strides = x.shape.map((_, axis) => sizeOf(x.shape.slice(axis + 1)))
    let from = 0
    axes.forEach((axis, i) => {
      const { start, step, count } = rangeAlong(node, axis, x.shape[axis], starts[i], ends[i], steps[i])
      from += start * strides[axis]
      strides[axis] *= step
      shape[axis] = count
    })
    if (shape.every((extent, axis) => extent === x.shape[axis]) && steps.every(step => step === 1)) return [x]
    const data = context.allocate(x.dtype, sizeOf(shape))
    copyStrided(x.data, from, { extents: shape, strides }, data)
    return [{ dtype: x.dtype, shape, data }]
  },
  backward: sliceBackward,
}

/** Slices. */
export const slicingOperators: readonly Operator[] = [slice]
