/** @file How far two arrays are apart. */

/**
 * Largest absolute difference over the largest absolute expected value; infinity where the lengths differ or a value
 * is not a number.
 */
export function relativeDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity
  let difference = 0
  let scale = 0
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i] - expected[i])
    if (!(d <= difference)) difference = Number.isNaN(d) ? Infinity : d
    scale = Math.max(scale, Math.abs(expected[i]))
  }
  return scale === 0 ? difference : difference / scale
}
