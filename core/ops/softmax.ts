/** @file Softmax and LogSoftmax along one axis. */
import { isBatch, type Node } from '../graph/graph.js'
import * as kernels from '../kernels/elementwise.js'
import { softmaxRows } from '../kernels/rows.js'
import type { Tensor } from '../tensor/tensor.js'
import { type AxisBlocks, axisBlocks } from './axis-blocks.js'
import { expression } from './expression.js'
import { acrossExamplesError, badNode, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, Operator } from './operator.js'
import { formatDims, resolveAxis } from './shape-rules.js'

type Real = Float32Array | Float64Array

function axisOf(node: Node, rank: number): number {
  return resolveAxis(node, numberAttribute(node, 'axis', -1), rank)
}

/**
 * The operator y = kernel(x) along an axis; `backward` gets the axis counted from the end, so that it fits cotangents
 * too.
 */
function alongAxis(op: string, kernel: (x: Real, y: Real, blocks: AxisBlocks) => void,
  backward: (context: BackwardContext, cotangent: string, axis: number) => string): Operator {
  return {
    op,
    infer(node, inputs) {
      const { dtype, shape } = requiredInput(node, inputs, 0)
      if (dtype !== 'float32' && dtype !== 'float64') {
        throw badNode(node, `its input must be real numbers; it is of type ${dtype}.`)
      }
      if (isBatch(shape[axisOf(node, shape.length)])) {
        throw acrossExamplesError(node, `it normalises along the batch axis of a value of shape ${formatDims(shape)}.`)
      }
      return [{ dtype, shape }]
    },
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const y: Tensor = { ...x, data: context.allocate(x.dtype, x.data.length) }
      kernel(x.data as Real, y.data as Real, axisBlocks(x.shape, axisOf(node, x.shape.length)))
      return [y]
    },
    backward(context) {
      const { node, inputs: [x], cotangents: [cotangent] } = context
      if (cotangent === undefined || x === undefined) return [undefined]
      // From the end: from the front it would be the axis before this one in a cotangent, which has K in front.
      return [backward(context, cotangent, axisOf(node, x.shape.length) - x.shape.length)]
    },
  }
}

/** y = x - max x, so that no exponential overflows. */
function subtractMaximum(x: Real, y: Real, { outer, extent, inner }: AxisBlocks): void {
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const first = o * extent * inner + i
      const end = first + extent * inner
      let most = -Infinity
      for (let at = first; at < end; at += inner) if (x[at] > most) most = x[at]
      for (let at = first; at < end; at += inner) y[at] = x[at] - most
    }
  }
}

function softmaxKernel(x: Real, y: Real, blocks: AxisBlocks): void {
  const { outer, extent, inner } = blocks
  if (inner === 1 && x.length > 0 && softmaxRows(extent, x, y)) return
  subtractMaximum(x, y, blocks)
  kernels.exp(y, y)
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const first = o * extent * inner + i
      const end = first + extent * inner
      let sum = 0
      for (let at = first; at < end; at += inner) sum += y[at]
      const scale = 1 / sum
      for (let at = first; at < end; at += inner) y[at] *= scale
    }
  }
}

function logSoftmaxKernel(x: Real, y: Real, blocks: AxisBlocks): void {
  const { outer, extent, inner } = blocks
  subtractMaximum(x, y, blocks)
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const first = o * extent * inner + i
      const end = first + extent * inner
      let sum = 0
      for (let at = first; at < end; at += inner) sum += Math.exp(y[at])
      const shift = Math.log(sum)
      for (let at = first; at < end; at += inner) y[at] -= shift
    }
  }
}

/** dx = y (c - sum c y). */
function softmaxBackward({ builder, node }: BackwardContext, cotangent: string, axis: number): string {
  const e = expression(builder)
  const [y] = node.outputs
  const inner = builder.node('ReduceSum', [e.mul(cotangent, y), builder.integers([axis])], { keepdims: 1 })
  return e.mul(y, e.sub(cotangent, inner))
}

/** dx = c - e^y sum c. */
function logSoftmaxBackward({ builder, node }: BackwardContext, cotangent: string, axis: number): string {
  const e = expression(builder)
  const sum = builder.node('ReduceSum', [cotangent, builder.integers([axis])], { keepdims: 1 })
  return e.sub(cotangent, e.mul(e.apply('Exp', node.outputs[0]), sum))
}

/** Normalised exponentials. */
export const softmaxOperators: readonly Operator[] = [alongAxis('Softmax', softmaxKernel, softmaxBackward),
  alongAxis('LogSoftmax', logSoftmaxKernel, logSoftmaxBackward)]
