/**
 * @file The last linear layer of any network: the products of a value that depends on the input with something made
 * from parameters, behind which there is no other such product. Several where the outputs come from several (two heads
 * side by side, their mean). What stands between them and the output is not looked at here.
 */
import { GraphError, LaplaceError, OptionError } from '../errors/errors.js'
import { nearestWord } from '../errors/suggest.js'
import type { Graph, Node } from '../graph/graph.js'
import { onceForGraph } from '../graph/once.js'
import { describeNode } from '../ops/node-attributes.js'
import { describeLastLayer, findLastLayer, networkOf } from './last-linear.js'

/** The last linear layers and the parameters that they are made of. */
export interface Head {
  /** In the order of theta. */
  readonly parameters: readonly string[]
  /** Whether f = W phi + b with W and b as they are stored, so that no derivative is needed. */
  readonly closed: boolean
  /** The node of the product, the last one of several. */
  readonly node: Node
}

/** Operators that multiply a value with weights. */
const PRODUCTS = new Set(['Gemm', 'MatMul', 'Conv', 'ConvTranspose', 'Einsum'])
/** Nodes that keep every element, which may stand between a product and its bias. */
export const LAYOUT = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose'])

/** A product of a value that depends on the input with one that does not. */
interface Layer {
  readonly node: Node
  readonly parameters: ReadonlySet<string>
}

/**
 * The last linear layer of a network, or the last one of a name: that of a module (the beginning of its parameters'
 * names), of a parameter or of a node.
 * @throws GraphError NO_LAST_LAYER; OptionError BAD_OPTION for a name that no linear layer has
 */
export const findHead = onceForGraph(searchHead)

function searchHead(graph: Graph, output: string, name?: string): Head {
  const network = networkOf(graph, output)
  const layers = linearLayers(network)
  const found = name === undefined ? lastOf(layers, network) : [layerNamed(layers, name)]
  const last = found.at(-1)
  const plain = plainLastLayer(graph, output)
  const own = new Set(found.flatMap(({ parameters }) => [...parameters]))
  const closed = plain !== undefined && (last === undefined || name === undefined || sameSet(plain, own))
  const used = closed ? plain : own
  if (last === undefined || used.size === 0) throw noLayer(network, output, last)
  return { closed, node: last.node,
    parameters: graph.parameters.map(parameter => parameter.name).filter(each => used.has(each)) }
}

/** The layers whose results reach the output through no other one. */
function lastOf(layers: readonly Layer[], { nodes }: Graph): Layer[] {
  const products = new Set(layers.map(({ node }) => node))
  const read = new Set<string>()
  for (const node of nodes.toReversed()) {
    if (products.has(node) || node.outputs.some(name => read.has(name))) {
      for (const name of node.inputs) read.add(name)
    }
  }
  return layers.filter(({ node }) => !node.outputs.some(name => read.has(name)))
}

/** The parameters of the layer f = W phi + b that ends the network, where there is one. */
export function plainLastLayer(graph: Graph, output: string): ReadonlySet<string> | undefined {
  try {
    const { weight, bias } = describeLastLayer(findLastLayer(graph, output).operator)
    return new Set(bias === undefined ? [weight] : [weight, bias])
  } catch (error) {
    if (error instanceof LaplaceError && error.code === 'NO_LAST_LAYER') return undefined
    throw error
  }
}

function linearLayers(network: Graph): Layer[] {
  const { varying, made } = dependencies(network)
  const readers = new Map<string, Node[]>()
  for (const node of network.nodes) {
    for (const name of node.inputs) readers.set(name, [...readers.get(name) ?? [], node])
  }
  return network.nodes.flatMap(node => {
    if (!PRODUCTS.has(node.op)) return []
    const fixed = node.inputs.slice(0, 2).filter(name => !varying.has(name))
    if (fixed.length !== 1) return []
    const bias = [...node.inputs.slice(2), addedTo(node, readers, varying)]
    return [{ node, parameters: new Set([...fixed, ...bias].flatMap(name => [...made.get(name) ?? []])) }]
  })
}

/** Which values depend on the inputs, and which parameters every value is made of that does not. */
function dependencies(network: Graph): { varying: Set<string>, made: Map<string, ReadonlySet<string>> } {
  const varying = new Set(network.inputs.map(({ name }) => name))
  const made = new Map<string, ReadonlySet<string>>(network.parameters.map(({ name }) => [name, new Set([name])]))
  for (const node of network.nodes) {
    const varies = node.inputs.some(name => varying.has(name))
    const parts = varies ? undefined : new Set(node.inputs.flatMap(name => [...made.get(name) ?? []]))
    for (const name of node.outputs) {
      if (parts === undefined) varying.add(name)
      else if (parts.size > 0) made.set(name, parts)
    }
  }
  return { varying, made }
}

/** What the only reader of a product adds or subtracts, in whatever layout; the empty string where nothing is. */
function addedTo(product: Node, readers: ReadonlyMap<string, readonly Node[]>, varying: ReadonlySet<string>): string {
  for (let [current] = product.outputs;;) {
    const nodes = readers.get(current) ?? []
    if (nodes.length !== 1) return ''
    const [node] = nodes
    if (node.op === 'Add' || node.op === 'Sub') return node.inputs.find(name => !varying.has(name)) ?? ''
    if (!LAYOUT.has(node.op)) return ''
    current = node.outputs[0]
  }
}

function layerNamed(layers: readonly Layer[], name: string): Layer {
  const matches = (layer: Layer): boolean =>
    layer.node.name === name || layer.node.name?.split('/').includes(name) === true ||
    [...layer.parameters].some(each => each === name || /^[./]/.test(each.slice(name.length)) && each.startsWith(name))
  const found = layers.filter(layer => layer.parameters.size > 0 && matches(layer)).at(-1)
  if (found !== undefined) return found
  const names = layers.flatMap(({ parameters: [first] }) => first ?? [])
  const suggestion = nearestWord(name, names)
  throw new OptionError('BAD_OPTION',
    `Option lastLayerName is '${name.slice(0, 100)}', which names no linear layer. The network has those of ${
      names.slice(-20).map(each => `'${each}'`).join(', ')
    }.${suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`}`, { option: 'lastLayerName',
    value: name.slice(0, 100) })
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every(each => b.has(each))
}

function noLayer({ nodes }: Graph, output: string, layer: Layer | undefined): GraphError {
  const last = nodes.at(-1)
  const advice = "Use subset 'all', or name another layer (option lastLayerName)."
  const problem = layer === undefined
    ? `The network has no linear layer (Gemm, MatMul, Conv) for subset 'last_layer'; '${output}' comes from ${
      last === undefined ? 'no node' : describeNode(last)
    }. Use subset 'all', or choose another output.`
    : `The last linear layer, ${
      describeNode(layer.node)
    }, has no parameter that takes part: its weights are frozen or ` +
      `constants. ${advice}`
  return new GraphError('NO_LAST_LAYER', problem, { output, found: (layer?.node ?? last)?.op ?? null })
}
