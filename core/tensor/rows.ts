/** @file Samples of rows. */
import { randomGenerator } from './random.js'

/** All rows, or a seeded sample of `count` of them without replacement, ascending. */
export function sampledRows(examples: number, count: number, seed: number): Int32Array {
  const rows = Int32Array.from({ length: examples }, (_, i) => i)
  if (count >= examples) return rows
  const random = randomGenerator(seed)
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random.uniform() * (examples - i))
    const kept = rows[i]
    rows[i] = rows[j]
    rows[j] = kept
  }
  return rows.subarray(0, count).sort()
}

/** The given rows of a matrix of `width` columns, in float64. */
export function takeRows(values: ArrayLike<number>, rows: Int32Array, width: number): Float64Array {
  const result = new Float64Array(rows.length * width)
  rows.forEach((row, i) => {
    for (let k = 0; k < width; k++) result[i * width + k] = values[row * width + k]
  })
  return result
}
