/** @file How fast this machine multiplies: measured once a process, by a short product. */
import { gemm } from '../kernels/linear-algebra.js'
import { clock } from './clock.js'

/** Rows and columns of the product: some milliseconds. */
const SIZE = 320

/** A rate that no machine is slower than: that of surroundings without a clock, and of work that is surely short. */
export const LEAST_RATE = 1e8

let measured: number | undefined

/**
 * Multiplications a second of a product in float64 on one core.
 * @param now a clock in milliseconds
 */
export function multiplicationRate(now: (() => number) | undefined = clock): number {
  if (measured !== undefined) return measured
  if (now === undefined) return LEAST_RATE
  const [a, b, c] = [0, 1, 2].map(() => new Float64Array(SIZE * SIZE).fill(1e-3))
  let best = 0
  // The first product compiles the kernels.
  for (let run = 0; run < 4; run++) {
    const start = now()
    gemm(false, false, SIZE, SIZE, SIZE, 1, a, b, 0, c)
    best = Math.max(best, SIZE ** 3 / Math.max(1e-6, (now() - start) / 1000))
  }
  return (measured = best)
}
