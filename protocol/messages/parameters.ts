/**
 * @file Typed access to the parameters of a request. Every function throws ProtocolError PROTOCOL naming the parameter.
 */
import { ProtocolError } from '../../core/errors/errors.js'
import { type DecodedMap, isMap, own } from '../frames/decoded-map.js'

function wrong(key: string, expected: string, value: unknown): ProtocolError {
  const actual = value === undefined
    ? 'nothing'
    : value === null
    ? 'nil'
    : Array.isArray(value)
    ? 'a list'
    : value instanceof Uint8Array
    ? 'bin'
    : typeof value === 'object'
    ? 'a map'
    : typeof value === 'string'
    ? `'${value.slice(0, 100)}'`
    : String(value)
  return new ProtocolError('PROTOCOL', `The parameter '${key}' must be ${expected}; found ${actual}.`, { parameter: key,
    expected, actual })
}

/** The value of a parameter, undefined when it is absent or nil. */
export function optional(params: DecodedMap, key: string): unknown {
  return own(params, key) ?? undefined
}

/** A parameter that is a map; empty when it is absent. */
export function mapParameter(params: DecodedMap, key: string): DecodedMap {
  const value = optional(params, key) ?? {}
  if (!isMap(value)) throw wrong(key, 'a map', value)
  return value
}

/** A parameter that is a map, undefined when it is absent. */
export function optionalMap(params: DecodedMap, key: string): DecodedMap | undefined {
  return optional(params, key) === undefined ? undefined : mapParameter(params, key)
}

/** A parameter that is text. */
export function textParameter(params: DecodedMap, key: string): string {
  const value = own(params, key)
  if (typeof value !== 'string') throw wrong(key, 'text', value)
  return value
}

/** A parameter that is text, undefined when it is absent. */
export function optionalText(params: DecodedMap, key: string): string | undefined {
  return optional(params, key) === undefined ? undefined : textParameter(params, key)
}

/** A parameter that is bin. */
export function bytesParameter(params: DecodedMap, key: string): Uint8Array {
  const value = own(params, key)
  if (!(value instanceof Uint8Array)) throw wrong(key, 'bin', value)
  return value
}

/** A parameter that is a list. */
export function listParameter(params: DecodedMap, key: string): readonly unknown[] {
  const value = own(params, key)
  if (!Array.isArray(value)) throw wrong(key, 'a list', value)
  return value
}

/** A parameter that is a list of texts. */
export function textsParameter(params: DecodedMap, key: string): string[] {
  return listParameter(params, key).map(item => {
    if (typeof item !== 'string') throw wrong(key, 'a list of texts', item)
    return item
  })
}

/** A whole number from `least` to 2^53 - 1. */
export function countParameter(params: DecodedMap, key: string, least = 0): number {
  const value = own(params, key)
  if (!Number.isSafeInteger(value) || Number(value) < least) {
    throw wrong(key, `a whole number from ${least} to 2^53 - 1`, value)
  }
  return Number(value)
}

/** A seed: a whole number from 0 to 2^53 - 1, always given. */
export function seedParameter(params: DecodedMap): number {
  return countParameter(params, 'seed')
}

/** A parameter that is a number, undefined when it is absent. */
export function optionalNumber(params: DecodedMap, key: string): number | undefined {
  const value = optional(params, key)
  if (value !== undefined && typeof value !== 'number') throw wrong(key, 'a number', value)
  return value
}

/** A parameter that is true or false, `fallback` when it is absent. */
export function flagParameter(params: DecodedMap, key: string, fallback: boolean): boolean {
  const value = optional(params, key) ?? fallback
  if (typeof value !== 'boolean') throw wrong(key, 'true or false', value)
  return value
}
