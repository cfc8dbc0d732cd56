/** @file The range in which prior precisions are sought: beyond it a prior is off, or pins its parameters. */
/** Smallest prior precision that tuning gives. */
export const LOWEST_PRECISION = 1e-12
/** Largest prior precision that tuning gives. */
export const HIGHEST_PRECISION = 1e12
