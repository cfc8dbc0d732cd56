/** @file Numbers and lists in the sentences of warnings. */

/** Entries of a list that are named; more would hide what the sentence says. */
const MOST_NAMED = 8

/** A share as a percentage. */
export function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

/** A number with three digits. */
export function digits(value: number): string {
  return String(Number(value.toPrecision(3)))
}

/** A list in a sentence: 'a, b and c'; what is too much is counted. */
export function listed(items: readonly string[]): string {
  if (items.length > MOST_NAMED) {
    return `${items.slice(0, MOST_NAMED).join(', ')} and ${items.length - MOST_NAMED} more`
  }
  return items.length === 1 ? items[0] : `${items.slice(0, -1).join(', ')} and ${items[items.length - 1]}`
}

/** What chance cannot explain: `other` counts against `right`, the best of e^logComparisons comparisons. */
export function significant(right: number, other: number, logComparisons: number): boolean {
  const gain = other - right
  return gain > 0 && gain * gain > (other + right) * (9 + 2 * logComparisons)
}
