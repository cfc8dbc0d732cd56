/** @file Seeds and examples as one batch, for operators that know a single batch axis in front of the channels. */
import { type Dim, isBatch } from '../graph/graph.js'
import type { BackwardContext } from './operator.js'

/** The first axis of a cotangent together with K (and N): what is in front of the channels becomes one axis. */
export function mergeFront({ builder }: BackwardContext, cotangent: string, shape: readonly Dim[]): string {
  return builder.node('Reshape', [cotangent, builder.integers([-1, ...shape.slice(1) as readonly number[]])])
}

/** Undoes `mergeFront` for the cotangent of a value of `shape`. */
export function splitFront({ builder, seeds }: BackwardContext, merged: string, shape: readonly Dim[]): string {
  // K first: [-1, K] has the same size, and seeds would come out exchanged with examples.
  return builder.node('Reshape', [merged, builder.integers(
    isBatch(shape[0])
      ? [seeds, -1, ...shape.slice(1) as readonly number[]]
      : [seeds, -1, ...shape as readonly number[]],
  )])
}
