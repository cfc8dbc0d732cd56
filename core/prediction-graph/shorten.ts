/**
 * @file Fewer nodes for the same numbers. A small network takes a runtime little more than the calls of its nodes, so
 * that every reshape and cast which changes nothing counts.
 */
import { GraphError } from '../errors/errors.js'
import type { Graph, Node } from '../graph/graph.js'
import { gemm } from '../kernels/linear-algebra.js'
import { sameShape } from '../ops/shape-rules.js'
import { removeDead } from '../passes/fold.js'
import { inferTypes } from '../passes/infer.js'
import { type Producers, producersOf } from '../passes/producers.js'
import { type Tensor, tensor } from '../tensor/tensor.js'

type Types = ReturnType<typeof inferTypes>

/**
 * The graph without reshapes to the shape that there is and casts up and down again, with products of products by
 * constants multiplied out, and with results under their own names.
 */
export function shortened(graph: Graph): Graph {
  // Products that were multiplied out leave casts with nothing between them.
  return withOwnNames(withoutCopies(multipliedOut(withoutCopies(graph))))
}

/** Undefined where a network has operators without a rule: runtimes have one. */
function typesOf(graph: Graph): Types | undefined {
  try {
    return inferTypes(graph)
  } catch (error) {
    if (error instanceof GraphError) return undefined
    throw error
  }
}

/** Every use of a copy becomes one of what it copies. */
function withoutCopies(graph: Graph): Graph {
  const types = typesOf(graph)
  if (types === undefined) return graph
  const producers = producersOf(graph)
  const originals = new Map<string, string>()
  const original = (name: string): string => originals.get(name) ?? name
  const nodes = graph.nodes.map(node => {
    const own = { ...node, inputs: node.inputs.map(original) }
    const source = copied(own, types, producers, original)
    if (source !== undefined && !graph.outputs.includes(node.outputs[0])) originals.set(node.outputs[0], source)
    return own
  })
  return removeDead({ ...graph, nodes })
}

/** What a node's result is the same as, bit by bit. */
function copied({ op, inputs, outputs }: Node, types: Types, producers: Producers, original: (name: string) => string):
  | string
  | undefined {
  const [from, to] = [types.get(inputs[0]), types.get(outputs[0])]
  if (from === undefined || to === undefined) return undefined
  if (op === 'Identity') return inputs[0]
  if (op === 'Reshape') {
    const before = producers.get(inputs[0])
    const source = before?.op === 'Reshape' ? original(before.inputs[0]) : inputs[0]
    const found = types.get(source)
    return found !== undefined && sameShape(found.shape, to.shape) ? source : undefined
  }
  if (op !== 'Cast') return undefined
  const before = producers.get(inputs[0])
  const source = before?.op === 'Cast' ? original(before.inputs[0]) : inputs[0]
  const same = types.get(source)?.dtype === to.dtype
  // Only float64 holds every float32.
  return same && (source === inputs[0] || (to.dtype === 'float32' && from.dtype === 'float64')) ? source : undefined
}

/**
 * (a C + b) D = a (C D) + b D for constants without a negative element, in whose sums nothing cancels, where that is
 * not more work.
 */
function multipliedOut(graph: Graph): Graph {
  const producers = producersOf(graph)
  const uses = usesOf(graph)
  const initializers = new Map(graph.initializers)
  const nodes = graph.nodes.flatMap(node => {
    const chain = productOfProduct(node, graph, producers)
    if (chain === undefined || chain.inside.some(name => uses.get(name) !== 1)) return [node]
    const { a, first, plus, second } = chain
    const [k, m] = first.shape
    const n = second.shape[1]
    if (k * n > k * m + m * n) return [node]
    const add = (name: string, value: Tensor): string => {
      initializers.set(`${node.outputs[0]}:${name}`, tensor(first.dtype, value.shape, value.data))
      return `${node.outputs[0]}:${name}`
    }
    const product = add('product', times(first, second))
    const [result] = node.outputs
    const wide = chain.cast === undefined ? result : `${result}:narrow`
    const matmul: Node = { op: 'MatMul', inputs: [a, product],
      outputs: [plus === undefined ? wide : `${result}:matmul`], attributes: {} }
    const sum: Node[] = plus === undefined ?
      [] :
      [{ op: 'Add', inputs: [`${result}:matmul`, add('plus', times(plus, second))], outputs: [wide], attributes: {} }]
    const cast: Node[] = chain.cast === undefined ? [] : [{ ...chain.cast, inputs: [wide], outputs: [result] }]
    return [matmul, ...sum, ...cast]
  })
  return removeDead({ ...graph, nodes, initializers })
}

interface ProductOfProduct {
  readonly a: string
  readonly first: Tensor
  readonly plus: Tensor | undefined
  readonly second: Tensor
  readonly cast: Node | undefined
  /** The values between, which nothing else may use. */
  readonly inside: readonly string[]
}

function productOfProduct({ op, inputs }: Node, { initializers }: Graph, producers: Producers):
  | ProductOfProduct
  | undefined {
  const second = constantMatrix(initializers.get(inputs[1]))
  if (op !== 'MatMul' || second === undefined) return undefined
  const outer = producers.get(inputs[0])
  const cast = outer?.op === 'Cast' ? outer : undefined
  const below = cast === undefined ? outer : producers.get(cast.inputs[0])
  const sum = below?.op === 'Add' ? below : undefined
  const product = sum === undefined ? below : producers.get(sum.inputs[0])
  const first = product?.op === 'MatMul' ? constantMatrix(initializers.get(product.inputs[1])) : undefined
  const plus = sum === undefined ? undefined : initializers.get(sum.inputs[1])
  if (product === undefined || first === undefined || first.shape[1] !== second.shape[0]) return undefined
  if (sum !== undefined && (plus === undefined || plus.data.length !== first.shape[1] || hasNegative(plus))) {
    return undefined
  }
  return { a: product.inputs[0], first, second, cast, plus: plus && { ...plus, shape: [1, first.shape[1]] },
    inside: [inputs[0], ...(cast === undefined ? [] : cast.inputs.slice(0, 1)),
      ...(sum === undefined ? [] : sum.inputs.slice(0, 1))] }
}

function constantMatrix(value: Tensor | undefined): Tensor | undefined {
  return value?.shape.length === 2 && !hasNegative(value) ? value : undefined
}

function hasNegative({ data }: Tensor): boolean {
  return data.some(value => value < 0)
}

/** The product of two matrices, in float64. */
function times({ shape: [rows, between], data }: Tensor, { shape: [, columns], data: other }: Tensor): Tensor {
  const product = new Float64Array(rows * columns)
  gemm(false, false, rows, columns, between, 1, Float64Array.from(data), Float64Array.from(other), 0, product)
  return tensor('float64', [rows, columns], product)
}

/** How often a value is read; being a result is one of them. */
function usesOf({ nodes, outputs }: Graph): Map<string, number> {
  const uses = new Map<string, number>()
  for (const name of [...nodes.flatMap(({ inputs }) => inputs), ...outputs]) uses.set(name, (uses.get(name) ?? 0) + 1)
  return uses
}

/** Results that are copies of a value get that value's place: a node less for each. */
function withOwnNames(graph: Graph): Graph {
  const producers = producersOf(graph)
  const names = new Map<string, string>()
  const copies = new Set<Node>()
  for (const name of graph.outputs) {
    const copy = producers.get(name)
    const source = copy?.op === 'Identity' ? copy.inputs[0] : undefined
    if (copy === undefined || source === undefined || !producers.has(source)) continue
    if (names.has(source) || graph.outputs.includes(source)) continue
    names.set(source, name)
    copies.add(copy)
  }
  const renamed = (name: string): string => names.get(name) ?? name
  return { ...graph,
    nodes: graph.nodes.filter(node => !copies.has(node)).map(node => ({ ...node, inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed) })
    ) }
}
