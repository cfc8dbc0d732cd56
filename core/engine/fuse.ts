/** @file Rewritings that only the TypeScript engine understands: transpositions become flags of matrix products. */
import type { Graph, Node } from '../graph/graph.js'
import { removeDead } from '../passes/fold.js'

/** The graph in which products read transposed operands directly, without a copy. */
export function fuseTranspositions(original: Graph): Graph {
  const graph = joinTranspositions(original)
  const swaps = new Map<string, string>()
  for (const node of graph.nodes) if (swapsLastAxes(node)) swaps.set(node.outputs[0], node.inputs[0])
  if (swaps.size === 0) return graph
  return removeDead({ ...graph,
    nodes: graph.nodes.map(node => (node.op === 'MatMul' || node.op === 'Gemm' ? fuseInto(node, swaps) : node)) })
}

/** The graph in which a transposition of a transposition is one. */
function joinTranspositions(graph: Graph): Graph {
  const before = new Map<string, { readonly from: string, readonly perm: readonly number[] }>()
  let joined = false
  const nodes = graph.nodes.map(node => {
    const perm = permutationOf(node)
    if (perm === undefined) return node
    const first = before.get(node.inputs[0])
    const own = first === undefined
      ? { from: node.inputs[0], perm }
      : { from: first.from, perm: perm.map(axis => first.perm[axis]) }
    before.set(node.outputs[0], own)
    if (first === undefined) return node
    joined = true
    return { ...node, inputs: [own.from], attributes: { ...node.attributes, perm: own.perm } }
  })
  return joined ? removeDead({ ...graph, nodes }) : graph
}

function permutationOf({ op, attributes: { perm } }: Node): readonly number[] | undefined {
  return op === 'Transpose' && Array.isArray(perm) ? perm as readonly number[] : undefined
}

/** Whether a node exchanges the last two axes and no others. */
export function swapsLastAxes({ op, attributes: { perm } }: Node): boolean {
  if (op !== 'Transpose' || !Array.isArray(perm) || perm.length < 2) return false
  const rank = perm.length
  return perm.every((axis, i) => axis === (i < rank - 2 ? i : 2 * rank - 3 - i))
}

function fuseInto(node: Node, swaps: ReadonlyMap<string, string>): Node {
  const sources = node.inputs.map((name, i) => (i < 2 ? swaps.get(name) : undefined))
  if (sources.every(source => source === undefined)) return node
  const flag = (key: 'transA' | 'transB', i: number): number =>
    (Number(node.attributes[key] ?? 0) !== 0) !== (sources[i] !== undefined) ? 1 : 0
  return {
    ...node,
    inputs: node.inputs.map((name, i) => sources[i] ?? name),
    attributes: { ...node.attributes, transA: flag('transA', 0), transB: flag('transB', 1) },
  }
}
