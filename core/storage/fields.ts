/**
 * @file Typed access to the fields of a tree from an untrusted container. Every function throws UntrustedInputError
 * naming the field.
 */
import { UntrustedInputError } from '../errors/errors.js'
import { allFinite } from '../tensor/finite.js'
import { isRecord, type Tree } from './container.js'

/** A dictionary of a tree. */
export interface Fields {
  readonly [key: string]: Tree
}

/** What a damaged field should have been. */
export function wrong(path: string, expected: string): UntrustedInputError {
  return new UntrustedInputError(`The file is damaged: '${path}' should be ${expected}.`, { format: 'container', path })
}

/** The value as a dictionary. */
export function fieldsOf(tree: Tree | undefined, path: string): Fields {
  if (!isRecord(tree)) throw wrong(path, 'a dictionary')
  return tree
}

/**
 * The value that was made of a dictionary whose fields it has: a field that is in the file alone is unknown, and what
 * it means would be passed over.
 */
export function exact<T extends object>(fields: Fields, path: string, value: T, others: readonly string[] = []): T {
  const unknown = Object.keys(fields).find(key => !Object.hasOwn(value, key) && !others.includes(key))
  if (unknown === undefined) return value
  throw new UntrustedInputError(
    `The file is damaged, or of a newer version: '${path}' has a field '${unknown.slice(0, 50)}' that is not known.`,
    {
      format: 'container',
      path: `${path}.${unknown.slice(0, 50)}`,
    },
  )
}

/** The field as a list. */
export function listField(fields: Fields, key: string): readonly Tree[] {
  const value = fields[key]
  if (!Array.isArray(value)) throw wrong(key, 'a list')
  return value as readonly Tree[]
}

/** The field as text. */
export function textField(fields: Fields, key: string): string {
  const value = fields[key]
  if (typeof value !== 'string') throw wrong(key, 'text')
  return value
}

/** The field as a number. */
export function numberField(fields: Fields, key: string): number {
  const value = fields[key]
  if (typeof value !== 'number') throw wrong(key, 'a number')
  return value
}

/** The field as a positive, finite number. */
export function positiveField(fields: Fields, key: string): number {
  const value = numberField(fields, key)
  if (!(value > 0 && value < Infinity)) throw wrong(key, 'a positive number')
  return value
}

/** The field as an amount: a finite number that is not negative. */
export function amountField(fields: Fields, key: string): number {
  const value = numberField(fields, key)
  if (!(value >= 0 && value < Infinity)) throw wrong(key, 'an amount')
  return value
}

/** The field as a count: an integer from 0 to 2^53. */
export function countField(fields: Fields, key: string): number {
  const value = numberField(fields, key)
  if (!Number.isSafeInteger(value) || value < 0) throw wrong(key, 'a count')
  return value
}

/** The field as a truth value. */
export function booleanField(fields: Fields, key: string): boolean {
  const value = fields[key]
  if (typeof value !== 'boolean') throw wrong(key, 'true or false')
  return value
}

/** The field as an array of finite doubles, of `length` elements when that is given. */
export function arrayField(fields: Fields, key: string, length?: number): Float64Array {
  const value = fields[key]
  if (!(value instanceof Float64Array)) throw wrong(key, 'an array of doubles')
  if (length !== undefined && value.length !== length) {
    throw wrong(key, `an array of ${length} doubles (it has ${value.length})`)
  }
  if (!allFinite(value)) throw wrong(key, 'an array of finite doubles')
  return value
}

/** The field as an array of numbers of either precision, of a length. */
export function realsField(fields: Fields, key: string, length: number): Float64Array | Float32Array {
  const value = fields[key]
  if (!(value instanceof Float32Array)) return arrayField(fields, key, length)
  if (value.length !== length) throw wrong(key, `an array of ${length} numbers (it has ${value.length})`)
  if (!allFinite(value)) throw wrong(key, 'an array of finite numbers')
  return value
}

/** The field as a list of texts. */
export function textsField(fields: Fields, key: string): string[] {
  return listField(fields, key).map(item => {
    if (typeof item !== 'string') throw wrong(key, 'a list of texts')
    return item
  })
}

/** The field as a list of counts (a shape). */
export function countsField(fields: Fields, key: string): number[] {
  return listField(fields, key).map(item => {
    if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0) throw wrong(key, 'a list of counts')
    return item
  })
}

/** The field as one of some words. */
export function wordField<T extends string>(fields: Fields, key: string, words: readonly T[]): T {
  const found = words.find(word => word === fields[key])
  if (found === undefined) throw wrong(key, `one of ${words.join(', ')}`)
  return found
}
