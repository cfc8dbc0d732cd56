/** @file TopK: the largest or smallest elements along an axis, and where they are. */
import { isBatch, type Node } from '../graph/graph.js'
import { sizeOf } from '../tensor/tensor.js'
import { axisBlocks } from './axis-blocks.js'
import { isFloat } from './element-types.js'
import { placedCotangent } from './gathering.js'
import { acrossExamplesError, badNode, numberAttribute, requiredInput, scalarOf } from './node-attributes.js'
import type { InferredValue, Operator } from './operator.js'
import { constantIntegers, formatDims, resolveAxis } from './shape-rules.js'

function topAxis(node: Node, { shape }: Pick<InferredValue, 'shape'>): number {
  return resolveAxis(node, numberAttribute(node, 'axis', -1), shape.length)
}

/** NaN counts as the largest, as in other implementations; of equal elements the first one comes first. */
function order(largest: boolean): (a: number, b: number) => number {
  const sign = largest ? 1 : -1
  return (a, b) => {
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0
    return sign * (Number.isNaN(a) || a > b ? -1 : 1)
  }
}

/** The first k elements of an axis in the order of their values, and their indices. */
const topK: Operator = {
  op: 'TopK',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    const axis = topAxis(node, x)
    const [k] = constantIntegers(node, requiredInput(node, inputs, 1), 'k')
    const extent = x.shape[axis]
    if (isBatch(extent)) {
      throw acrossExamplesError(node, `it orders the examples of a value of shape ${formatDims(x.shape)}.`)
    }
    if (!(k >= 0 && k <= extent)) throw badNode(node, `it takes ${k} of the ${extent} elements of its axis.`)
    const shape = x.shape.map((dim, i) => (i === axis ? k : dim))
    return [{ dtype: x.dtype, shape }, { dtype: 'int64', shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const k = scalarOf(node, requiredInput(node, inputs, 1), 'its k')
    const axis = topAxis(node, x)
    const { outer, extent, inner } = axisBlocks(x.shape, axis)
    const shape = x.shape.map((own, i) => (i === axis ? k : own))
    const [values, indices] = [context.allocate(x.dtype, sizeOf(shape)), context.allocate('int64', sizeOf(shape))]
    const compare = order(numberAttribute(node, 'largest', 1) !== 0)
    const places = Array.from({ length: extent }, (_, i) => i)
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const at = (index: number): number => x.data[(o * extent + index) * inner + i]
        const sorted = places.slice().sort((a, b) => compare(at(a), at(b)) || a - b)
        for (let rank = 0; rank < k; rank++) {
          values[(o * k + rank) * inner + i] = at(sorted[rank])
          indices[(o * k + rank) * inner + i] = sorted[rank]
        }
      }
    }
    return [{ dtype: x.dtype, shape, data: values }, { dtype: 'int64', shape, data: indices }]
  },
  // Where elements are equal there is no derivative; those that are taken get it, as with maxima.
  backward(context) {
    const { builder, node, inputs: [x], cotangents: [cotangent] } = context
    if (cotangent === undefined || x === undefined || !isFloat(x.dtype)) return [undefined]
    const [, indices] = builder.nodeOutputs('TopK', node.inputs, 2, node.attributes)
    return [placedCotangent(context, cotangent, x, indices, topAxis(node, x))]
  },
}

/** Sorting. */
export const sortingOperators: readonly Operator[] = [topK]
