/** @file What upgrading a node may look at and append. */
import { GraphError } from '../../core/errors/errors.js'
import type { GraphBuilder } from '../../core/graph/builder.js'
import type { Attribute, Graph, Node } from '../../core/graph/graph.js'
import type { InferredValue } from '../../core/ops/operator.js'
import { isSupported } from '../../core/ops/registry.js'
import { givenTypes, inferNode } from '../../core/passes/infer.js'
import type { Tensor } from '../../core/tensor/tensor.js'

/** What is known of the values of a graph, as far as its operators are supported. */
export type KnownTypes = Map<string, InferredValue>

/**
 * Adds the types of a node's outputs, where they can be known. The core reports what is wrong when the graph is used.
 */
export function inferIfKnown(node: Node, types: KnownTypes): void {
  if (!isSupported(node.op) || node.inputs.some(name => name !== '' && !types.has(name))) return
  try {
    inferNode(node, types)
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
  }
}

/** Whether all shapes fit each other, as far as they can be known. */
export function shapesFit(graph: Graph): boolean {
  const types = givenTypes(graph)
  try {
    for (const node of graph.nodes) {
      if (isSupported(node.op) && node.inputs.every(name => name === '' || types.has(name))) inferNode(node, types)
    }
    return true
  } catch (error) {
    if (error instanceof GraphError) return false
    throw error
  }
}

/** The graph being written in the newest operator set. */
export class UpgradeContext {
  readonly builder: GraphBuilder
  readonly types: KnownTypes

  constructor(builder: GraphBuilder, types: KnownTypes) {
    this.builder = builder
    this.types = types
  }

  /** Appends a node under its own output names. */
  append(node: Node): void {
    this.builder.nodes.push(node)
    inferIfKnown(node, this.types)
  }

  /** Appends a node with one new value. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = this.builder.fresh(op.toLowerCase())
    this.append({ op, inputs, outputs: [output], attributes })
    return output
  }

  /** A new constant. */
  constant(value: Tensor, stem: string): string {
    const name = this.builder.constant(value, stem)
    this.types.set(name, { dtype: value.dtype, shape: value.shape, constant: value })
    return name
  }

  /** Whether lengths of the input are open, so that those of other values are not what they will be. */
  get hasOpenLengths(): boolean {
    return this.builder.inputs.some(input => input.openAxes !== undefined)
  }

  /** Number of axes of a value, or undefined. */
  rank(name: string): number | undefined {
    return this.types.get(name)?.shape.length
  }
}
