/** @file What a forward pass costs: the multiplications of a network's products, of one example. */
import { concreteShape, type Graph, type Node } from '../graph/graph.js'
import { onceForGraph } from '../graph/once.js'
import { numberAttribute } from '../ops/node-attributes.js'
import { inferTypes } from '../passes/infer.js'
import { sizeOf } from '../tensor/tensor.js'

/** Multiplications of the matrix products and convolutions of one example; what else there is costs little beside. */
export const forwardMultiplications = onceForGraph(countMultiplications)

function countMultiplications(graph: Graph): number {
  const types = inferTypes(graph)
  const shapeOf = (name: string | undefined): readonly number[] =>
    concreteShape((name === undefined ? undefined : types.get(name))?.shape ?? [], 1)
  return graph.nodes.reduce((sum, node) => sum + sizeOf(shapeOf(node.outputs[0])) * depth(node, shapeOf), 0)
}

/** Products that are added up for each number of a node's result; 0 where it is no product. */
function depth(node: Node, shapeOf: (name: string | undefined) => readonly number[]): number {
  const [left, right] = [shapeOf(node.inputs[0]), shapeOf(node.inputs[1])]
  switch (node.op) {
    case 'MatMul':
      return left[left.length - 1] ?? 0
    case 'Gemm':
      return left[numberAttribute(node, 'transA', 0) === 1 ? 0 : 1] ?? 0
    case 'Conv':
      return sizeOf(right.slice(1))
    case 'ConvTranspose':
      return sizeOf(right.slice(1)) * (right[0] ?? 0) / Math.max(1, sizeOf(right.slice(1, 2)))
    default:
      return 0
  }
}
