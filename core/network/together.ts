/**
 * @file Whether a network gives examples alone what its file gives them together, for files in which nothing but the
 * numbers shows that the examples of a batch are kept apart.
 */
import { formatBytes } from '../budget/memory.js'
import { runGraph } from '../engine/typescript.js'
import { ResourceError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import { valueSizes } from '../passes/value-sizes.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import type { Inputs } from './input-rows.js'

/** Batches that are compared at most, and examples of each that are computed alone: the first, the last and others. */
const MOST_BATCHES = 4
const MOST_ALONE = 3
/** What rounding in double precision leaves, of the largest output. */
const TOLERANCE = 1e-6

/**
 * The differences between the outputs of examples together and alone, of one batch after another, relative to the
 * batch's largest output; 0 where they are within rounding, Infinity where shapes or numbers cannot be compared.
 * @param together of inputs B x s and outputs B x o, for exactly B examples
 * @param alone the network for any number of them, N x s to N x o, each example by itself
 * @param given N rows of every input, of which the first are compared; where a batch is not full, they begin again
 * @param memoryLimit bytes that one value may take
 * @throws ResourceError OUT_OF_MEMORY before anything is computed; LaplaceError what running a graph throws
 */
export function* differencesTogether(together: Graph, alone: Graph, given: Inputs,
  memoryLimit: number): Generator<number> {
  const [{ name, shape }] = together.inputs
  const size = Number(shape[0])
  checkTogether(together, size, memoryLimit)
  const count = given.get(name)?.shape[0] ?? 0
  const some = spread(size, Math.min(size, MOST_ALONE))
  for (let from = 0; from < Math.min(count, MOST_BATCHES * size); from += size) {
    const batch = Array.from({ length: size }, (_, i) => (from + i) % count)
    const expected = runGraph(together, rowsOf(given, batch), 'float64')
    const found = runGraph(alone, rowsOf(given, some.map(i => batch[i])), 'float64')
    // A network of which one output was chosen has no others.
    const differences = together.outputs.flatMap(output => {
      const [own, all] = [found.get(output), expected.get(output)]
      return own === undefined || all === undefined ? [] : [distance(own, picked(all, some))]
    })
    yield differences.length === 0 ? Infinity : Math.max(...differences)
  }
}

/** @throws ResourceError OUT_OF_MEMORY */
function checkTogether(together: Graph, size: number, limit: number): void {
  const needed = valueSizes(together).widest * Float64Array.BYTES_PER_ELEMENT
  if (needed <= limit) return
  throw new ResourceError('OUT_OF_MEMORY',
    `The network is one for batches of ${size} examples. To see that it keeps them apart would need ${
      formatBytes(needed)
    } for one value, more than the limit of ${formatBytes(limit)} (option memoryLimit). Export it with a batch axis of `
      + 'any length, or for one example.', { needed, limit })
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
