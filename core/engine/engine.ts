/** @file What every engine offers: graphs compiled into programs. Nothing above an engine knows which one runs. */
import type { Graph } from '../graph/graph.js'
import type { Precision, Tensor } from '../tensor.js'

/** A graph made ready to run. */
export interface Program {
  /**
   * Runs the graph on one batch. Every input of the graph must be given; the batch size is read from them.
   * @returns the outputs by name; their data belongs to the caller
   * @throws ShapeError when an input does not have its declared shape
   */
  run(inputs: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>>
  /** Releases what the program holds outside of the garbage-collected heap. */
  dispose(): void
}

export interface Engine {
  readonly name: 'typescript' | 'onnxruntime'
  /** Makes a program that computes in `precision`; floating-point initialisers and inputs are converted to it. */
  compile(graph: Graph, precision: Precision): Promise<Program>
}
