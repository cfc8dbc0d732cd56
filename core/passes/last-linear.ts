/** @file The last linear layer of a network. */
import { GraphError } from '../errors/errors.js'
import { type Graph, isBatch, type Node } from '../graph/graph.js'
import { describeNode } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import { simplify } from './fold.js'
import { inferTypes } from './infer.js'
import { findLinearOperators, type LinearOperator } from './linear-operators.js'

/** The linear layer whose result is the network's output: f = W phi + b. */
export interface LastLayer {
  /** Name of the weight, C x D. */
  readonly weight: string
  /** Name of the bias, C, or undefined. */
  readonly bias: string | undefined
  /** D, the number of features. */
  readonly in: number
  /** C, the number of outputs. */
  readonly out: number
}

/**
 * The last linear layer of a network. Between it and the output there may be nodes that only rename, reshape or
 * convert.
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
 * The last layer as an operator of the simplified network that computes the output alone, with that network's types.
 * @throws GraphError NO_LAST_LAYER naming the node that was found instead
 */
export function findLastLayer(graph: Graph,
  output: string): { operator: LinearOperator, network: Graph, types: ReadonlyMap<string, InferredValue> } {
  const network = simplify({ ...graph, outputs: [output] })
  const types = inferTypes(network)
  const producers = new Map(network.nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
  const byOutput = new Map(findLinearOperators(network, types).map(operator => [operator.output, operator] as const))
  const top = throughLayout(output, producers, types)
  const operator = byOutput.get(top)
  if (operator === undefined || operator.positions !== 1) throw noLastLayer(output, producers.get(top), operator)
  if (unattachedBias(operator, types)) throw noLastLayer(output, operator.node, operator)
  return { operator, network, types }
}

/** Gemm with a third input that is a parameter but not an attached bias: it is scaled, or not one number an output. */
function unattachedBias({ node, bias }: LinearOperator, types: ReadonlyMap<string, InferredValue>): boolean {
  const third = node.op === 'Gemm' || node.op === 'Conv' ? node.inputs[2] ?? '' : ''
  return bias === undefined && third !== '' && types.get(third)?.constant === undefined
}

const LAYOUT = new Set(['Identity', 'Cast', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose'])

/** Follows the output back through nodes that change only its layout, and constants added to it. */
function throughLayout(output: string, producers: ReadonlyMap<string, Node>,
  types: ReadonlyMap<string, InferredValue>): string {
  for (let current = output;;) {
    const node = producers.get(current)
    if (node === undefined) return current
    const added = node.op === 'Add' ? node.inputs.findIndex(name => types.get(name)?.constant !== undefined) : -1
    if (!keepsVector(current, types)) return current
    if (LAYOUT.has(node.op)) current = node.inputs[0]
    else if (added >= 0) current = node.inputs[1 - added]
    else return current
  }
}

/** Whether one example is a vector along a single axis, so that no change of layout can reorder it. */
function keepsVector(name: string, types: ReadonlyMap<string, InferredValue>): boolean {
  const shape = types.get(name)?.shape ?? []
  return shape.filter(dim => (isBatch(dim) ? dim.outer * dim.inner !== 1 : dim !== 1)).length <= 1
}

function noLastLayer(output: string, found: Node | undefined, operator: LinearOperator | undefined): GraphError {
  const what = operator !== undefined && operator.positions !== 1
    ? `${describeNode(operator.node)}, which is applied at ${operator.positions} positions of every example`
    : found === undefined
    ? `'${output}', which no node computes`
    : describeNode(found)
  return new GraphError('NO_LAST_LAYER',
    `The network must end in a linear layer (Gemm, or MatMul with a bias) for subset 'last_layer'; ` +
      `its output '${output}' comes from ${what}. Use subset 'all', or choose another output.`, { output,
    found: found?.op ?? null })
}
