/** @file Numbers as people read them. */

/** A number with a sensible count of digits: 4 significant ones, without an exponent where it can be avoided. */
export function formatNumber(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (value !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(digits - 1)
  return String(Number(value.toPrecision(digits)))
}

/** A count with thousands set apart. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** How many rows there are. */
export const formatRows = (count: number): string => `${formatCount(count)} ${count === 1 ? 'row' : 'rows'}`

/** A share as a percentage with one decimal. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
