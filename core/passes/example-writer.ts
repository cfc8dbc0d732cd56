/** @file A graph for one example being written for any number: every value that follows the input gets N in front. */
import { GraphError } from '../errors/errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import type { Attribute, Node } from '../graph/graph.js'
import { describeNode } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import type { Tensor } from '../tensor/tensor.js'

/** What the rules of operators see: a value of one example of shape s is N x s in the graph being written. */
export class ExampleWriter {
  readonly builder: GraphBuilder
  private readonly types: ReadonlyMap<string, InferredValue>
  private readonly lifted = new Map<string, string>()

  /** @param types of the graph for one example, in which no axis carries examples */
  constructor(builder: GraphBuilder, types: ReadonlyMap<string, InferredValue>) {
    this.builder = builder
    this.types = types
  }

  /** Whether a value differs from example to example. */
  varies(name: string): boolean {
    return this.lifted.has(name)
  }

  /** Says what a value of one example is for all of them. */
  lift(name: string, all: string): void {
    this.lifted.set(name, all)
  }

  /** The shape of a value of one example. */
  shape(name: string): readonly number[] {
    return (this.types.get(name)?.shape ?? []) as readonly number[]
  }

  /** The value of one example where it is the same for all. */
  known(name: string): Tensor | undefined {
    return this.types.get(name)?.constant
  }

  /** A value that varies, N x s, with ones between N and s where `rank` is that of a longer s. */
  all(name: string, rank = this.shape(name).length): string {
    const all = this.lifted.get(name) ?? name
    const shape = this.shape(name)
    return rank === shape.length
      ? all
      : this.reshaped(all, [...new Array<number>(rank - shape.length).fill(1), ...shape])
  }

  /** N x s of any value: one that is the same for all examples is repeated. */
  repeated(name: string, example: string): string {
    if (this.varies(name)) return this.all(name)
    const { builder } = this
    const count = builder.node('Shape', [this.all(example)], { start: 0, end: 1 })
    const target = builder.node('Concat', [count, builder.integers(this.shape(name))], { axis: 0 })
    return builder.node('Expand', [name, target])
  }

  /** N x shape. */
  reshaped(all: string, shape: readonly number[]): string {
    return this.builder.node('Reshape', [all, this.builder.integers([-1, ...shape])])
  }

  /** An input that holds integers. @throws GraphError BATCH_AXIS when they depend on the data */
  integers(node: Node, index: number): number[] | undefined {
    const name = node.inputs[index] ?? ''
    if (name === '') return undefined
    const value = this.known(name)
    if (value === undefined) throw this.refusal(node)
    return Array.from(value.data)
  }

  /** The node on other inputs, with all of its outputs that are used. */
  apply(node: Node, inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = node.attributes): string[] {
    const { builder } = this
    const outputs = node.outputs.map(name => (name === '' ? '' : builder.fresh(name)))
    builder.nodes.push({ ...node, inputs, outputs, attributes })
    return outputs
  }

  /** That a node has no form for several examples. */
  refusal(node: Node): GraphError {
    return new GraphError('BATCH_AXIS', `${describeNode(node)}: it cannot be written for any number of examples.`, {
      op: node.op,
    })
  }
}
