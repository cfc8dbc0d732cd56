/**
 * @file A spectrum in few numbers, on which the evidence is nearly what it is on all of them: eigenvalues that differ
 * by less than a sixty-fourth part of their power of two are counted together, at their mean.
 *
 * With r the relative width of a bin, log(l + delta) summed over it differs by less than r^2 / 8 a value, and so does
 * any derivative with respect to log delta: enough to find where the maximum is, not what it is.
 */

/** Numbers, and how often each counts. */
export interface WeightedValues {
  readonly values: Float64Array
  readonly counts: Float64Array
}

/** Below this many values their bins would save little. */
const FEWEST = 4096
/** Of the upper half of a float64 (sign, 11 bits of exponent, 20 of mantissa): 64 bins for a power of two. */
const BITS_WITHIN = 14
/** Powers of two below the largest value from which on values are one bin: far below the least precision to be told. */
const POWERS = 128
const BINS = POWERS << (20 - BITS_WITHIN)

/** Which half of a float64 is the upper one on this machine. */
const UPPER = new Uint32Array(Float64Array.of(1).buffer)[1] === 0 ? 0 : 1

/** The bins of numbers that are not negative; undefined where they are so few that all may be taken. */
export function binned(values: Float64Array): WeightedValues | undefined {
  if (values.length < FEWEST) return undefined
  // Plain loops over whole numbers: they run once a tuning, before anything is compiled.
  const halves = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length)
  let first = 0
  for (let at = UPPER; at < halves.length; at += 2) if (halves[at] > first) first = halves[at]
  first >>>= BITS_WITHIN
  const [counts, sums] = [new Float64Array(BINS), new Float64Array(BINS)]
  let bins = 0
  for (let i = 0; i < values.length; i++) {
    const below = first - (halves[2 * i + UPPER] >>> BITS_WITHIN)
    // The last bin takes all that are too small for another.
    const bin = below < BINS ? below : BINS - 1
    if (counts[bin] === 0) bins++
    counts[bin]++
    sums[bin] += values[i]
  }
  const filled = { values: new Float64Array(bins), counts: new Float64Array(bins) }
  for (let bin = 0, to = 0; bin < BINS; bin++) {
    if (counts[bin] === 0) continue
    filled.values[to] = sums[bin] / counts[bin]
    filled.counts[to++] = counts[bin]
  }
  return filled
}
