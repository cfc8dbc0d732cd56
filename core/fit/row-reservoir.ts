/** @file A seeded sample of rows that come batch by batch. */
import type { Batch } from '../tensor/batch.js'
import { exampleCount, exampleRange, mapArrays } from '../tensor/examples.js'
import { randomGenerator } from '../tensor/random.js'
import { rows, type Tensor } from '../tensor/tensor.js'

/** Rows of which each had the same chance. */
export interface RowReservoir {
  add(batch: Batch): void
  /** One row each; all of them where there were no more than may be kept. */
  rows(): readonly Batch[]
}

/** Keeps `most` rows, the same ones however the rows are cut into batches (Vitter 1985, algorithm R). */
export function rowReservoir(most: number, seed: number): RowReservoir {
  const kept: Batch[] = []
  const random = randomGenerator(seed)
  let seen = 0
  return {
    add(batch) {
      for (let n = 0; n < exampleCount(batch.x); n++) {
        const place = seen < most ? seen : Math.floor(random.uniform() * (seen + 1))
        seen++
        if (place < most) kept[place] = rowOf(batch, n)
      }
    },
    rows: () => kept,
  }
}

/** A copy, as a view would keep the whole batch. */
function rowOf({ x, y }: Batch, n: number): Batch {
  return { x: mapArrays(exampleRange(x, n, n + 1), copied), y: copied(rows(y, n, n + 1)) }
}

function copied(values: Tensor): Tensor {
  return { ...values, data: values.data.slice() }
}
