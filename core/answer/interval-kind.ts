/** @file Where the width of an interval comes from. */

/**
 * Rows held out; training rows, each predicted without itself; the Gaussian predictive distribution, or that of
 * counts; or, without noise, the distribution of the function.
 */
export type IntervalKind = 'conformal' | 'jackknife' | 'gaussian' | 'poisson' | 'credible'
