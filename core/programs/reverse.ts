/**
 * @file Reverse-mode differentiation: appends to a graph the nodes that carry cotangents from its output to wanted
 * values.
 */
import { GraphError, InternalError } from '../errors/errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import type { Node } from '../graph/graph.js'
import { leadingAxes, sumToShape } from '../ops/cotangents.js'
import { isFloat } from '../ops/element-types.js'
import { describeNode } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import { operatorFor } from '../ops/registry.js'

/** What every backward pass needs. */
interface Backward {
  /** Holds the forward nodes already; backward nodes are appended. */
  readonly builder: GraphBuilder
  readonly types: ReadonlyMap<string, InferredValue>
  /** K, the extent of the first axis of every cotangent. */
  readonly seeds: number
  /** Names of the values (inputs, parameters) whose cotangents are wanted. */
  readonly wanted: ReadonlySet<string>
  /**
   * Whether a node's input has its derivative worked out elsewhere (the weight of a linear operator), so that no
   * cotangent is needed for it.
   */
  handled?(node: Node, input: number): boolean
}

/** A pass that starts from the cotangent of one output. */
export interface ReverseTask extends Backward {
  readonly output: string
  /** The cotangent of the output: K, then the output's shape. */
  readonly cotangent: string
}

/** A pass that starts from the cotangents of several values. */
export interface ReverseFromTask extends Backward {
  /** Values with their cotangents; those of a value that occurs several times are added. */
  readonly starts: readonly (readonly [value: string, cotangent: string])[]
}

/**
 * Runs through the forward nodes backwards. Every cotangent has [K], or for a value without batch axis [K, N], in
 * front.
 * @returns the cotangents that were computed, by the name of their value; a value that the output does not depend on
 * has none
 * @throws GraphError NOT_DIFFERENTIABLE when a node on the way has no derivative rule
 */
export function reverse({ output, cotangent, ...task }: ReverseTask): Map<string, string> {
  return reverseFrom({ ...task, starts: [[output, cotangent]] })
}

/** As `reverse`, from several values at once. @throws GraphError NOT_DIFFERENTIABLE */
export function reverseFrom(task: ReverseFromTask): Map<string, string> {
  const { builder, types } = task
  const forward = [...builder.nodes]
  const reached = reachedValues(forward, task.wanted)
  const parts = new Map<string, string[]>()
  const add = (name: string, part: string): void => {
    const others = parts.get(name)
    if (others === undefined) parts.set(name, [part])
    else others.push(part)
  }
  for (const [name, cotangent] of task.starts) add(name, cotangent)
  const total = new Map<string, string>()
  const cotangentOf = (name: string): string | undefined => {
    const known = total.get(name)
    if (known !== undefined) return known
    const own = parts.get(name)
    if (own === undefined) return undefined
    const sum = own.reduce((a, b) => builder.node('Add', [a, b]))
    total.set(name, sum)
    return sum
  }
  for (let i = forward.length - 1; i >= 0; i--) {
    const node = forward[i]
    if (!node.outputs.some(name => parts.has(name))) continue
    const needs = node.inputs.map((name, input) =>
      name !== '' && reached.has(name) && isFloat(typeOf(types, name).dtype) && task.handled?.(node, input) !== true
    )
    // This closes the sums of the node's outputs: a reader that was visited later would be left out of the gradient.
    const cotangents = node.outputs.map(cotangentOf)
    if (!needs.includes(true)) continue
    inputCotangents(task, node, cotangents, needs).forEach((part, input) => {
      if (part === undefined || !needs[input]) return
      add(node.inputs[input], part)
    })
  }
  for (const name of task.wanted) cotangentOf(name)
  return total
}

/** Everything that is computed from the wanted values. */
function reachedValues(nodes: readonly Node[], wanted: ReadonlySet<string>): Set<string> {
  const reached = new Set(wanted)
  for (const node of nodes) {
    if (node.inputs.some(name => reached.has(name))) { for (const name of node.outputs) reached.add(name) }
  }
  return reached
}

function typeOf(types: ReadonlyMap<string, InferredValue>, name: string): InferredValue {
  const type = types.get(name)
  if (type === undefined) throw new InternalError(`The type of '${name}' is not known.`)
  return type
}

function inputCotangents({ builder, types, seeds }: Backward, node: Node, cotangents: readonly (string | undefined)[],
  needs: readonly boolean[]): readonly (string | undefined)[] {
  const operator = operatorFor(node.op)
  if (operator.backward === undefined) {
    throw new GraphError('NOT_DIFFERENTIABLE',
      `${describeNode(node)} has no derivative rule, and parameters below it are asked for. Use subset 'last_layer', ` +
        'or parameters above that node.', { op: node.op, node: node.name ?? node.outputs[0] })
  }
  const outputs = node.outputs.filter(name => name !== '').map(name => typeOf(types, name))
  return operator.backward({
    builder,
    node,
    cotangents,
    seeds,
    needs,
    outputs,
    inputs: node.inputs.map(name => (name === '' ? undefined : typeOf(types, name))),
    lead: value => leadingAxes(value.shape),
    unbroadcast: (cotangent, input) => sumToShape(builder, cotangent, outputs[0].shape, input.shape),
  })
}
