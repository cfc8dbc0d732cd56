/** @file Reads the attributes and inputs of nodes, with errors that name the node. */
import { GraphError } from '../errors/errors.js'
import type { Node } from '../graph/graph.js'
import type { Tensor } from '../tensor/tensor.js'

/** How messages call a node: `Gemm node 'fc1'`, or by the value that it computes. */
export function describeNode(node: Node): string {
  if (node.name !== undefined && node.name !== '') return `${node.op} node '${node.name}'`
  return `${node.op} node that computes '${node.outputs.find(name => name !== '') ?? ''}'`
}

/** A GraphError BAD_GRAPH about one node. */
export function badNode(node: Node, problem: string): GraphError {
  return new GraphError('BAD_GRAPH', `${describeNode(node)}: ${problem}`, { op: node.op,
    node: node.name ?? node.outputs[0] })
}

const APART = 'flatten and reshape each example alone in the network (torch: Flatten from axis 1), and export it again.'
const FROM_TRAINING =
  'export it for inference, with what it computes over a batch (means, scales) as constants of the ' +
  'training; a softmax goes over the classes.'

/**
 * A GraphError BATCH_AXIS about one node: it would mix examples.
 * @param advice what to do: by default to shape each example alone
 */
export function batchAxisError(node: Node, problem: string, advice = APART): GraphError {
  return new GraphError('BATCH_AXIS', `${describeNode(node)}: ${problem} The examples of a batch must be kept apart: ` +
    advice, { op: node.op, node: node.name ?? node.outputs[0] })
}

/** The same of a node that computes one result of all examples. */
export function acrossExamplesError(node: Node, problem: string): GraphError {
  return batchAxisError(node, problem, FROM_TRAINING)
}

/** @throws GraphError BAD_GRAPH when the attribute is not a number, or absent without a fallback */
export function numberAttribute(node: Node, key: string, fallback?: number): number {
  const value = node.attributes[key] ?? fallback
  if (typeof value !== 'number') {
    throw badNode(node, `attribute '${key}' must be a number; ${value === undefined ? 'it is missing' : 'it is not'}.`)
  }
  return value
}

/** @throws GraphError BAD_GRAPH when the attribute is not a list of integers, or absent without a fallback */
export function integersAttribute(node: Node, key: string, fallback?: readonly number[]): readonly number[] {
  const value = node.attributes[key] ?? fallback
  if (Array.isArray(value) && value.every(item => typeof item === 'number')) return value as readonly number[]
  throw badNode(node,
    `attribute '${key}' must be a list of integers; ${value === undefined ? 'it is missing' : 'it is not'}.`)
}

/** @throws GraphError BAD_GRAPH when the attribute is not text, or absent without a fallback */
export function stringAttribute(node: Node, key: string, fallback?: string): string {
  const value = node.attributes[key] ?? fallback
  if (typeof value !== 'string') {
    throw badNode(node, `attribute '${key}' must be text; ${value === undefined ? 'it is missing' : 'it is not'}.`)
  }
  return value
}

/** An input that the operator cannot do without. @throws GraphError BAD_GRAPH when it is absent */
export function requiredInput<T>(node: Node, inputs: readonly (T | undefined)[], index: number): T {
  const value = inputs[index]
  if (value === undefined) {
    throw badNode(node, `input ${index} is missing; it has ${node.inputs.filter(name => name !== '').length} input(s).`)
  }
  return value
}

/** The single element of a tensor. @throws GraphError BAD_GRAPH when it has several or none */
export function scalarOf(node: Node, value: Tensor, what: string): number {
  if (value.data.length !== 1) throw badNode(node, `${what} must hold one number; it holds ${value.data.length}.`)
  return value.data[0]
}
