/** @file Typed access to the fields of fitted objects that clients send: numbers, arrays, words, all checked. */
import { DataError, OptionError } from '../../core/errors/errors.js'
import { oneOf } from '../../core/errors/suggest.js'
import type { Tensor } from '../../core/tensor/tensor.js'

/** The fields of a fitted object, `what` for messages. */
export interface Structure {
  readonly what: string
  readonly fields: Readonly<Record<string, unknown>>
}

function value({ fields }: Structure, key: string): unknown {
  const found = Object.hasOwn(fields, key) ? fields[key] : undefined
  return found === null ? undefined : found
}

function wrong({ what }: Structure, key: string, expected: string): DataError {
  return new DataError('BAD_ARRAY', `The field ${key} of ${what} must be ${expected}.`, { field: key })
}

function isTensor(found: unknown): found is Tensor {
  return typeof found === 'object' && found !== null && 'dtype' in found && 'shape' in found && 'data' in found &&
    Array.isArray(found.shape) && ArrayBuffer.isView(found.data)
}

/** A list of finite numbers: a list, a typed array, or a tensor's elements. @throws DataError BAD_ARRAY, NOT_FINITE */
export function numbers(structure: Structure, key: string): Float64Array {
  const found = value(structure, key)
  const list = isTensor(found) ? found.data : found
  if (!Array.isArray(list) && !isTypedArray(list)) throw wrong(structure, key, 'a list of numbers')
  const result = Float64Array.from(list, (each: unknown) => (typeof each === 'number' ? each : NaN))
  checkFinite(structure, key, result)
  return result
}

function isTypedArray(found: unknown): found is Float64Array {
  return found instanceof Float64Array || found instanceof Float32Array || found instanceof Int32Array
}

function checkFinite({ what }: Structure, key: string, found: ArrayLike<number>): void {
  for (let i = 0; i < found.length; i++) {
    if (!Number.isFinite(found[i])) {
      throw new DataError('NOT_FINITE',
        `The field ${key} of ${what} must hold finite numbers; its element ${i} is ${found[i]}.`, { field: key,
        element: i })
    }
  }
}

/** As `numbers`, non-negative integers; undefined when the field is absent. */
export function counts(structure: Structure, key: string): number[] | undefined {
  if (value(structure, key) === undefined) return undefined
  const result = Array.from(numbers(structure, key))
  if (!result.every(each => Number.isSafeInteger(each) && each >= 0)) {
    throw wrong(structure, key, 'a list of non-negative integers')
  }
  return result
}

/** A non-negative integer, or undefined when the field is absent. */
export function count(structure: Structure, key: string): number | undefined {
  const found = value(structure, key)
  if (found === undefined) return undefined
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < 0) {
    throw wrong(structure, key, 'a non-negative integer')
  }
  return found
}

/** A finite number, or undefined when the field is absent. */
export function number(structure: Structure, key: string): number | undefined {
  const found = value(structure, key)
  if (found === undefined) return undefined
  if (typeof found !== 'number' || !Number.isFinite(found)) throw wrong(structure, key, 'a finite number')
  return found
}

/** True or false; false when the field is absent. */
export function flag(structure: Structure, key: string): boolean {
  const found = value(structure, key) ?? false
  if (typeof found !== 'boolean') throw wrong(structure, key, 'true or false')
  return found
}

/** One of some words; the first when the field is absent. @throws OptionError BAD_OPTION with the nearest word */
export function word<T extends string>(structure: Structure, key: string, words: readonly T[]): T {
  return oneOf(`${key} (of ${structure.what})`, value(structure, key) ?? words[0], words)
}

/** A list of finite floating-point arrays. @throws DataError BAD_ARRAY, NOT_FINITE */
export function arrays(structure: Structure, key: string): Tensor[] {
  const found = value(structure, key)
  if (!Array.isArray(found) || found.length === 0) throw wrong(structure, key, 'a list of arrays')
  return found.map((each: unknown, i) => {
    if (!isTensor(each) || (each.dtype !== 'float64' && each.dtype !== 'float32')) {
      throw wrong(structure, key, `a list of floating-point arrays; its element ${i} is none`)
    }
    checkFinite(structure, `${key}[${i}]`, each.data)
    return each
  })
}

/** Fields that do not go together. */
export function conflict({ what }: Structure, message: string): OptionError {
  return new OptionError('BAD_COMBINATION', `${what}: ${message}.`)
}
