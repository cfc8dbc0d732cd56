/**
 * @file Normalisations: by stored statistics (BatchNormalization, inference) and by those of each example
 * (LayerNormalization).
 */
import { GraphError } from '../errors/errors.js'
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import * as kernels from '../kernels/rows.js'
import { sizeOf, type Tensor, type TensorData } from '../tensor/tensor.js'
import { axisBlocks } from './axis-blocks.js'
import { broadcastPlan, runBinary } from './broadcast.js'
import { sumToShape } from './cotangents.js'
import { expression } from './expression.js'
import { acrossExamplesError, badNode, batchAxisError, describeNode, numberAttribute,
  requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { broadcastDims, cotangentTarget, formatDims, resolveAxis, sameShape } from './shape-rules.js'

const CHANNEL_AXIS = 1

function epsilonOf(node: Node): number {
  return numberAttribute(node, 'epsilon', 1e-5)
}

/** Checks that an input holds one number a channel. @throws GraphError BAD_GRAPH */
function checkChannels(node: Node, x: InferredValue, values: readonly (InferredValue | undefined)[]): void {
  const channels = x.shape[CHANNEL_AXIS]
  if (x.shape.length < 2) {
    throw badNode(node, `its input must have a channel axis behind the examples; its shape is ${formatDims(x.shape)}.`)
  }
  if (isBatch(channels)) {
    throw batchAxisError(node, `axis 1 of its input of shape ${formatDims(x.shape)} must hold channels.`)
  }
  for (const value of values) {
    if (value !== undefined && (value.shape.length !== 1 || value.shape[0] !== channels)) {
      throw badNode(node,
        `it needs one number for each of the ${channels} channels; got the shape ${formatDims(value.shape)}.`)
    }
  }
}

/** A vector of channels as a node whose shape can be broadcast to a value of `rank` axes. */
function perChannel({ builder }: BackwardContext, vector: string, rank: number): string {
  return rank === 2
    ? vector
    : builder.node('Reshape', [vector, builder.integers([-1, ...new Array<number>(rank - 2).fill(1)])])
}

/** The per-example gradient of a vector of channels: the cotangent of x summed over positions, K x N x channels. */
function sumToChannels({ builder }: BackwardContext, cotangent: string, { shape }: InferredValue): string {
  const channels = Number(shape[CHANNEL_AXIS])
  const sum = sumToShape(builder, cotangent, shape, [channels, ...new Array<number>(shape.length - 2).fill(1)])
  return shape.length === 2 ? sum : builder.node('Reshape', [sum, builder.integers([0, 0, channels])])
}

/** y = (x - mean) scale / sqrt(var + epsilon) + shift, with one number of each for a channel. */
const batchNormalization: Operator = {
  op: 'BatchNormalization',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    if (numberAttribute(node, 'training_mode', 0) !== 0) {
      throw batchAxisError(node,
        'it runs in training mode, where it computes statistics of the batch; export the network for inference.')
    }
    checkChannels(node, x, [1, 2, 3, 4].map(i => requiredInput(node, inputs, i)))
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const [scale, shift, mean, variance] = [1, 2, 3, 4].map(i => requiredInput(node, inputs, i).data)
    const epsilon = epsilonOf(node)
    const data = context.allocate(x.dtype, x.data.length)
    const channels = x.shape[CHANNEL_AXIS]
    const inner = sizeOf(x.shape.slice(CHANNEL_AXIS + 1))
    for (let from = 0; from < data.length;) {
      for (let c = 0; c < channels; c++) {
        const factor = scale[c] / Math.sqrt(variance[c] + epsilon)
        const [centre, offset] = [mean[c], shift[c]]
        for (const end = from + inner; from < end; from++) data[from] = (x.data[from] - centre) * factor + offset
      }
    }
    return [{ ...x, data }]
  },
  backward: batchNormalizationBackward,
}

function batchNormalizationBackward(context: BackwardContext): (string | undefined)[] {
  const { builder, node, inputs: [x], cotangents: [cotangent], needs } = context
  if (cotangent === undefined || x === undefined) return []
  const e = expression(builder)
  const [value, scale, , mean, variance] = node.inputs
  const rank = x.shape.length
  const channel = (vector: string): string => perChannel(context, vector, rank)
  const inverse = e.pow(e.add(variance, epsilonOf(node)), -0.5)
  const factor = e.mul(scale, inverse)
  const summed = (gradient: string): string => sumToChannels(context, gradient, x)
  const normalised = (): string => e.mul(e.sub(value, channel(mean)), channel(inverse))
  return [
    needs[0] ? e.mul(cotangent, channel(factor)) : undefined,
    needs[1] ? summed(e.mul(cotangent, normalised())) : undefined,
    needs[2] ? summed(cotangent) : undefined,
    needs[3] ? summed(e.mul(cotangent, channel(e.apply('Neg', factor)))) : undefined,
    needs[4] ? summed(e.mul(e.mul(cotangent, normalised()), channel(e.mul(-0.5, e.mul(factor, inverse))))) : undefined,
  ]
}

/** Axes (counted from the end) over which an example's statistics are taken. */
interface Statistics {
  readonly mean: boolean
  readonly axes: readonly number[]
  readonly epsilon: number
}

/** Appends the nodes for the normalised value and for 1 / sqrt(variance + epsilon). */
function normalise(context: BackwardContext, x: string,
  { mean, axes, epsilon }: Statistics): { normalised: string, inverse: string } {
  const { builder } = context
  const e = expression(builder)
  const average = (value: string): string =>
    builder.node('ReduceMean', [value, builder.integers(axes)], { keepdims: 1 })
  const centred = mean ? e.sub(x, average(x)) : x
  const inverse = e.pow(e.add(average(e.mul(centred, centred)), epsilon), -0.5)
  return { normalised: e.mul(centred, inverse), inverse }
}

/**
 * The cotangent of x, given the cotangent h of z = (x - mean) inverse: inverse (h - mean h - z mean(h z)); without a
 * mean, without mean h.
 */
function normaliseBackward(context: BackwardContext, h: string, z: string, inverse: string,
  { mean, axes }: Statistics): string {
  const { builder } = context
  const e = expression(builder)
  const average = (value: string): string =>
    builder.node('ReduceMean', [value, builder.integers(axes)], { keepdims: 1 })
  const projected = e.sub(h, e.mul(z, average(e.mul(h, z))))
  return e.mul(inverse, mean ? e.sub(projected, average(h)) : projected)
}

/**
 * Each row's (x - mean) / sqrt(variance + epsilon); `mean` false leaves the mean in. Where given, the statistics of
 * every row are kept.
 */
function normaliseRows(x: TensorData, width: number, { mean, epsilon }: Statistics, out: TensorData, means?: TensorData,
  inverses?: TensorData): void {
  for (let from = 0, row = 0; from < x.length; from += width, row++) {
    const end = from + width
    let centre = 0
    if (mean) {
      for (let i = from; i < end; i++) centre += x[i]
      centre /= width
    }
    let square = 0
    for (let i = from; i < end; i++) square += (x[i] - centre) ** 2
    // By the width, not the width - 1 of an unbiased estimate: networks would be off by a factor that looks like noise.
    const inverse = 1 / Math.sqrt(square / width + epsilon)
    for (let i = from; i < end; i++) out[i] = (x[i] - centre) * inverse
    if (means !== undefined) means[row] = centre
    if (inverses !== undefined) inverses[row] = inverse
  }
}

function multiplyRow(n: number, a: TensorData, ai: number, as: number, b: TensorData, bi: number, bs: number,
  out: TensorData, oi: number): void {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] * b[bi]
}

function addRow(n: number, a: TensorData, ai: number, as: number, b: TensorData, bi: number, bs: number,
  out: TensorData, oi: number): void {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] + b[bi]
}

/** out = out scale (+ shift), both broadcast. */
function scaleAndShift({ shape, data }: Tensor, scale: Tensor, shift: Tensor | undefined): void {
  runBinary(multiplyRow, broadcastPlan(shape, scale.shape), data, scale.data, data)
  if (shift !== undefined) runBinary(addRow, broadcastPlan(shape, shift.shape), data, shift.data, data)
}

/** @returns false, and nothing is done, where the kernels cannot */
function inKernel(x: TensorData, scale: Tensor, shift: Tensor | undefined, { mean, epsilon }: Statistics,
  out: TensorData, width: number): boolean {
  if (x.length === 0 || scale.data.length !== width || (shift !== undefined && shift.data.length !== width)) {
    return false
  }
  return kernels.normaliseRows({ centred: mean, epsilon, scale: scale.data as RealArray,
    shift: shift?.data as RealArray | undefined }, x as RealArray, out as RealArray)
}

function layerAxis(node: Node, shape: readonly Dim[]): number {
  const axis = resolveAxis(node, numberAttribute(node, 'axis', -1), shape.length)
  if (shape.slice(axis).some(isBatch)) {
    throw acrossExamplesError(node, `it normalises along the batch axis of a value of shape ${formatDims(shape)}.`)
  }
  return axis
}

/** Normalisation over the axes from `axis` on, with a scale and, with a mean, a shift of the shape of these axes. */
function layerNormalization(op: string, mean: boolean): Operator {
  const statistics = (node: Node, rank: number, axis: number): Statistics => ({ mean, epsilon: epsilonOf(node),
    axes: Array.from({ length: rank - axis }, (_, i) => axis + i - rank) })
  return {
    op,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      const axis = layerAxis(node, x.shape)
      for (const value of [requiredInput(node, inputs, 1), inputs[2]]) {
        if (value !== undefined && !sameShape(broadcastDims(node, x.shape, value.shape), x.shape)) {
          throw badNode(node,
            `its scale or shift of shape ${formatDims(value.shape)} cannot be broadcast to ${formatDims(x.shape)}.`)
        }
      }
      const reduced = { dtype: x.dtype, shape: x.shape.map((dim, i) => (i < axis ? dim : 1)) }
      return [{ dtype: x.dtype, shape: x.shape }, reduced, reduced].slice(0, node.outputs.length)
    },
    run(node, inputs, context) {
      const [x, scale] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
      const axis = layerAxis(node, x.shape)
      const reduced = x.shape.map((extent, i) => (i < axis ? extent : 1))
      const y = { ...x, data: context.allocate(x.dtype, x.data.length) }
      const [means, inverses] = node.outputs.slice(1).map(() => ({ dtype: x.dtype, shape: reduced,
        data: context.allocate(x.dtype, sizeOf(reduced)) })
      )
      if (means === undefined &&
        inKernel(x.data, scale, inputs[2], statistics(node, x.shape.length, axis), y.data,
          sizeOf(x.shape.slice(axis)))) return [y]
      normaliseRows(x.data, sizeOf(x.shape.slice(axis)), statistics(node, x.shape.length, axis), y.data, means?.data,
        inverses?.data)
      scaleAndShift(y, scale, inputs[2])
      return [y, means, inverses].filter(value => value !== undefined)
    },
    backward(context) {
      const { builder, node, inputs: [x, scale, shift], cotangents: [cotangent, ...others], needs, unbroadcast } =
        context
      if (others.some(other => other !== undefined)) {
        throw new GraphError('NOT_DIFFERENTIABLE',
          `${describeNode(node)}: there is no derivative of its second and third output.`, { op,
          node: node.name ?? node.outputs[0] })
      }
      if (cotangent === undefined || x === undefined || scale === undefined) return []
      const e = expression(builder)
      const over = statistics(node, x.shape.length, layerAxis(node, x.shape))
      const { normalised, inverse } = normalise(context, node.inputs[0], over)
      return [
        needs[0] ? normaliseBackward(context, e.mul(cotangent, node.inputs[1]), normalised, inverse, over) : undefined,
        needs[1] ? unbroadcast(e.mul(cotangent, normalised), scale) : undefined,
        needs[2] && shift !== undefined ? unbroadcast(cotangent, shift) : undefined,
      ]
    },
  }
}

/** A value of channels as groups of rows: N x groups x (elements of a group). */
function groupShape(shape: readonly Dim[], groups: number): Dim[] {
  return [shape[0], groups, sizeOf(shape.slice(CHANNEL_AXIS) as readonly number[]) / groups]
}

/**
 * Normalisation of the channels in groups (all positions of a group together), with a scale and a shift for each
 * channel.
 */
function groupNormalization(op: string, groupsOf: (node: Node, channels: number) => number): Operator {
  const statistics = (node: Node): Statistics => ({ mean: true, epsilon: epsilonOf(node), axes: [-1] })
  return {
    op,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      checkChannels(node, x, [1, 2].map(i => requiredInput(node, inputs, i)))
      if (x.shape.slice(CHANNEL_AXIS).some(isBatch)) {
        throw acrossExamplesError(node,
          `it normalises along the batch axis of a value of shape ${formatDims(x.shape)}.`)
      }
      const channels = Number(x.shape[CHANNEL_AXIS])
      const groups = groupsOf(node, channels)
      if (!(groups > 0) || channels % groups !== 0) {
        throw badNode(node, `${channels} channels cannot be divided into ${groups} groups.`)
      }
      return [{ dtype: x.dtype, shape: x.shape }]
    },
    run(node, inputs, context) {
      const [x, scale, shift] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
      const y = { ...x, data: context.allocate(x.dtype, x.data.length) }
      const channels = x.shape[CHANNEL_AXIS]
      normaliseRows(x.data, sizeOf(x.shape.slice(CHANNEL_AXIS)) / groupsOf(node, channels), statistics(node), y.data)
      const behind = x.shape.slice(CHANNEL_AXIS + 1).map(() => 1)
      scaleAndShift(y, { ...scale, shape: [channels, ...behind] }, { ...shift, shape: [channels, ...behind] })
      return [y]
    },
    backward(context) {
      const { builder, node, inputs: [x], cotangents: [cotangent], needs } = context
      if (cotangent === undefined || x === undefined) return []
      const e = expression(builder)
      const channels = Number(x.shape[CHANNEL_AXIS])
      const rank = x.shape.length
      const over = statistics(node)
      const grouped = { shape: groupShape(x.shape, groupsOf(node, channels)) }
      const rows = builder.node('Reshape', [node.inputs[0],
        builder.integers(grouped.shape.map(dim => (isBatch(dim) ? -1 : dim)))])
      const { normalised, inverse } = normalise(context, rows, over)
      const likeX = (value: string): string =>
        builder.node('Reshape', [value, builder.integers(x.shape.map(dim => (isBatch(dim) ? -1 : dim)))])
      const h = (): string =>
        builder.node('Reshape', [e.mul(cotangent, perChannel(context, node.inputs[1], rank)),
          builder.integers(cotangentTarget(grouped))])
      return [
        needs[0]
          ? builder.node('Reshape', [normaliseBackward(context, h(), normalised, inverse, over),
            builder.integers(cotangentTarget(x))])
          : undefined,
        needs[1] ? sumToChannels(context, e.mul(cotangent, likeX(normalised)), x) : undefined,
        needs[2] ? sumToChannels(context, cotangent, x) : undefined,
      ]
    },
  }
}

/** y = x / |x|_p along one axis for p of 1 or 2; zeros stay zeros. */
const lpNormalization: Operator = {
  op: 'LpNormalization',
  infer(node, inputs) {
    const { dtype, shape } = requiredInput(node, inputs, 0)
    normAxis(node, shape)
    normPower(node)
    return [{ dtype, shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const { outer, extent, inner } = axisBlocks(x.shape, normAxis(node, x.shape))
    const power = normPower(node)
    const data = context.allocate(x.dtype, x.data.length)
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const first = o * extent * inner + i
        const end = first + extent * inner
        let sum = 0
        for (let at = first; at < end; at += inner) sum += power === 1 ? Math.abs(x.data[at]) : x.data[at] * x.data[at]
        const norm = power === 1 ? sum : Math.sqrt(sum)
        for (let at = first; at < end; at += inner) data[at] = norm === 0 ? 0 : x.data[at] / norm
      }
    }
    return [{ ...x, data }]
  },
  backward({ builder, node, inputs: [x], cotangents: [cotangent] }) {
    if (cotangent === undefined || x === undefined) return [undefined]
    const e = expression(builder)
    const axis = builder.integers([normAxis(node, x.shape) - x.shape.length])
    const [value] = node.inputs
    const [y] = node.outputs
    const norm = builder.node('Max', [
      builder.node(normPower(node) === 1 ? 'ReduceL1' : 'ReduceL2', [value, axis], { keepdims: 1 }),
      builder.scalar(SMALLEST_NORM),
    ])
    // The slope of the norm is sign x for p = 1, and y for p = 2.
    const slope = normPower(node) === 1 ? e.apply('Sign', value) : y
    return [
      e.div(e.sub(cotangent, e.mul(slope, builder.node('ReduceSum', [e.mul(cotangent, y), axis], { keepdims: 1 }))),
        norm),
    ]
  },
}

/** Norms below this number count as zero. */
const SMALLEST_NORM = 1e-30

function normAxis(node: Node, shape: readonly Dim[]): number {
  const axis = resolveAxis(node, numberAttribute(node, 'axis', -1), shape.length)
  if (isBatch(shape[axis])) {
    throw acrossExamplesError(node, `it normalises along the batch axis of a value of shape ${formatDims(shape)}.`)
  }
  return axis
}

function normPower(node: Node): 1 | 2 {
  const power = numberAttribute(node, 'p', 2)
  if (power !== 1 && power !== 2) throw badNode(node, `p must be 1 or 2; it is ${power}.`)
  return power
}

/** Normalisations. */
export const normalisationOperators: readonly Operator[] = [
  batchNormalization,
  layerNormalization('LayerNormalization', true),
  layerNormalization('RMSNormalization', false),
  groupNormalization('GroupNormalization', node => numberAttribute(node, 'num_groups')),
  groupNormalization('InstanceNormalization', (_node, channels) => channels),
  lpNormalization,
]
