/** @file What every engine offers: graphs compiled into programs. Nothing above an engine knows which one runs. */
import type { Graph } from '../graph/graph.js'
import type { Precision, Tensor } from '../tensor/tensor.js'

/**
 * An input that is worked out from an output of the same run: the seeds of a backward pass, from the forward pass
 * before it.
 */
export interface DeferredInput {
  readonly name: string
  /** The output that it is made from. */
  readonly from: string
  readonly compute: (value: Tensor) => Tensor
}

/**
 * An output of which only the sum of its rows' outer products is wanted: the lower triangle of R'R, for R of rows x n
 * along its last axis, is added to `sum` (n x n); what is above it is of no use.
 */
export interface GramSum {
  readonly output: string
  readonly sum: Float64Array
}

/** What one run is given beside its inputs. */
export interface RunOptions {
  /** One input that is left out of `inputs`; the nodes that it is made from do not read it. */
  readonly deferred?: DeferredInput
  /** Outputs that are not handed out, but summed up. */
  readonly grams?: readonly GramSum[]
  /** Takes the outputs in place of the caller, who gets none; their numbers last until it returns. */
  readonly read?: (outputs: ReadonlyMap<string, Tensor>) => void
}

/** A graph made ready to run. */
export interface Program {
  /**
   * Runs the graph on one batch. Every input of the graph must be given; the batch size is read from them.
   * @returns the outputs by name; their data belongs to the caller
   * @throws ShapeError when an input does not have its declared shape
   */
  run(inputs: ReadonlyMap<string, Tensor>, options?: RunOptions): Promise<ReadonlyMap<string, Tensor>>
  /** Releases what the program holds outside of the garbage-collected heap. */
  dispose(): void
}

/** What turns graphs into programs. */
export interface Engine {
  readonly name: 'typescript' | 'onnxruntime'
  /** Makes a program that computes in `precision`; floating-point initialisers and inputs are converted to it. */
  compile(graph: Graph, precision: Precision): Promise<Program>
}
