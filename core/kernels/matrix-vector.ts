/**
 * @file The product of a matrix and a vector, which reads the matrix once: copying it to other memory would cost
 * more.
 */
import { pauseInLoop } from './interruption.js'

/** scale A v for A of rows x columns, row-major; four partial sums at a time. */
export function matrixTimes(rows: number, columns: number, a: Float64Array, v: Float64Array, scale = 1): Float64Array {
  pauseInLoop(rows * columns)
  const result = new Float64Array(rows)
  const whole = columns - columns % 4
  for (let i = 0, at = 0; i < rows; i++, at += columns) {
    let s0 = 0
    let s1 = 0
    let s2 = 0
    let s3 = 0
    for (let j = 0; j < whole; j += 4) {
      s0 += a[at + j] * v[j]
      s1 += a[at + j + 1] * v[j + 1]
      s2 += a[at + j + 2] * v[j + 2]
      s3 += a[at + j + 3] * v[j + 3]
    }
    for (let j = whole; j < columns; j++) s0 += a[at + j] * v[j]
    result[i] = scale * (s0 + s1 + (s2 + s3))
  }
  return result
}

/** Adds A' v to `sum`, for A of rows x columns; four rows of A at a time, so that `sum` is read less often. */
export function addTransposedTimes(rows: number, columns: number, a: Float64Array, v: Float64Array,
  sum: Float64Array): void {
  pauseInLoop(rows * columns)
  const whole = rows - rows % 4
  for (let k = 0; k < whole; k += 4) {
    const at = k * columns
    const [v0, v1, v2, v3] = [v[k], v[k + 1], v[k + 2], v[k + 3]]
    for (let i = 0; i < columns; i++) {
      sum[i] += v0 * a[at + i] + v1 * a[at + columns + i] +
        (v2 * a[at + 2 * columns + i] + v3 * a[at + 3 * columns + i])
    }
  }
  for (let k = whole; k < rows; k++) for (let i = 0; i < columns; i++) sum[i] += v[k] * a[k * columns + i]
}
