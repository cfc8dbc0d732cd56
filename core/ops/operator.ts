/**
 * @file What an operator is: a shape rule, a kernel and, where it has one, a derivative rule, side by side.
 *
 * Cotangents. In reverse mode K seeds travel at once, so every cotangent has leading axes before the axes of its value:
 * `[K]` for a value that has a batch axis, `[K, N]` for one that has none (a parameter, or something computed from
 * parameters only), because gradients stay per example. A derivative rule therefore counts axes from the end, or adds
 * the number of leading axes (`lead`), and never sums over the batch axis.
 */
import type { GraphBuilder } from '../graph/builder.js'
import type { Dim, Node, ValueType } from '../graph/graph.js'
import type { DType, Tensor, TensorData } from '../tensor/tensor.js'

/** What shape inference knows of a value. */
export interface InferredValue extends ValueType {
  /** The value itself, when it does not depend on the input. */
  readonly constant?: Tensor
  /**
   * The elements of an integer scalar or vector computed from shapes, where some may be multiples of the batch size.
   */
  readonly dims?: readonly Dim[]
  /** Whether it hangs on an input, also on one without a batch axis. */
  readonly ofInput?: true
}

/** What a kernel may use. */
export interface KernelContext {
  /** Storage for a result, reused when the engine knows that nobody reads it any more; its content is arbitrary. */
  allocate(dtype: DType, length: number): TensorData
}

/** What a derivative rule may use. Values are named as in the graph being built. */
export interface BackwardContext {
  readonly builder: GraphBuilder
  readonly node: Node
  readonly inputs: readonly (InferredValue | undefined)[]
  readonly outputs: readonly InferredValue[]
  /** The cotangent of each output, or undefined where none flows. */
  readonly cotangents: readonly (string | undefined)[]
  /** K, the number of seeds. */
  readonly seeds: number
  /** Whether the cotangent of an input is asked for. */
  readonly needs: readonly boolean[]
  /** Number of leading axes of the cotangent of a value: 1 with a batch axis, 2 without. */
  lead(value: InferredValue): number
  /**
   * Turns a cotangent shaped like output 0 into one shaped like `input` by summing over the axes along which `input`
   * was broadcast; the batch axis is kept (moved behind K where `input` has none).
   */
  unbroadcast(cotangent: string, input: InferredValue): string
}

/** What is known of an operator of ONNX. */
export interface Operator {
  /** The name in ONNX. */
  readonly op: string
  /** @throws GraphError when the inputs do not fit; the message says what was expected and found */
  infer(node: Node, inputs: readonly (InferredValue | undefined)[]): readonly InferredValue[]
  /**
   * Computes the outputs; the shapes have been checked by `infer`. Results may share the data of inputs (views). Inputs
   * must not be written to: they may be the network's weights, which the next batch would then find changed.
   */
  run(node: Node, inputs: readonly (Tensor | undefined)[], context: KernelContext): readonly Tensor[]
  /** Elements that `run` holds beside its inputs and outputs, where they are many; the shapes are those of one run. */
  workspace?(node: Node, shapes: readonly (readonly number[])[]): number
  /**
   * Appends the nodes that compute the cotangents of the inputs; absent for operators without a derivative.
   * They are linear in the cotangents and read nothing else of them, not even their shapes: J v is their own derivative
   * with respect to the cotangents (core/programs/jvp-program.ts), so the operators that they consist of need rules
   * too.
   */
  backward?(context: BackwardContext): readonly (string | undefined)[]
}
