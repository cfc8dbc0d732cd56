/** @file Typed access to the fields of Flux's structs: arrays, functions, small integers. */
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { shown } from '../../../core/errors/shown.js'
import { type ArrayCache, arrayOf, type JuliaArray } from '../julia/arrays.js'
import type { Bson } from '../julia/bson-values.js'
import { type FluxFunction, functionOf } from '../julia/functions.js'
import { type JuliaFile, malformed, resolve } from '../julia/julia-file.js'
import { structOf } from '../julia/julia-types.js'
import { itemsOf, numberOf } from '../julia/julia-values.js'

/** What reading layers needs. */
export interface FluxReader {
  readonly file: JuliaFile
  readonly cache: ArrayCache
}

/** A function. @throws UntrustedInputError UNTRUSTED_INPUT when the field holds something else */
export function requiredFunction(reader: FluxReader, value: Bson | undefined, path: string): FluxFunction {
  const fn = functionOf(reader.file, value)
  if (fn === undefined) throw malformed(`'${path}' must be a function.`, path)
  return fn
}

/** An activation; `identity` becomes undefined. */
export function activationOf(reader: FluxReader, value: Bson | undefined, path: string): FluxFunction | undefined {
  if (value === undefined) return undefined
  const fn = requiredFunction(reader, value, path)
  return fn.kind === 'named' && fn.name === 'identity' ? undefined : fn
}

/**
 * An array of numbers, column-major as in the file.
 * @throws UntrustedInputError for anything else, UNSUPPORTED_FORMAT when it is an object of another type
 */
export function requiredArray(reader: FluxReader, value: Bson | undefined, path: string): JuliaArray {
  const array = arrayOf(reader.file, value, path, reader.cache)
  if (array !== undefined) return array
  const struct = structOf(reader.file, value)
  throw new UntrustedInputError(
    `'${path}' must be an array of numbers; it is ${
      struct === undefined ? 'something else' : `a ${struct.type.path}`
    }.`,
    { format: 'BSON.jl', path },
    struct === undefined ? 'UNTRUSTED_INPUT' : 'UNSUPPORTED_FORMAT',
  )
}

/** A bias: an array, or one of the ways in which Flux says that there is none (`false`, `nothing`, `Flux.Zeros`, 0). */
export function optionalArray(reader: FluxReader, value: Bson | undefined, path: string): JuliaArray | undefined {
  const plain = resolve(reader.file, value)
  if (plain === null || plain === false || plain === 0) return undefined
  if (structOf(reader.file, plain)?.type.path === 'Flux.Zeros') return undefined
  return requiredArray(reader, plain, path)
}

/** An integer from 0 to 2^31. @throws UntrustedInputError UNTRUSTED_INPUT */
export function integer(reader: FluxReader, value: Bson | undefined, path: string): number {
  const number = numberOf(reader.file, value)
  if (number === undefined || !Number.isInteger(number) || number < 0 || number > 2 ** 31) {
    throw malformed(`'${path}' must be a small integer; got ${shown(number)}.`, path)
  }
  return number
}

/** At most eight integers, in the order of Flux. @throws UntrustedInputError UNTRUSTED_INPUT */
export function integerTuple(reader: FluxReader, value: Bson | undefined, path: string): number[] {
  const items = itemsOf(reader.file, value)
  if (items === undefined || items.length > 8) throw malformed(`'${path}' must be a short tuple of integers.`, path)
  return items.map(item => integer(reader, item, path))
}

/** The number under the field `ϵ`, at least 0. @throws UntrustedInputError UNTRUSTED_INPUT */
export function epsilonOf(reader: FluxReader, value: Bson | undefined, path: string): number {
  const epsilon = numberOf(reader.file, value)
  if (epsilon === undefined || !(epsilon >= 0)) throw malformed(`'${path}.ϵ' must be a number of at least 0.`, path)
  return epsilon
}
