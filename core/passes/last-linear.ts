/** @file The last linear layer of a network. */
import { GraphError } from '../errors/errors.js'
import type { Graph, Node } from '../graph/graph.js'
import { onceForGraph } from '../graph/once.js'
import { describeNode } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import { simplify } from './fold.js'
import { inferTypes } from './infer.js'
import type { LinearOperator } from './linear-operators.js'
import { findMovedResults, type NoResults } from './moved-results.js'

/** The linear layer whose result is the network's output, f = W phi + b, at each of T positions. */
export interface LastLayer {
  /** Name of the weight, C x D; of a convolution C x channels x window. */
  readonly weight: string
  /** Name of the bias, C, or undefined. */
  readonly bias: string | undefined
  /** D, the number of features. */
  readonly in: number
  /** C, the number of outputs. */
  readonly out: number
}

/** The last layer as an operator of the simplified network that computes the output alone. */
export interface FoundLastLayer {
  readonly operator: LinearOperator
  readonly network: Graph
  readonly types: ReadonlyMap<string, InferredValue>
  /** The positions of the operator whose results are the outputs, T of them, in the order of the outputs. */
  readonly places: Int32Array
}

/**
 * The last linear layer of a network. Between it and the output there may be nodes that move, choose or convert its
 * results, position by position.
 * @throws GraphError NO_LAST_LAYER naming the node that was found instead
 */
export function lastLinear(graph: Graph, output: string): LastLayer {
  return describeLastLayer(findLastLayer(graph, output).operator)
}

/** The names and sizes of a linear operator's weight and bias. */
export function describeLastLayer({ weight, bias, in: inputs, out }: LinearOperator): LastLayer {
  return { weight: weight.name, bias: bias?.parameter.name, in: inputs, out }
}

/**
 * The last layer of a network whose output is N x (T C), position by position.
 * @throws GraphError NO_LAST_LAYER naming the node that was found instead
 */
export const findLastLayer = onceForGraph(searchLastLayer)

/** The simplified network that computes one output of a graph. */
export const networkOf = onceForGraph((graph, output: string): Graph => simplify({ ...graph, outputs: [output] }))

function searchLastLayer(graph: Graph, output: string): FoundLastLayer {
  const network = networkOf(graph, output)
  const types = inferTypes(network)
  const found = findMovedResults(network, output, types)
  if (!('operator' in found)) throw noLastLayer(output, describeFound(found), found.node)
  const { operator, sources } = found
  const places = placesOf(sources, operator.out)
  if (places === undefined) {
    throw noLastLayer(output, `${describeNode(operator.node)}, whose results are not kept together at the output`)
  }
  if (unattachedBias(operator, types)) throw noLastLayer(output, describeNode(operator.node), operator.node)
  if (featuresHold(operator, network)) {
    throw noLastLayer(output, `${describeNode(operator.node)}, whose weight the network uses before it too`,
      operator.node)
  }
  return { operator, network, types, places }
}

/** The position of every run of C outputs; undefined where its features are not those of one position in order. */
function placesOf(sources: Float64Array, out: number): Int32Array | undefined {
  const together = sources.length % out === 0 && sources.every((source, j) => source === sources[j - j % out] + j % out)
  if (!together || sources.some((source, j) => j % out === 0 && source % out !== 0)) return undefined
  return Int32Array.from({ length: sources.length / out }, (_, t) => sources[t * out] / out)
}

/** Whether the features are made of the layer's own weight or bias: those of a tied head are not constants. */
function featuresHold({ input, weight, bias }: LinearOperator, { nodes }: Graph): boolean {
  const made = new Set([weight.name, ...(bias === undefined ? [] : [bias.parameter.name])])
  for (const node of nodes) {
    if (node.inputs.some(name => made.has(name))) { for (const name of node.outputs) made.add(name) }
  }
  return made.has(input)
}

/** Gemm with a third input that is a parameter but not an attached bias: it is scaled, or not one number an output. */
function unattachedBias({ node, bias }: LinearOperator, types: ReadonlyMap<string, InferredValue>): boolean {
  const third = node.op === 'Gemm' || node.op === 'Conv' ? node.inputs[2] ?? '' : ''
  return bias === undefined && third !== '' && types.get(third)?.constant === undefined
}

function describeFound({ value, node }: NoResults): string {
  return node === undefined ? `'${value}', which no node computes` : describeNode(node)
}

function noLastLayer(output: string, what: string, found?: Node): GraphError {
  return new GraphError('NO_LAST_LAYER',
    `The network must end in a linear layer (Gemm, MatMul or a convolution, with or without a bias) for subset ` +
      `'last_layer'; its output '${output}' comes from ${what}. Use subset 'all', or choose another output.`, { output,
    found: found?.op ?? null })
}
