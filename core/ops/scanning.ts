/** @file Operators along one axis that need its elements in order: CumSum, ArgMax, ArgMin. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf } from '../tensor/tensor.js'
import { axisBlocks } from './axis-blocks.js'
import { acrossExamplesError, numberAttribute, requiredInput, scalarOf } from './node-attributes.js'
import type { Operator } from './operator.js'
import { constantIntegers, formatDims, resolveAxis } from './shape-rules.js'

function checkAxis(node: Node, shape: readonly Dim[], axis: number): number {
  const resolved = resolveAxis(node, axis, shape.length)
  if (isBatch(shape[resolved])) {
    throw acrossExamplesError(node, `it runs along the batch axis of a value of shape ${formatDims(shape)}.`)
  }
  return resolved
}

/** y_i = x_0 + ... + x_i; `exclusive` leaves x_i out, `reverse` runs from the end. */
const cumSum: Operator = {
  op: 'CumSum',
  infer(node, inputs) {
    const { dtype, shape } = requiredInput(node, inputs, 0)
    checkAxis(node, shape, constantIntegers(node, requiredInput(node, inputs, 1), 'axis')[0])
    return [{ dtype, shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const axis = resolveAxis(node, scalarOf(node, requiredInput(node, inputs, 1), 'its axis'), x.shape.length)
    const [exclusive, reverse] = [numberAttribute(node, 'exclusive', 0) !== 0,
      numberAttribute(node, 'reverse', 0) !== 0]
    const { outer, extent, inner } = axisBlocks(x.shape, axis)
    const data = context.allocate(x.dtype, x.data.length)
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const step = reverse ? -inner : inner
        let at = o * extent * inner + i + (reverse ? (extent - 1) * inner : 0)
        let sum = 0
        for (let k = 0; k < extent; k++, at += step) {
          if (exclusive) data[at] = sum
          sum += x.data[at]
          if (!exclusive) data[at] = sum
        }
      }
    }
    return [{ ...x, data }]
  },
  backward({ builder, node, inputs: [x, axis], cotangents: [cotangent] }) {
    if (cotangent === undefined || x === undefined || axis === undefined) return []
    const resolved = resolveAxis(node, constantIntegers(node, axis, 'axis')[0], x.shape.length)
    const reverse = numberAttribute(node, 'reverse', 0) === 0 ? 1 : 0
    return [
      builder.node('CumSum', [cotangent,
        builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(resolved - x.shape.length) })], {
        exclusive: numberAttribute(node, 'exclusive', 0),
        reverse,
      }),
    ]
  },
}

/** The index of the largest (sign 1) or smallest (-1) element along an axis: no gradient flows through it. */
function argExtreme(op: string, sign: 1 | -1): Operator {
  const reduced = <D extends Dim>(node: Node, shape: readonly D[],
    axis: number): (D | 1)[] => (numberAttribute(node, 'keepdims', 1) !== 0
      ? shape.map((dim, i) => (i === axis ? 1 : dim))
      : shape.filter((_, i) => i !== axis))
  return {
    op,
    infer(node, inputs) {
      const { shape } = requiredInput(node, inputs, 0)
      return [{ dtype: 'int64', shape: reduced(node, shape, checkAxis(node, shape, numberAttribute(node, 'axis', 0))) }]
    },
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const axis = resolveAxis(node, numberAttribute(node, 'axis', 0), x.shape.length)
      const last = numberAttribute(node, 'select_last_index', 0) !== 0
      const { outer, extent, inner } = axisBlocks(x.shape, axis)
      const shape = reduced(node, x.shape, axis)
      const data = context.allocate('int64', sizeOf(shape))
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          const first = o * extent * inner + i
          let best = 0
          for (let k = 1; k < extent; k++) {
            const difference = sign * (x.data[first + k * inner] - x.data[first + best * inner])
            if (difference > 0 || (last && difference === 0)) best = k
          }
          data[o * inner + i] = best
        }
      }
      return [{ dtype: 'int64', shape, data }]
    },
    backward: () => [undefined],
  }
}

/** Cumulative sums and indices of extremes. */
export const scanningOperators: readonly Operator[] = [cumSum, argExtreme('ArgMax', 1), argExtreme('ArgMin', -1)]
