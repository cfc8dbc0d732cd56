/**
 * @file Rewritings that only the TypeScript engine understands: what follows a convolution is done while its result is
 * in the cache, a product with a mask of zeros and ones becomes a selection, and two pools of one value become one.
 */
import type { Graph, Node, ValueType } from '../graph/graph.js'
import { sameShape } from '../ops/shape-rules.js'
import { removeDead } from '../passes/fold.js'
import { inferTypes, keepingTypes } from '../passes/infer.js'
import { producersOf } from '../passes/producers.js'
import { finishProducts, joinGelu, scaleProducts } from './fuse-products.js'
import { fuseTranspositions } from './fuse.js'
import { onlyReaders, otherInput, scalar } from './readers.js'

/** The graph with chains of nodes as one node where the kernels have it. */
export function fuseChains(graph: Graph): Graph {
  // Behind a factor a transposition may be found, which the product reads as it is.
  const passes = [joinGelu, scaleProducts, fuseTranspositions, finishProducts, joinPools, finishConvolutions,
    selectByMasks, removeDead]
  return passes.reduce(keepingTypes, graph)
}

/** Convolutions with the addition and the rectifier behind them. */
function finishConvolutions(graph: Graph): Graph {
  if (!graph.nodes.some(node => node.op === 'Conv')) return graph
  const types = inferTypes(graph)
  const only = onlyReaders(graph)
  const replaced = new Map<Node, Node | undefined>()
  for (const node of graph.nodes) {
    if (node.op !== 'Conv' || node.inputs.length > 3 || replaced.has(node)) continue
    let last = node
    let { inputs, outputs, attributes } = node
    const sum = only.get(node.outputs[0])
    const other = sum?.op === 'Add' ? otherInput(sum, node.outputs[0]) : ''
    if (sum !== undefined && alike(types.get(node.outputs[0]), types.get(other))) {
      inputs = [inputs[0], inputs[1], inputs[2] ?? '', other]
      outputs = sum.outputs
      last = sum
    }
    const rectifier = only.get(outputs[0])
    if (rectifier?.op === 'Relu') {
      outputs = rectifier.outputs
      attributes = { ...attributes, rectified: 1 }
      if (last !== node) replaced.set(last, undefined)
      last = rectifier
    }
    if (last === node || replaced.has(last)) continue
    replaced.set(node, undefined)
    // At the place of the last node of the chain: what is added may be computed behind the convolution.
    replaced.set(last, { ...node, op: 'FusedConv', inputs, outputs, attributes })
  }
  return { ...graph,
    nodes: graph.nodes.flatMap(node => (replaced.has(node) ? [replaced.get(node) ?? []].flat() : [node])) }
}

function alike(a: ValueType | undefined, b: ValueType | undefined): boolean {
  return a !== undefined && b !== undefined && sameShape(a.shape, b.shape)
}

/** Products with the number of a comparison with a constant: `Gate` keeps what it lets through. */
function selectByMasks(graph: Graph): Graph {
  const producers = producersOf(graph)
  const gated = (node: Node): Node => {
    if (node.op !== 'Mul') return node
    for (const [value, mask] of [[0, 1], [1, 0]]) {
      const real = producers.get(node.inputs[mask])
      const truth = real?.op === 'Cast' ? producers.get(real.inputs[0]) : undefined
      const limit = truth === undefined ? undefined : scalar(graph.initializers.get(truth.inputs[1]))
      if (truth === undefined || limit === undefined || (truth.op !== 'Greater' && truth.op !== 'Less')) continue
      return { ...node, op: 'Gate', inputs: [node.inputs[value], truth.inputs[0]],
        attributes: { limit, below: truth.op === 'Less' ? 1 : 0 } }
    }
    return node
  }
  return { ...graph, nodes: graph.nodes.map(gated) }
}

/** A backward pass asks for the places of maxima that the forward pass has found already. */
function joinPools(graph: Graph): Graph {
  const key = ({ inputs, attributes }: Node): string => JSON.stringify([inputs, attributes])
  const places = new Map(graph.nodes.flatMap(
    node => (node.op === 'MaxPool' && node.outputs.length === 2 ? [[key(node), node] as const] : []),
  ))
  if (places.size === 0) return graph
  const joined = new Map<Node, Node | undefined>()
  for (const node of graph.nodes) {
    const twin = node.op === 'MaxPool' && node.outputs.length === 1 ? places.get(key(node)) : undefined
    if (twin === undefined || joined.has(twin) ||
      twin.outputs[0] !== '' && graph.nodes.some(reader => reader.inputs.includes(twin.outputs[0]))) continue
    joined.set(node, { ...node, outputs: [node.outputs[0], twin.outputs[1]] })
    joined.set(twin, undefined)
  }
  return { ...graph, nodes: graph.nodes.flatMap(node => (joined.has(node) ? [joined.get(node) ?? []].flat() : [node])) }
}
