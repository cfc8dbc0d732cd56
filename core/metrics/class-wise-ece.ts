/**
 * @file Class-wise expected calibration error (Kull et al. 2019): every probability that is given, not the largest
 * alone.
 */
import { ECE_BINS } from './ece.js'

/**
 * Mean over the classes c of sum over bins of (share of points) |share of y = c - mean p_c|, bins (lo, hi] of equal
 * width, the first with its 0.
 * @param p N x C probabilities
 * @param happened N x C: 1 where the class or label is there, else 0
 */
export function classWiseCalibrationError(p: Float64Array, happened: ArrayLike<number>, outputs: number,
  bins: number = ECE_BINS): number {
  // gap: sum of what happened minus what was foretold, for each class and bin.
  const gap = new Float64Array(outputs * bins)
  for (let i = 0; i < p.length; i++) gap[i % outputs * bins + binOf(p[i], bins)] += happened[i] - p[i]
  return gap.reduce((sum, value) => sum + Math.abs(value), 0) / p.length
}

/** N x C of 0 and 1 from N class numbers. */
export function oneHot(y: Float64Array, outputs: number): Uint8Array {
  const rows = new Uint8Array(y.length * outputs)
  for (let n = 0; n < y.length; n++) rows[n * outputs + y[n]] = 1
  return rows
}

/**
 * The bin with lo < value <= hi for the edges i / bins. A product may round to the wrong side of an edge: look again.
 */
function binOf(value: number, bins: number): number {
  let bin = Math.min(bins - 1, Math.max(0, Math.ceil(value * bins) - 1))
  if (bin > 0 && value <= bin / bins) bin--
  if (bin < bins - 1 && value > (bin + 1) / bins) bin++
  return bin
}
