/** @file Seeded random matrices and the comparisons that the kernel tests share. */
import type { RealArray } from '../../../core/kernels/plain.js'

/** Uniform numbers in [0, 1) from a 32-bit state (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z = (z + Math.imul(z ^ (z >>> 7), z | 61)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296
  }
}

/** Fills with numbers in (-1, 1) and returns the array. */
export function filled<A extends RealArray>(array: A, random: () => number): A {
  for (let i = 0; i < array.length; i++) array[i] = 2 * random() - 1
  return array
}

/** Largest absolute difference; NaN where one of two numbers is NaN. */
export function differenceOf(actual: RealArray, expected: RealArray): number {
  let largest = 0
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!)
    if (!(difference <= largest)) largest = difference
  }
  return largest
}
