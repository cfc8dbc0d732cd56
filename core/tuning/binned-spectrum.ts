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

/** The bins of numbers that are not negative; undefined where they are so few that all may be taken. */
export function binned(values: Float64Array): WeightedValues | undefined {
  if (values.length < FEWEST) return undefined
  let largest = 0
  for (let i = 0; i < values.length; i++) if (values[i] > largest) largest = values[i]
  const [counts, sums] = [new Float64Array(BINS), new Float64Array(BINS)]
  const binOf = binBelow(largest)
  for (let i = 0; i < values.length; i++) {
    const bin = binOf(values[i])
    counts[bin]++
    sums[bin] += values[i]
  }
  const filled = Array.from(counts.keys()).filter(bin => counts[bin] > 0)
  return { values: Float64Array.from(filled, bin => sums[bin] / counts[bin]),
    counts: Float64Array.from(filled, bin => counts[bin]) }
}

/** The bin of a number up to the largest one, whose bin is 0; the last bin takes all that are too small for another. */
function binBelow(largest: number): (value: number) => number {
  const number = new DataView(new ArrayBuffer(8))
  const leading = (value: number): number => {
    number.setFloat64(0, value)
    return number.getUint32(0) >>> BITS_WITHIN
  }
  const first = leading(largest)
  return value => Math.min(BINS - 1, first - leading(value))
}
