/** @file What upgrading a node may look at and append. */
import { GraphError } from '../../core/errors/errors.js'
import type { GraphBuilder } from '../../core/graph/builder.js'
import { type Attribute, concreteShape, type Dim, type Graph, isBatch, type Node } from '../../core/graph/graph.js'
import { elementTypeOf } from '../../core/ops/element-types.js'
import type { InferredValue } from '../../core/ops/operator.js'
import { isSupported, operatorFor } from '../../core/ops/registry.js'
import { givenTypes, heapContext, inferNode } from '../../core/passes/infer.js'
import { type DType, type Tensor, tensor } from '../../core/tensor/tensor.js'

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

/**
 * Why a node cannot be written in other operators; thrown and caught while it is tried. The node stays as it is, with
 * the reason in its operator's name, and the core refuses it where it is needed.
 */
export class NotExpressible extends Error {
  /** The value that nothing is known of, where that is the reason. */
  readonly unknown: string | undefined

  constructor(message: string, unknown?: string) {
    super(message)
    this.unknown = unknown
  }
}

/** A value, or the values of a sequence: sequences exist only while a file is read. */
export type Expressed = string | readonly string[] | undefined

/** A number stands for a scalar constant. */
export type Operand = string | number

/** A value by which a node of the file was written out: a count, a condition, a position. */
export interface Decision {
  readonly value: string
  readonly node: Node
}

/** Where the nodes begin that a node of the file became. */
export interface Place {
  readonly node: Node
  readonly from: number
}

/** The graph being written in the newest operator set. */
export class UpgradeContext {
  readonly builder: GraphBuilder
  readonly types: KnownTypes
  /** Values that are sequences, by name. */
  readonly sequences: Map<string, readonly string[]> = new Map()
  /** Values that count the examples, written without, and by how much they grow from one to the next. */
  readonly exampleNumbers: Map<string, number> = new Map()
  /** Vectors of indices whose first element is the number of the example. */
  readonly exampleIndices: Set<string> = new Set()
  /** The outputs of the network. */
  readonly outputs: ReadonlySet<string>
  /** Whether nodes were written out in others. */
  writtenOut = false
  /** The values by which that was done and that are no constants of the file. */
  readonly decisions: Decision[] = []
  /** The nodes of the file, in the order in which they are written. */
  readonly places: Place[] = []
  private readonly elementTypes: ReadonlyMap<string, number>
  private readonly sharedNames = new Map<Tensor, string>()
  private origin: Node | undefined

  constructor(builder: GraphBuilder, types: KnownTypes, outputs: readonly string[],
    elementTypes: ReadonlyMap<string, number>) {
    this.builder = builder
    this.types = types
    this.outputs = new Set(outputs)
    this.elementTypes = elementTypes
  }

  /** Appends a node under its own output names. */
  append(node: Node): void {
    this.builder.nodes.push(node)
    inferIfKnown(node, this.types)
  }

  /** Appends a node with one new value. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.nodeOutputs(op, inputs, 1, attributes)[0]
  }

  /** Appends a node with new values. */
  nodeOutputs(op: string, inputs: readonly string[], count: number,
    attributes: Readonly<Record<string, Attribute>> = {}): string[] {
    const outputs = Array.from({ length: count }, () => this.builder.fresh(op.toLowerCase()))
    const name = this.origin?.name ?? this.origin?.outputs[0]
    this.append({ op, inputs, outputs, attributes, ...(name === undefined ? {} : { name }) })
    return outputs
  }

  /** Calls `write` with all nodes that it appends named after one of the file, for messages. */
  writing<T>(node: Node, write: () => T): T {
    const before = this.origin
    this.origin = before ?? node
    if (before === undefined) this.places.push({ node, from: this.builder.nodes.length })
    try {
      return write()
    } finally {
      this.origin = before
    }
  }

  /** Gives a value, or a sequence, a name of the file. */
  rename(value: Expressed, name: string): void {
    if (value === undefined || name === '') return
    if (typeof value !== 'string') this.sequences.set(name, value)
    else if (this.sequences.has(value)) this.sequences.set(name, this.sequences.get(value) ?? [])
    else this.append({ op: 'Identity', inputs: [value], outputs: [name], attributes: {} })
  }

  /**
   * Gives the value of the last node, where that is one of those from `from` on and nothing else has the value, a name
   * of the file: one of several results of a node that was written out.
   * @returns false, and nothing is done, for other values
   */
  nameLast(results: readonly Expressed[], i: number, name: string, from: number): boolean {
    const value = results[i]
    const { nodes } = this.builder
    const last = nodes.at(-1)
    if (typeof value !== 'string' || name === '' || last?.outputs.includes(value) !== true || nodes.length <= from ||
      results.indexOf(value) !== results.lastIndexOf(value) || this.decisions.some(each => each.value === value) ||
      [...this.sequences.values()].some(each => each.includes(value))) return false
    nodes[nodes.length - 1] = { ...last, outputs: last.outputs.map(each => (each === value ? name : each)) }
    const type = this.types.get(value)
    this.types.delete(value)
    if (type !== undefined) this.types.set(name, type)
    return true
  }

  /** Whether a value is that of an operator that is supported, so that the core says what is wrong with it. */
  isOfSupported(value: string): boolean {
    return this.builder.nodes.some(({ op, outputs }) => outputs.includes(value) && isSupported(op))
  }

  /** A new constant. */
  constant(value: Tensor, stem: string): string {
    const name = this.builder.constant(value, stem)
    this.types.set(name, { dtype: value.dtype, shape: value.shape, constant: value })
    return name
  }

  /** The constant of a body that is written out several times: one for all of them, since its weights are one. */
  shared(value: Tensor, stem: string): string {
    const name = this.sharedNames.get(value) ?? this.constant(value, stem)
    this.sharedNames.set(value, name)
    return name
  }

  /** A constant vector of integers. */
  integers(values: readonly number[]): string {
    return this.constant(tensor('int64', [values.length], values), 'integers')
  }

  /** A constant integer. */
  integer(value: number): string {
    return this.constant(tensor('int64', [], [value]), 'integer')
  }

  /** A constant scalar of the dtype of another value. */
  scalarLike(like: string, value: number): string {
    return this.constant(tensor(this.type(like).dtype, [], [value]), 'scalar')
  }

  /** An operator of two operands, one of which may be a number, of the other's dtype. */
  binary(op: string, a: Operand, b: Operand): string {
    const like = typeof a === 'string' ? a : String(b)
    return this.node(op, [a, b].map(each => (typeof each === 'string' ? each : this.scalarLike(like, each))))
  }

  add(a: Operand, b: Operand): string {
    return this.binary('Add', a, b)
  }

  sub(a: Operand, b: Operand): string {
    return this.binary('Sub', a, b)
  }

  mul(a: Operand, b: Operand): string {
    return this.binary('Mul', a, b)
  }

  div(a: Operand, b: Operand): string {
    return this.binary('Div', a, b)
  }

  cast(value: string, dtype: DType): string {
    return this.type(value).dtype === dtype ? value : this.node('Cast', [value], { to: elementTypeOf(dtype) })
  }

  reshape(value: string, shape: readonly number[]): string {
    return this.node('Reshape', [value, this.integers(shape)])
  }

  transpose(value: string, perm: readonly number[]): string {
    return this.node('Transpose', [value], { perm })
  }

  unsqueeze(value: string, ...axes: readonly number[]): string {
    return this.node('Unsqueeze', [value, this.integers(axes)])
  }

  /** Elements `from` to `to` (exclusive) of an axis. */
  slice(value: string, axis: number, from: number, to: number): string {
    return this.node('Slice', [value, this.integers([from]), this.integers([to]), this.integers([axis])])
  }

  /** Extents `from` to `to` of a value as integers, which may count the examples. */
  extents(value: string, from?: number, to?: number): string {
    return this.node('Shape', [value], { ...(from === undefined ? {} : { start: from }),
      ...(to === undefined ? {} : { end: to }) })
  }

  concat(values: readonly string[], axis: number): string {
    return values.length === 1 ? values[0] : this.node('Concat', values, { axis })
  }

  /** Whether lengths of the input are open, so that those of other values are not what they will be. */
  get hasOpenLengths(): boolean {
    return this.builder.inputs.some(input => input.openAxes !== undefined)
  }

  /** Number of axes of a value, or undefined. */
  rank(name: string): number | undefined {
    return this.types.get(name)?.shape.length
  }

  /** The element type of a value as the file has it, or that in which it is computed here. */
  elementType(name: string): number {
    return this.elementTypes.get(name) ?? elementTypeOf(this.type(name).dtype)
  }

  /** What is known of a value. @throws NotExpressible where that is nothing */
  type(name: string): InferredValue {
    const type = this.types.get(name)
    if (type === undefined) throw new NotExpressible('behind an operator that is not supported', name)
    return type
  }

  /** The shape of a value. Lengths that the file leaves open may be among it. @throws NotExpressible */
  shape(name: string): readonly Dim[] {
    return this.type(name).shape
  }

  /** A length that nodes are written by. @throws NotExpressible for the number of examples */
  length(name: string, axis: number, what: string): number {
    const { shape } = this.type(name)
    const dim = shape[axis < 0 ? axis + shape.length : axis] as Dim | undefined
    if (dim === undefined) throw new NotExpressible(`whose ${what} does not exist`)
    if (isBatch(dim)) throw new NotExpressible(`whose ${what} is that of the examples`)
    return dim
  }

  /** A value that does not depend on the data. @throws NotExpressible */
  known(name: string, what: string): Tensor {
    const { constant } = this.type(name)
    if (constant === undefined) throw new NotExpressible(`whose ${what} depends on the data`)
    this.decideBy(name)
    return constant
  }

  /**
   * What a value is for a number of examples, where it follows from that and from constants; undefined for values that
   * depend on the data. It is meant for conditions: values of a few nodes.
   */
  valueFor(name: string, examples: number): Tensor | undefined {
    const { constant, dims, dtype } = this.types.get(name) ?? {}
    if (constant !== undefined) return constant
    if (dims !== undefined && dtype !== undefined) {
      return tensor(dtype, [dims.length], concreteShape(dims, examples))
    }
    const node = this.builder.nodes.findLast(({ outputs }) => outputs.includes(name))
    if (node === undefined || !isSupported(node.op) || node.inputs.length === 0) return undefined
    const inputs = node.inputs.map(input => (input === '' ? undefined : this.valueFor(input, examples)))
    if (node.inputs.some((input, i) => input !== '' && inputs[i] === undefined)) return undefined
    return operatorFor(node.op).run(node, inputs, heapContext)[node.outputs.indexOf(name)]
  }

  /** Notes that nodes are written by the elements of a value, which may follow from lengths that are open. */
  decideBy(value: string): void {
    if (this.origin !== undefined && !this.builder.initializers.has(value)) {
      this.decisions.push({ value, node: this.origin })
    }
  }
}
