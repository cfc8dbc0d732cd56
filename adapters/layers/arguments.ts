/** @file Typed access to a layer's arguments. */
import { OptionError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { badArchitecture, describeLayer, type LayerSpec } from './layer-spec.js'

/** The arguments of one layer and its place in the architecture, for messages. */
export interface LayerArguments {
  readonly spec: LayerSpec
  readonly path: string
}

const LARGEST = 2 ** 31

/** Fields of every layer. `device`, `dtype` and `inplace` do not change what a layer computes. */
const COMMON: readonly string[] = ['type', 'name', 'device', 'dtype', 'inplace']

function wrong({ spec, path }: LayerArguments, key: string, expected: string): OptionError {
  const value = JSON.stringify(argument(spec, key)) ?? 'undefined'
  return badArchitecture(
    `The argument ${key} of ${describeLayer(spec, path)} must be ${expected}; got ${value.slice(0, 100)}.`,
    path,
    { argument: key },
  )
}

/** An argument, never a field that every object has. JSON's null stands for torch's None: not given. */
function argument(spec: LayerSpec, key: string): unknown {
  const value = Object.hasOwn(spec, key) ? spec[key] : undefined
  return value === null ? undefined : value
}

/**
 * Checks that a layer has no other arguments than those that its type takes.
 * @throws OptionError UNKNOWN_OPTION with the nearest known name
 */
export function knownArguments({ spec, path }: LayerArguments, known: readonly string[]): void {
  for (const key of Object.keys(spec)) {
    if (known.includes(key) || COMMON.includes(key)) continue
    const suggestion = nearestWord(key, [...known, 'name'])
    throw new OptionError('UNKNOWN_OPTION',
      `The ${describeLayer(spec, path)} has no argument '${key.slice(0, 100)}'; its arguments are ${
        ['name', ...known].join(', ')
      }.` + (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { option: key.slice(0, 100),
      layer: path, allowed: known, ...(suggestion === undefined ? {} : { suggestion }) })
  }
}

/** Whether an argument was given. */
export function isGiven({ spec }: LayerArguments, key: string): boolean {
  return argument(spec, key) !== undefined
}

/** A positive integer. @throws OptionError BAD_OPTION */
export function count(layer: LayerArguments, key: string): number | undefined {
  const value = argument(layer.spec, key)
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value >= LARGEST) {
    throw wrong(layer, key, 'a positive integer')
  }
  return value
}

/** An integer of any sign. @throws OptionError BAD_OPTION */
export function integer(layer: LayerArguments, key: string): number | undefined {
  const value = argument(layer.spec, key)
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) >= LARGEST) {
    throw wrong(layer, key, 'an integer')
  }
  return value
}

/** A finite number. @throws OptionError BAD_OPTION */
export function number(layer: LayerArguments, key: string, otherwise: number): number {
  const value = argument(layer.spec, key) ?? otherwise
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(layer, key, 'a finite number')
  return value
}

/** True or false. @throws OptionError BAD_OPTION */
export function flag(layer: LayerArguments, key: string, otherwise: boolean): boolean {
  const value = argument(layer.spec, key) ?? otherwise
  if (typeof value !== 'boolean') throw wrong(layer, key, 'true or false')
  return value
}

/** One of some words. @throws OptionError BAD_OPTION */
export function word<T extends string>(layer: LayerArguments, key: string, words: readonly T[]): T {
  const value = argument(layer.spec, key) ?? words[0]
  const found = words.find(each => each === value)
  if (found === undefined) throw wrong(layer, key, `one of ${words.join(', ')}`)
  return found
}

/** `dimensions` integers of at least `least`; one number stands for all. @throws OptionError BAD_OPTION */
export function sizes(layer: LayerArguments, key: string, dimensions: number, otherwise: number | undefined, least = 1):
  | number[]
  | undefined {
  const value = argument(layer.spec, key) ?? otherwise
  if (value === undefined) return undefined
  const list: unknown = typeof value === 'number' ? Array<number>(dimensions).fill(value) : value
  if (!isIntegers(list, least) || list.length !== dimensions) {
    throw wrong(layer, key,
      `${dimensions === 1 ? 'an integer' : `${dimensions} integers (or one for all)`} of at least ${least}`)
  }
  return [...list]
}

/**
 * A list of integers of at least `least`, of any length; one number is a list of one.
 * @throws OptionError BAD_OPTION
 */
export function integers(layer: LayerArguments, key: string, least: number): number[] | undefined {
  const value = argument(layer.spec, key)
  if (value === undefined) return undefined
  const list: unknown = typeof value === 'number' ? [value] : value
  if (!isIntegers(list, least) || list.length === 0 || list.length > 16) {
    throw wrong(layer, key, `a list of integers of at least ${least}`)
  }
  return [...list]
}

function isIntegers(value: unknown, least: number): value is readonly number[] {
  return Array.isArray(value) &&
    value.every((each: unknown) =>
      typeof each === 'number' && Number.isInteger(each) && each >= least && each < LARGEST
    )
}

/**
 * An axis of one example from torch's `dim`, which counts the batch as 0 and negative numbers from the end.
 * @param rank axes of one example
 * @throws OptionError BAD_OPTION when it is the batch or beyond the rank
 */
export function exampleAxis(layer: LayerArguments, key: string, rank: number, otherwise?: number): number {
  const given = integer(layer, key) ?? otherwise
  if (given === undefined) {
    throw wrong(layer, key, `given: one of the axes 1 to ${rank} (or negative ones, from the end)`)
  }
  const axis = (given < 0 ? given + rank + 1 : given) - 1
  if (axis < 0 || axis >= rank) throw wrong(layer, key, `one of the axes 1 to ${rank} (axis 0 holds the examples)`)
  return axis
}
