/**
 * @file Rewritings around matrix products that only the TypeScript engine understands: a bias, a sum and a rectifier
 * behind a product are done with it, numbers that its operands are multiplied with become its factor, and a spelled-out
 * x Phi(x) becomes one node.
 */
import type { Graph, Node, ValueType } from '../graph/graph.js'
import { isBatch } from '../graph/graph.js'
import { sameShape } from '../ops/shape-rules.js'
import { inferTypes } from '../passes/infer.js'
import { producersOf } from '../passes/producers.js'
import { onlyReaders, otherInput, scalar } from './readers.js'

type Types = ReadonlyMap<string, ValueType>

/** Digits that constants of float32 have in common with the numbers that they stand for. */
const CLOSE = 1e-6

/** Products with what follows them, as nodes `FusedMatMul` (core/ops/linear.ts). */
export function finishProducts(graph: Graph): Graph {
  if (!graph.nodes.some(isProduct)) return graph
  const types = inferTypes(graph)
  const only = onlyReaders(graph)
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of graph.nodes) {
    if (!isProduct(node) || replaced.has(node)) continue
    const chain = chainBehind(node, graph, types, only)
    if (chain.nodes.length === 0) continue
    for (const part of [node, ...chain.nodes]) replaced.set(part, [])
    // A sum of two products goes to the first.
    for (const name of [node, ...chain.nodes].flatMap(part => part.inputs)) only.delete(name)
    const last = chain.nodes[chain.nodes.length - 1]
    // At the place of the last node of the chain: what is added may be computed behind the product.
    replaced.set(last, [{ ...node, op: 'FusedMatMul', outputs: last.outputs,
      inputs: [node.inputs[0], node.inputs[1], chain.bias, chain.added],
      attributes: { ...node.attributes, rectified: Number(chain.rectified) } }])
  }
  return { ...graph, nodes: graph.nodes.flatMap(node => replaced.get(node) ?? [node]) }
}

/** A product that a bias may be added to. */
function isProduct({ op, inputs, attributes }: Node): boolean {
  return op === 'MatMul' || op === 'Gemm' && ((inputs[2] ?? '') === '' || (attributes['beta'] ?? 1) === 1)
}

interface Chain {
  readonly nodes: Node[]
  bias: string
  added: string
  rectified: boolean
}

/** A bias, a sum with a value of the same shape, and a rectifier, each at most once. */
function chainBehind(node: Node, graph: Graph, types: Types, only: ReadonlyMap<string, Node>): Chain {
  const shape = types.get(node.outputs[0])?.shape ?? []
  const columns = shape[shape.length - 1]
  const isRow = (name: string): boolean => {
    const own = types.get(name)?.shape ?? []
    return own.length === 1 && own[0] === columns && !isBatch(own[0])
  }
  const given = node.op === 'Gemm' ? node.inputs[2] ?? '' : ''
  const chain: Chain = { nodes: [], bias: given, added: '', rectified: false }
  if (given !== '' && !isRow(given)) return chain
  let [value] = node.outputs
  for (let next = only.get(value); next !== undefined && !chain.rectified; next = only.get(value)) {
    const other = next.op === 'Add' ? otherInput(next, value) : ''
    if (next.op === 'Relu') chain.rectified = true
    else if (other !== '' && chain.bias === '' && graph.initializers.has(other) && isRow(other)) chain.bias = other
    else if (other !== '' && chain.added === '' && sameShape(types.get(other)?.shape ?? [], shape)) chain.added = other
    else break
    chain.nodes.push(next)
    ;[value] = next.outputs
  }
  return chain
}

/** Numbers that the operands of a product of matrices are multiplied with as the factor of the product. */
export function scaleProducts(graph: Graph): Graph {
  const only = onlyReaders(graph)
  const producers = producersOf(graph)
  return { ...graph, nodes: graph.nodes.map(node => {
    if (node.op !== 'MatMul') return node
    let alpha = Number(node.attributes['alpha'] ?? 1)
    const inputs = node.inputs.map((name, i) => {
      const scaled = producers.get(name)
      if (i > 1 || scaled?.op !== 'Mul' || only.get(name) !== node) return name
      const which = scaled.inputs.findIndex(each => isNumber(graph, each))
      if (which < 0) return name
      alpha *= scalar(graph.initializers.get(scaled.inputs[which])) ?? 1
      return scaled.inputs[1 - which]
    })
    return alpha === Number(node.attributes['alpha'] ?? 1) ?
      node :
      { ...node, inputs, attributes: { ...node.attributes, alpha } }
  }) }
}

/** Whether a value is one number that broadcasting adds no axis for. */
function isNumber({ initializers }: Graph, name: string): boolean {
  const value = initializers.get(name)
  return value !== undefined && value.shape.length <= 1 && value.data.length === 1
}

/** Gelu, which exporters spell out as 0.5 x (1 + erf(x / sqrt 2)) in one order or another. */
export function joinGelu(graph: Graph): Graph {
  const producers = producersOf(graph)
  const only = onlyReaders(graph)
  const number = (name: string): number | undefined =>
    isNumber(graph, name)
      ? scalar(graph.initializers.get(name))
      : undefined
  /** What a node multiplies with a number, and the number. */
  const scaled = (node: Node | undefined): { readonly value: string, readonly factor: number } | undefined => {
    if (node?.op !== 'Mul' && node?.op !== 'Div') return undefined
    for (const i of node.op === 'Div' ? [1] : [0, 1]) {
      const own = number(node.inputs[i])
      if (own !== undefined) return { value: node.inputs[1 - i], factor: node.op === 'Div' ? 1 / own : own }
    }
    return undefined
  }
  const inner = new Map<Node, Node>()
  const argument = (node: Node): string | undefined => {
    // The factors of the product are x or x / 2, and 1 + erf(x / sqrt 2); the half may stand around it.
    const around = scaled(node)
    const body = around === undefined ? node : producers.get(around.value)
    if (body?.op !== 'Mul' || around !== undefined && only.get(around.value) !== node) return undefined
    for (const i of [0, 1]) {
      const sum = producers.get(body.inputs[i])
      if (sum?.op !== 'Add' || only.get(body.inputs[i]) !== body) continue
      const j = sum.inputs.findIndex(name => number(name) === 1)
      // An error function that others read too would be computed twice.
      const erf = j < 0 || only.get(sum.inputs[1 - j]) !== sum ? undefined : producers.get(sum.inputs[1 - j])
      const part = erf?.op === 'Erf' ? scaled(producers.get(erf.inputs[0])) : undefined
      if (part === undefined || Math.abs(part.factor * Math.SQRT2 - 1) > CLOSE) continue
      const other = body.inputs[1 - i]
      const half = other === part.value ? undefined : scaled(producers.get(other))
      const factor = (around?.factor ?? 1) * (half?.factor ?? 1)
      if ((half?.value ?? other) === part.value && factor === 0.5) return part.value
    }
    return undefined
  }
  for (const node of graph.nodes) {
    const x = argument(node)
    if (x !== undefined) inner.set(node, { ...node, op: 'Gelu', inputs: [x], attributes: {} })
  }
  return inner.size === 0 ? graph : { ...graph, nodes: graph.nodes.map(node => inner.get(node) ?? node) }
}
