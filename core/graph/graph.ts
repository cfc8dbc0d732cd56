/**
 * @file The intermediate form of every network and of every program made from one.
 *
 * A graph is a list of nodes in topological order over named values. Operators have the names, the inputs and the
 * attributes of the newest ONNX operator set (readers of older files upgrade them), so that writing a graph as an ONNX
 * file is a transcription. Every value of type `ValueType` knows which of its axes carries the examples of a batch.
 */
import { demandFields } from '../errors/demand.js'
import type { DType, Tensor } from '../tensor/tensor.js'
import type { OpenChoice } from './open-choice.js'

/**
 * An attribute of a node: integers and floats are numbers, booleans 0 or 1.
 * A tensor attribute occurs only in `Constant`; readers turn those nodes into initialisers.
 */
export type Attribute = number | string | readonly number[] | readonly string[] | Tensor

/** One application of an operator. An absent optional input is the empty string. */
export interface Node {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, Attribute>>
  /** The name in the model file, for messages. */
  readonly name?: string
}

/**
 * An axis that carries the examples: its length is `outer * N * inner` for a batch of N, and example n is found at
 * indices `(o * N + n) * inner + i`. Flattening B x T x D to (B T) x D gives `{ outer: 1, inner: T }`.
 */
export interface BatchDim {
  readonly outer: number
  readonly inner: number
}

/** The length of an axis: a number, or a multiple of the batch size. */
export type Dim = number | BatchDim

/** What is known of a value before a graph runs. */
export interface ValueType {
  readonly dtype: DType
  readonly shape: readonly Dim[]
}

/** An input of a graph. At most one axis is a batch axis. */
export interface GraphInput extends ValueType {
  readonly name: string
  /**
   * Axes whose length the file leaves open and the reader chose: no node depends on it, and data set it (see
   * open-axes.ts).
   */
  readonly openAxes?: readonly number[]
  /** The names of its columns, where the network was trained with a table that has names. */
  readonly columns?: readonly string[]
  /** Its integers pick from a list of this length: they are 0 and more, and less than this. */
  readonly below?: number
}

/**
 * A trainable tensor. `shape` is that of the parameter vector theta: a linear operator's weight is out x in.
 * `transposed` says that the initialiser of this name stores it as in x out (last two axes exchanged).
 */
export interface Parameter {
  readonly name: string
  readonly shape: readonly number[]
  readonly transposed: boolean
  /** The elements that take part in theta, row-major (out x in) and ascending; all of them where there is no list. */
  readonly elements?: Int32Array
}

/** A network, or a program made from one. Plain data: it can be posted to a worker and saved. */
export interface Graph {
  readonly inputs: readonly GraphInput[]
  /** The names of all inputs that the network was made with, where nodes read only some of them. */
  readonly declaredInputs?: readonly string[]
  /** Names of the output values. */
  readonly outputs: readonly string[]
  /** In topological order. */
  readonly nodes: readonly Node[]
  readonly initializers: ReadonlyMap<string, Tensor>
  /** In the order of the parameter vector theta: that of the model file. */
  readonly parameters: readonly Parameter[]
  /** What the reader changed or noticed, in sentences for the user. */
  readonly notes: readonly string[]
  /** What the reader has chosen of its parameters; each has its note, until the user chooses. It is not saved. */
  readonly choices?: readonly OpenChoice[]
  /**
   * The network for B examples at a time, B x s to B x o, as its file has it, where this graph computes each alone and
   * nothing but the numbers shows that this is the same: fits compare their rows with it. It is not saved.
   */
  readonly together?: Graph
  /** Why the examples of a file for a fixed number of them cannot be told apart, for messages. It is not saved. */
  readonly inseparable?: string
}

/** The batch axis of an input of a network: one example a row. */
export const BATCH: BatchDim = { outer: 1, inner: 1 }

/** @throws OptionError BAD_OPTION for what no reader and no builder has made */
export function demandGraph(name: string, graph: unknown): void {
  demandFields(name, 'a network that has been read (readNetwork) or built (GraphBuilder)', graph, ['nodes', 'inputs',
    'outputs', 'initializers', 'parameters'])
}

/** Whether an axis carries the examples. */
export function isBatch(dim: Dim): dim is BatchDim {
  return typeof dim !== 'number'
}

/** Index of the axis that carries the examples, or -1 when the value is the same for every example. */
export function batchAxis(type: ValueType): number {
  return type.shape.findIndex(isBatch)
}

/** The shape for a batch of `n` examples. */
export function concreteShape(shape: readonly Dim[], n: number): number[] {
  return shape.map(dim => (isBatch(dim) ? dim.outer * n * dim.inner : dim))
}
