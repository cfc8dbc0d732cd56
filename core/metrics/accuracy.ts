/** @file The share of right answers. */
import type { Decisions } from './decisions.js'

/** Right answers over all answers. */
export function accuracy({ correct }: Decisions): number {
  return correct.reduce((sum, value) => sum + value, 0) / correct.length
}
