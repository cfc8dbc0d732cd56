/**
 * @file Factors behind the last linear layer, taken into its weights: f = c (W phi + b), logits over a temperature or a
 * Gemm with alpha and beta, is the layer f = W' phi + b' with W' = c W and b' = c b.
 */
import type { Graph, Node } from '../graph/graph.js'
import { numberAttribute } from '../ops/node-attributes.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { LAYOUT } from './head.js'

/** What a layer's weight and its bias are multiplied by. */
export interface HeadFactors {
  readonly weight: number
  readonly bias: number
}

/** A network that computes the same with the factors in the weights. */
export interface UnscaledNetwork extends HeadFactors {
  readonly graph: Graph
}

/**
 * The network with the factors behind a product taken into its weights; undefined where there are none, or where a
 * parameter is used elsewhere too.
 * @param parameters the names of the layer's weight and bias
 */
export function unscaledNetwork(graph: Graph, product: Node, parameters: readonly string[]):
  | UnscaledNetwork
  | undefined {
  const readersOf = (name: string): Node[] => graph.nodes.filter(({ inputs }) => inputs.includes(name))
  const own = graph.nodes.find(({ outputs }) => outputs[0] === product.outputs[0])
  if (own === undefined || parameters.some(name => readersOf(name).length !== 1)) return undefined
  const gemm = own.op === 'Gemm'
  let bias = parameters.find(name => isCopyOf(own.inputs[2] ?? '', name, graph))
  let factors: HeadFactors = { weight: gemm ? numberAttribute(own, 'alpha', 1) : 1,
    bias: gemm ? numberAttribute(own, 'beta', 1) : 1 }
  const replaced = new Map<Node, Node>()
  if (gemm) replaced.set(own, { ...own, attributes: { ...own.attributes, alpha: 1, beta: 1 } })
  for (let [current] = own.outputs;;) {
    const [node, ...others] = readersOf(current)
    if (node === undefined || others.length > 0 || graph.outputs.includes(current)) break
    const factor = factorOf(node, current, graph)
    const added = node.op === 'Add' && bias === undefined
      ? parameters.find(name => node.inputs.some(input => isCopyOf(input, name, graph)))
      : undefined
    if (factor !== undefined) {
      factors = { weight: factors.weight * factor, bias: factors.bias * factor }
      replaced.set(node, { ...node, op: 'Identity', inputs: [current], attributes: {} })
    } else if (added !== undefined) {
      bias = added
      factors = { ...factors, bias: 1 }
    } else if (!LAYOUT.has(node.op)) break
    current = node.outputs[0]
  }
  const used = bias === undefined ? { ...factors, bias: factors.weight } : factors
  const values = [used.weight, used.bias]
  if (values.every(value => value === 1) || values.some(value => !Number.isFinite(value) || value === 0)) {
    return undefined
  }
  const initializers = new Map(Array.from(graph.initializers, ([name, value]) => {
    const own = parameters.includes(name)
    return [name, own ? times(value, name === bias ? used.bias : used.weight) : value] as const
  }))
  return { ...used, graph: { ...graph, initializers, nodes: graph.nodes.map(node => replaced.get(node) ?? node) } }
}

/** Whether a value is a parameter in whatever layout. */
function isCopyOf(value: string, parameter: string, { nodes }: Graph): boolean {
  for (let name = value; name !== parameter;) {
    const node = nodes.find(({ outputs }) => outputs.includes(name))
    if (node === undefined || !LAYOUT.has(node.op)) return false
    name = node.inputs[0]
  }
  return true
}

/** What a node multiplies its input by: one number for all elements. */
function factorOf({ op, inputs: [a, b] }: Node, value: string, { initializers }: Graph): number | undefined {
  if (op !== 'Mul' && op !== 'Div' || op === 'Div' && a !== value) return undefined
  const constant = initializers.get(a === value ? b : a)
  if (constant === undefined || constant.data.length !== 1 || constant.shape.length > 1) return undefined
  return op === 'Mul' ? Number(constant.data[0]) : 1 / Number(constant.data[0])
}

function times({ dtype, shape, data }: Tensor, factor: number): Tensor {
  return tensor(dtype, shape, Array.from(data, each => Number(each) * factor))
}
