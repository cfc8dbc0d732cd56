/** @file What a fit to rows accepts beside them. */
import type { WorkOptions } from '../budget/progress.js'

/** What a fit to rows accepts: how often each of them counts, beside what long work does. */
export interface FitWork extends WorkOptions {
  /**
   * N numbers that are not negative: 2 is the row twice, 0 no row. What keeps rows for their linear model takes whole
   * numbers; sums (a prior that is given, or tuned by `marglik` or `grid`) take any.
   */
  readonly sampleWeight?: ArrayLike<number> | undefined
}
