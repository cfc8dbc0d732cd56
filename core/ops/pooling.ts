/** @file Pools: maximum, average and p-norm of sliding windows, and of whole channels. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { type Pool, pool } from '../kernels/pool.js'
import { sumRows } from '../kernels/rows.js'
import { sizeOf, type Tensor, tensor, type TensorData } from '../tensor/tensor.js'
import { isFloat } from './element-types.js'
import { expression } from './expression.js'
import { gatheredTables, gatheredWindow } from './gathered-window.js'
import { badNode, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { type Shifts, shiftsOf } from './patches.js'
import { planned } from './planned.js'
import { appendScatterRows } from './scatter-rows.js'
import { mergeFront, splitFront } from './seed-batches.js'
import { cotangentTarget } from './shape-rules.js'
import { CHANNEL_AXIS, kernelExtents, planeSize, positionsOf, slidingWindow, spatialExtents, threeAxes,
  transposedAttributes, type WindowAxis } from './window.js'

function windowOf(node: Node, shape: readonly Dim[]): WindowAxis[] {
  const extents = spatialExtents(node, shape)
  return slidingWindow(node, extents, kernelExtents(node, extents.length), numberAttribute(node, 'ceil_mode', 0) !== 0)
}

function inferPool(node: Node, x: InferredValue, integers = false): InferredValue {
  if (!isFloat(x.dtype) && !(integers && x.dtype === 'int64')) {
    throw badNode(node, `its input must be real numbers; it is of type ${x.dtype}.`)
  }
  return { dtype: x.dtype,
    shape: [x.shape[0], x.shape[CHANNEL_AXIS], ...windowOf(node, x.shape).map(axis => axis.output)] }
}

function realData({ data }: Tensor): RealArray {
  return data as RealArray
}

/** Reduces the windows of one channel: its inputs begin at `image`, its outputs at `output`. */
type ReduceChannel = (shifts: Shifts, stride: number, image: number, output: number, data: TensorData) => void

/** y of one channel after the other, every output of which starts at `initial`. */
function poolChannels(x: Tensor, axes: readonly WindowAxis[], context: KernelContext, initial: number,
  reduce: ReduceChannel): Tensor {
  const window = threeAxes(axes)
  const shifts = shiftsOf(window)
  const [examples, channels] = x.shape
  const [plane, positions] = [planeSize(axes), positionsOf(axes)]
  const data = context.allocate(x.dtype, examples * channels * positions).fill(initial)
  for (let channel = 0; channel < examples * channels; channel++) {
    reduce(shifts, window[2].stride, channel * plane, channel * positions, data)
  }
  return { dtype: x.dtype, shape: [examples, channels, ...axes.map(axis => axis.output)], data }
}

/** How a node pools values of a shape. */
interface PoolPlan {
  readonly axes: readonly WindowAxis[]
  readonly shape: readonly number[]
  readonly windows: Pool
  readonly firstPlaces: Int32Array
  readonly places: Int32Array
}

/** The plan of a node whose windows hold `value` beyond a plane. */
function poolPlan(node: Node, x: Tensor, value: number): PoolPlan {
  return planned(node, [x], () => {
    const axes = windowOf(node, x.shape)
    return { axes, shape: [...x.shape.slice(0, CHANNEL_AXIS + 1), ...axes.map(axis => axis.output)],
      ...planeWindows(x, axes, value) }
  })
}

/** The windows of every plane, and, for places, where their numbers lie in it. */
function planeWindows(x: Tensor, axes: readonly WindowAxis[],
  value: number): Pick<PoolPlan, 'windows' | 'firstPlaces' | 'places'> {
  const window = threeAxes(axes)
  const gathered = gatheredWindow(window, false)
  const [{ origins, steps }] = gatheredTables(gathered, x.data.BYTES_PER_ELEMENT)
  const [, height, width] = window
  const [first] = gatheredTables({ ...gathered,
    padding: { ...gathered.padding, line: width.input, slice: height.input * width.input } }, 1)
  const before = (window[0].front * height.input + height.front) * width.input + width.front
  return {
    firstPlaces: first.origins.map(place => place - before),
    places: first.steps,
    windows: {
      planes: x.shape[0] * x.shape[CHANNEL_AXIS],
      plane: planeSize(axes),
      origins,
      steps,
      ...(gathered.needsPadding ? { padding: { layout: gathered.padding, value } } : {}),
    },
  }
}

const maxPool: Operator = {
  op: 'MaxPool',
  infer(node, inputs) {
    const pooled = inferPool(node, requiredInput(node, inputs, 0), true)
    if (numberAttribute(node, 'storage_order', 0) !== 0) {
      throw badNode(node, 'indices in column-major order (storage_order 1) are not supported.')
    }
    return [pooled, { dtype: 'int64', shape: pooled.shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const { windows, shape, firstPlaces, places } = poolPlan(node, x, -Infinity)
    const y: Tensor = { dtype: x.dtype, shape, data: context.allocate(x.dtype, sizeOf(shape)) }
    if ((node.outputs[1] ?? '') === '') {
      pool('maximum', windows, realData(x), realData(y))
      return [y]
    }
    const indices = context.allocate('int64', y.data.length)
    pool('maximum', windows, realData(x), realData(y), { firstPlaces, places, indices: indices as Float64Array })
    return [y, { dtype: 'int64', shape, data: indices }]
  },
  backward({ builder, node, inputs: [x], outputs: [y], cotangents: [cotangent] }) {
    if (cotangent === undefined || x === undefined) return [undefined]
    const axes = windowOf(node, x.shape)
    const [examples, channels] = y.shape
    const [, indices] = builder.nodeOutputs('MaxPool', [node.inputs[0]], 2, node.attributes)
    const inPlane = builder.node('Mod', [indices, builder.constant(tensor('int64', [], [planeSize(axes)]))])
    const rows = builder.node('Reshape', [inPlane,
      builder.integers([isBatch(examples) ? -1 : examples, Number(channels), positionsOf(axes)])])
    const columns = builder.node('Reshape', [cotangent,
      builder.integers(cotangentTarget({ shape: [examples, channels, positionsOf(axes), 1] }))])
    return [
      builder.node('Reshape', [appendScatterRows(builder, columns, rows, planeSize(axes)),
        builder.integers(cotangentTarget(x))]),
    ]
  },
}

/** For every position the number of elements that an average divides by. */
export function countElements(node: Node, axes: readonly WindowAxis[]): number[] {
  const withPadding = numberAttribute(node, 'count_include_pad', 0) !== 0
  const counts = axes.map(({ input, output, kernel, stride, dilation, front, back }) =>
    Array.from({ length: output }, (_, o) => {
      let count = 0
      for (let k = 0; k < kernel; k++) {
        const at = o * stride + k * dilation - front
        if (withPadding ? at < input + back : at >= 0 && at < input) count++
      }
      return Math.max(1, count)
    })
  )
  return counts.reduce((products, axis) => products.flatMap(product => axis.map(count => product * count)), [1])
}

/** Adds up every window's elements, each passed through `f`. */
function sums(x: TensorData, f: (value: number) => number): ReduceChannel {
  return ({ length, image: from, position, count }, stride, image, output, data) => {
    for (let run = 0; run < length; run++) {
      const end = output + position[run] + count[run]
      for (let y = output + position[run], at = image + from[run]; y < end; y++, at += stride) data[y] += f(x[at])
    }
  }
}

/**
 * Spreads a cotangent of window sums over the windows' elements: a transposed convolution with ones, channel by
 * channel.
 */
function spread(context: BackwardContext, cotangent: string, x: InferredValue, axes: readonly WindowAxis[]): string {
  const { builder, outputs: [y] } = context
  const channels = Number(x.shape[CHANNEL_AXIS])
  const shape = [channels, 1, ...axes.map(axis => axis.kernel)]
  const ones = builder.constant(tensor(builder.precision, shape, new Array<number>(sizeOf(shape)).fill(1)))
  return splitFront(context,
    builder.node('ConvTranspose', [mergeFront(context, cotangent, y.shape), ones],
      transposedAttributes(axes, channels)), x.shape)
}

const averagePool: Operator = {
  op: 'AveragePool',
  infer: (node, inputs) => [inferPool(node, requiredInput(node, inputs, 0))],
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const { axes, shape, windows } = poolPlan(node, x, 0)
    const y: Tensor = { dtype: x.dtype, shape, data: context.allocate(x.dtype, sizeOf(shape)) }
    pool('sum', windows, realData(x), realData(y))
    const counts = countElements(node, axes)
    for (let from = 0; from < y.data.length; from += counts.length) {
      for (let i = 0; i < counts.length; i++) y.data[from + i] /= counts[i]
    }
    return [y]
  },
  backward(context) {
    const { builder, node, inputs: [x], cotangents: [cotangent] } = context
    if (cotangent === undefined || x === undefined) return [undefined]
    const axes = windowOf(node, x.shape)
    const weights = tensor(builder.precision, axes.map(axis => axis.output),
      countElements(node, axes).map(count => 1 / count))
    return [spread(context, expression(builder).mul(cotangent, builder.constant(weights)), x, axes)]
  },
}

function exponentOf(node: Node): number {
  return numberAttribute(node, 'p', 2)
}

/** y = (sum |x|^p)^(1/p). */
const lpPool: Operator = {
  op: 'LpPool',
  infer: (node, inputs) => [inferPool(node, requiredInput(node, inputs, 0))],
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const p = exponentOf(node)
    const y = poolChannels(x, windowOf(node, x.shape), context, 0, sums(x.data, value => Math.abs(value) ** p))
    for (let i = 0; i < y.data.length; i++) y.data[i] **= 1 / p
    return [y]
  },
  backward(context) {
    const { builder, node, inputs: [x], cotangents: [cotangent] } = context
    if (cotangent === undefined || x === undefined) return [undefined]
    const e = expression(builder)
    const p = exponentOf(node)
    const [value] = node.inputs
    const [y] = node.outputs
    // dy/dx = y^(1-p) |x|^(p-1) sign x, where nothing flows into a window of zeros.
    const scaled = e.div(e.mul(cotangent, y), builder.node('Max', [e.pow(y, p), builder.scalar(SMALLEST_POWER)]))
    const slope = e.mul(e.pow(e.apply('Abs', value), p - 1), e.apply('Sign', value))
    return [e.mul(spread(context, scaled, x, windowOf(node, x.shape)), slope)]
  },
}

/** Sums of powers below this number count as zero. */
const SMALLEST_POWER = 1e-30

/** Pools over all of a channel's positions; the spatial axes stay, with one element each. */
function globalPool(op: string, reduce: (x: TensorData, from: number, end: number) => number,
  slope: (context: BackwardContext, cotangent: string, size: number) => string): Operator {
  return {
    op,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      return [{ dtype: x.dtype,
        shape: [x.shape[0], x.shape[CHANNEL_AXIS], ...spatialExtents(node, x.shape).map(() => 1)] }]
    },
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const size = sizeOf(x.shape.slice(CHANNEL_AXIS + 1))
      const data = context.allocate(x.dtype, sizeOf(x.shape.slice(0, CHANNEL_AXIS + 1)))
      const sums = op === 'GlobalAveragePool' && sumRows(size, 1 / size, realData(x), data as RealArray)
      if (!sums) { for (let i = 0; i < data.length; i++) data[i] = reduce(x.data, i * size, (i + 1) * size) }
      return [{ dtype: x.dtype, shape: x.shape.map((extent, axis) => (axis > CHANNEL_AXIS ? 1 : extent)), data }]
    },
    backward(context) {
      const { inputs: [x], cotangents: [cotangent] } = context
      if (cotangent === undefined || x === undefined) return [undefined]
      return [slope(context, cotangent, sizeOf(x.shape.slice(CHANNEL_AXIS + 1) as readonly number[]))]
    },
  }
}

const globalAverage = globalPool('GlobalAveragePool', (x, from, end) => {
  let sum = 0
  for (let i = from; i < end; i++) sum += x[i]
  return sum / (end - from)
}, ({ builder, inputs: [x], lead }, cotangent, size) => {
  const scaled = expression(builder).mul(cotangent, 1 / size)
  const ones = x === undefined ? 0 : lead(x) + CHANNEL_AXIS + 1
  return builder.node('Expand', [scaled,
    builder.integers([...new Array<number>(ones).fill(1),
      ...(x?.shape ?? []).slice(CHANNEL_AXIS + 1) as readonly number[]])])
})

const globalMaximum = globalPool('GlobalMaxPool', (x, from, end) => {
  let most = -Infinity
  for (let i = from; i < end; i++) if (!(x[i] <= most)) most = x[i]
  return most
}, ({ builder, node, inputs: [x] }, cotangent) => {
  const e = expression(builder)
  const attained = e.indicator('Equal', node.inputs[0], node.outputs[0])
  const space = builder.integers([...(x?.shape ?? []).keys()].slice(CHANNEL_AXIS + 1))
  // Positions that attain the maximum together share its cotangent, as in ReduceMax.
  return e.mul(cotangent, e.div(attained, builder.node('ReduceSum', [attained, space], { keepdims: 1 })))
})

/** Pools. */
export const poolingOperators: readonly Operator[] = [maxPool, averagePool, lpPool, globalAverage, globalMaximum]
