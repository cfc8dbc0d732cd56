/**
 * @file Whether a network gives examples alone what its file gives them together, for files in which nothing but the
 * numbers shows that the examples of a batch are kept apart.
 */
import { runGraph } from '../engine/typescript.js'
import type { Graph } from '../graph/graph.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import type { Inputs } from './input-rows.js'

/** Batches that are compared at most, and examples of each that are computed alone: the first, the last and others. */
const MOST_BATCHES = 4
const MOST_ALONE = 3
/** What rounding in double precision leaves, of the largest output. */
const TOLERANCE = 1e-6

/**
 * The largest difference between the outputs of examples together and alone, relative to the largest output; 0 where
 * it is within rounding, Infinity where shapes or numbers cannot be compared.
 * @param together of inputs B x s and outputs B x o, for exactly B examples
 * @param alone the network for any number of them, N x s to N x o, each example by itself
 * @param given N rows of every input, of which the first are compared; where a batch is not full, they begin again
 * @throws LaplaceError what running a graph throws
 */
export function differenceTogether(together: Graph, alone: Graph, given: Inputs): number {
  const [{ name, shape }] = together.inputs
  const size = Number(shape[0])
  const count = given.get(name)?.shape[0] ?? 0
  const some = spread(size, Math.min(size, MOST_ALONE))
  let largest = 0
  for (let from = 0; from < Math.min(count, MOST_BATCHES * size); from += size) {
    const batch = Array.from({ length: size }, (_, i) => (from + i) % count)
    const expected = runGraph(together, rowsOf(given, batch), 'float64')
    const found = runGraph(alone, rowsOf(given, some.map(i => batch[i])), 'float64')
    for (const output of together.outputs) {
      const [own, all] = [found.get(output), expected.get(output)]
      // A network of which one output was chosen has no others.
      if (own !== undefined && all !== undefined) largest = Math.max(largest, distance(own, picked(all, some)))
    }
  }
  return largest
}

/** So many whole numbers from 0 to `size` - 1, evenly spread. */
function spread(size: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (count === 1 ? 0 : Math.round(i * (size - 1) / (count - 1))))
}

function rowsOf(given: Inputs, places: readonly number[]): Inputs {
  return new Map([...given].map(([name, values]) => [name, picked(values, places)]))
}

function picked({ dtype, shape: [count, ...rest], data }: Tensor, places: readonly number[]): Tensor {
  const width = data.length / count
  const values = places.flatMap(place => Array.from(data.subarray(place * width, (place + 1) * width)))
  return tensor(dtype, [places.length, ...rest], values)
}

function distance(found: Tensor, expected: Tensor): number {
  if (found.data.length !== expected.data.length) return Infinity
  let [most, scale] = [0, 0]
  for (const [i, value] of found.data.entries()) {
    const other = expected.data[i]
    scale = Math.max(scale, Math.abs(other))
    // A NaN on one side alone is no small difference, which Math.max would make of it.
    if (!Object.is(value, other) && !(Math.abs(value - other) <= most)) most = Math.abs(value - other)
  }
  return most <= TOLERANCE * scale ? 0 : Number.isFinite(most) ? most / scale : Infinity
}
