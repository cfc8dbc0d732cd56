/** @file The few statistics of measurements. */

/** The middle value; of an even number the lower one of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)]
}

/** Numbers below this share of the largest one are compared relative to it: their own relative error says nothing. */
const FLOOR = 1e-3

/**
 * The largest relative difference of two sets of results, { name: numbers }: |a - b| / max(|b|, FLOOR max |b|) over all
 * numbers that both have.
 */
export function relativeDifference(ours, theirs) {
  let largest = 0
  for (const [name, values] of Object.entries(theirs)) {
    const floor = FLOOR * Math.max(...values.map(Math.abs))
    values.slice(0, ours[name].length).forEach((value, i) => {
      largest = Math.max(largest, Math.abs(ours[name][i] - value) / Math.max(Math.abs(value), floor))
    })
  }
  return largest
}
