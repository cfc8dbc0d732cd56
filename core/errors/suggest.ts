/** @file "Did you mean": the nearest allowed word, and the typed error that names it. */
import { OptionError } from './errors.js'
import { shown } from './shown.js'

/** Levenshtein distance between two words (insert, delete, replace one character each cost 1). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]
}

/** The allowed word nearest to `word`, or undefined when none is close (more than half of its letters differ). */
export function nearestWord(word: string, allowed: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '')
  const wanted = plain(word.slice(0, 100))
  let best: string | undefined
  let distance = Infinity
  for (const candidate of allowed) {
    const d = editDistance(wanted, plain(candidate))
    if (d < distance) {
      best = candidate
      distance = d
    }
  }
  return distance <= Math.ceil(wanted.length / 2) ? best : undefined
}

/**
 * Checks that an option's value is one of the allowed words.
 * @throws OptionError BAD_OPTION with the allowed words and the nearest one.
 */
export function oneOf<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find(word => word === value)
  if (found !== undefined) return found
  const suggestion = typeof value === 'string' ? nearestWord(value, allowed) : undefined
  throw new OptionError('BAD_OPTION',
    `Option ${option} must be one of ${allowed.join(', ')}; got ${
      typeof value === 'string' ? `'${value.slice(0, 100)}'` : typeof value
    }.` +
      (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { option,
    value: typeof value === 'string' ? value.slice(0, 100) : typeof value, allowed,
    ...(suggestion === undefined ? {} : { suggestion }) })
}

/** The value of an option that is true or false. @throws OptionError BAD_OPTION */
export function flag(option: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise
  if (typeof value === 'boolean') return value
  throw new OptionError('BAD_OPTION', `Option ${option} must be true or false; got ${typeof value}.`, { option,
    value: typeof value })
}

/** The options, where they are an object. @throws OptionError BAD_OPTION */
export function optionsObject<T extends object>(what: string, options: T): T {
  const given: unknown = options
  if (Object.prototype.toString.call(given) === '[object Object]') return options
  throw new OptionError('BAD_OPTION',
    `The options of ${what} must be an object such as { name: value }; got ${shown(given)}.`, { option: 'options',
    value: typeof given })
}

/**
 * Checks that every key of an options object is known.
 * @throws OptionError UNKNOWN_OPTION with the nearest known name; BAD_OPTION for what is no object
 */
export function knownOptions(what: string, options: object, known: readonly string[]): void {
  optionsObject(what, options)
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const suggestion = nearestWord(key, known)
    throw new OptionError('UNKNOWN_OPTION',
      `${what} has no option '${key.slice(0, 100)}'; the options are ${known.join(', ')}.` +
        (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { option: key.slice(0, 100), allowed: known,
      ...(suggestion === undefined ? {} : { suggestion }) })
  }
}
