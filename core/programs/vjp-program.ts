/** @file The program of vector-Jacobian products. */
import type { Graph } from '../graph/graph.js'
import { removeDead } from '../passes/fold.js'
import { asOutput, startBackward } from './backward-start.js'
import { reverse } from './reverse.js'

/** A graph that computes vector-Jacobian products, and the names of what goes in and comes out. */
export interface VjpProgram {
  readonly graph: Graph
  /** Name of the input for the cotangents of the output, K x N x C. */
  readonly seed: string
  /** Name of the output that holds f, N x C. */
  readonly output: string
  /** Names of the outputs that hold the cotangents, by value; a value that the output does not depend on has none. */
  readonly gradients: ReadonlyMap<string, string>
}

/**
 * Vector-Jacobian products: the cotangents of inputs and parameters for K cotangents of the output.
 * K, then the shape of the input; for an input or parameter without batch axis K x N, then its (stored) shape.
 * @throws GraphError NOT_DIFFERENTIABLE, BATCH_AXIS, BAD_GRAPH
 */
export function vjpProgram(graph: Graph, output: string, wrt: readonly string[], seeds: number): VjpProgram {
  const { builder, types, cotangent, seed, f } = startBackward(graph, output, seeds)
  const cotangents = reverse({ builder, types, output, cotangent, seeds, wanted: new Set(wrt) })
  const gradients = new Map<string, string>()
  for (const name of wrt) {
    const found = cotangents.get(name)
    if (found !== undefined) gradients.set(name, asOutput(builder, found))
  }
  return { graph: removeDead(builder.build([...new Set([f, ...gradients.values()])])), seed, output: f, gradients }
}
