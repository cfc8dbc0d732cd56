/** @file Values of options: words and numbers, checked. */
import { isList } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import { oneOf } from '../errors/suggest.js'

/** A word of an option; the first of them when it is left out. @throws OptionError BAD_OPTION */
export function word<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  return value === undefined ? allowed[0] : oneOf(option, value, allowed)
}

/** A word of an option that may be left out. @throws OptionError BAD_OPTION */
export function optionalWord<T extends string>(option: string, value: unknown, allowed: readonly T[]): T | undefined {
  return value === undefined ? undefined : oneOf(option, value, allowed)
}

/** The value of an option that is one number. @throws OptionError BAD_OPTION */
export function number(option: string, value: unknown): number {
  if (typeof value === 'number') return value
  throw new OptionError('BAD_OPTION', `Option ${option} must be a number; got ${typeof value}.`, { option })
}

/** One number, or an array of numbers as float64. @throws OptionError BAD_OPTION */
export function numbers(option: string, value: unknown): number | Float64Array {
  return typeof value === 'number' ? value : numberList(option, value)
}

/** @throws OptionError BAD_OPTION for what is no list of finite numbers, or empty */
export function numberList(option: string, value: unknown): Float64Array {
  if (isList(value) && value.length > 0 && Array.from(value).every(entry => Number.isFinite(entry))) {
    return Float64Array.from(value as ArrayLike<number>)
  }
  throw new OptionError('BAD_OPTION', `Option ${option} must be a number or a list of numbers.`, { option })
}

/** The value of an option that is a whole number from `least`, to 2^53 - 1. @throws OptionError BAD_OPTION */
export function whole<T extends number | undefined>(option: string, value: T, least: number): T {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return value
  throw new OptionError('BAD_OPTION', `Option ${option} must be a whole number from ${least}; got ${shown(value)}.`, {
    option,
    value,
  })
}
