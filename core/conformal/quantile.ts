/** @file The quantile of held-out scores that covers a new one: all of conformal prediction rests on it. */
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'

/** (n + 1) level may round to just above a whole number that it equals, and the rank would jump by one. */
const ROUNDING = 1e-9

/**
 * Rank of the score that bounds a new one with probability `level` at least: ceil((n + 1) level); n + 1 means that none
 * does. Among n + 1 exchangeable scores the new one is equally likely to have any rank (Vovk, Gammerman and Shafer
 * 2005).
 * @throws OptionError BAD_OPTION when the level is not between 0 and 1
 */
export function conformalRank(n: number, level: number): number {
  if (!(level > 0 && level < 1)) {
    throw new OptionError('BAD_OPTION', `Option level must lie between 0 and 1, for example 0.9; got ${shown(level)}.`,
      {
        option: 'level',
        value: level,
      })
  }
  return Math.min(n + 1, Math.max(1, Math.ceil((n + 1) * level - ROUNDING)))
}

/**
 * The ceil((n + 1) level)-th smallest score; Infinity when n is too small for the level.
 *
 * With scores that have no ties, the coverage of new rows given these n scores follows Beta(k, n + 1 - k), k the rank
 * (Vovk 2012): `level` on average over calibrations, not for each of them.
 * @param sorted n scores, rising
 */
export function conformalQuantile(sorted: Float64Array, level: number): number {
  const rank = conformalRank(sorted.length, level)
  return rank > sorted.length ? Infinity : sorted[rank - 1]
}

/** What to say where n rows cannot bound a new score at this level; else undefined. */
export function shortageNote(n: number, level: number): string | undefined {
  if (conformalRank(n, level) <= n) return undefined
  const needed = Math.ceil(level / (1 - level) - ROUNDING)
  return `${n} rows cannot guarantee the level ${level}: it needs ${needed} rows at least, ` +
    `and ${n} rows reach ${Number((n / (n + 1)).toPrecision(3))}. So nothing is excluded.`
}
