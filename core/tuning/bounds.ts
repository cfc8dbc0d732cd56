/** @file The range in which prior precisions are sought: beyond it a prior is off, or pins its parameters. */
/** Smallest prior precision that tuning gives. */
export const LOWEST_PRECISION = 1e-12
/** Largest prior precision that tuning gives. */
export const HIGHEST_PRECISION = 1e12

/** A prior precision within the range; NaN, where nothing speaks against it, is the largest. */
export function boundedPrecision(value: number): number {
  return Number.isNaN(value) ? HIGHEST_PRECISION : Math.min(HIGHEST_PRECISION, Math.max(LOWEST_PRECISION, value))
}
