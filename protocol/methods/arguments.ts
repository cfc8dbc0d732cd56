/** @file Arrays, batches and options among the parameters of a request. */
import { knownOptions } from '../../core/errors/suggest.js'
import type { Batch } from '../../core/tensor/batch.js'
import type { Examples } from '../../core/tensor/examples.js'
import { type Tensor, toFloat64 } from '../../core/tensor/tensor.js'
import { examplesFromWire, tensorFromWire } from '../frames/arrays.js'
import { type DecodedMap, isMap, own } from '../frames/decoded-map.js'
import { mapParameter, optional, optionalMap } from '../messages/parameters.js'
import type { ThreadState } from './method.js'

/** An array that must be there. @throws DataError BAD_ARRAY */
export function arrayParameter(params: DecodedMap, key: string, { files }: ThreadState): Tensor {
  return tensorFromWire(own(params, key) ?? null, key, files.data)
}

/** An array, undefined when it is absent. */
export function optionalArray(params: DecodedMap, key: string, state: ThreadState): Tensor | undefined {
  return optional(params, key) === undefined ? undefined : arrayParameter(params, key, state)
}

/** The parameter `x`, or another one: one array, or one an input. @throws DataError BAD_ARRAY */
export function examplesParameter(params: DecodedMap, { files }: ThreadState, key = 'x'): Examples {
  return examplesFromWire(own(params, key) ?? null, key, files.data)
}

/** Examples under a key, undefined when they are absent. */
export function optionalExamples(params: DecodedMap, key: string, state: ThreadState): Examples | undefined {
  return optional(params, key) === undefined ? undefined : examplesParameter(params, state, key)
}

/** The examples of a request: its parameters `x` and `y`. */
export function batchOf(params: DecodedMap, state: ThreadState): Batch {
  return { x: examplesParameter(params, state), y: arrayParameter(params, 'y', state) }
}

/** The examples of a request that may have none. */
export function optionalBatch(params: DecodedMap, state: ThreadState): Batch | undefined {
  return optional(params, 'x') === undefined && optional(params, 'y') === undefined ? undefined : batchOf(params, state)
}

/** Held-out examples: the parameter `validation: {x, y}`. */
export function validationOf(params: DecodedMap, state: ThreadState): Batch | undefined {
  const validation = optionalMap(params, 'validation')
  if (validation === undefined) return undefined
  knownOptions('validation', validation, ['x', 'y'])
  return batchOf(validation, state)
}

/**
 * Held-out examples of a fit: `validation: {x, y}`, or the share of its rows. What a share may be is checked by the
 * core.
 */
export function heldOutOf(params: DecodedMap, state: ThreadState): Batch | number | undefined {
  const validation = optional(params, 'validation')
  return typeof validation === 'number' ? validation : validationOf(params, state)
}

/**
 * The options of a request: nil is absent, arrays are lists of numbers. What the values mean is checked by the core.
 * @throws OptionError UNKNOWN_OPTION with the nearest known name
 */
export function optionsOf(params: DecodedMap, method: string, known: readonly string[],
  state: ThreadState): Record<string, unknown> {
  const options = mapParameter(params, 'options')
  knownOptions(method, options, known)
  return plainValues(options, Object.keys(options), state)
}

/** Some parameters of a request that are numbers, words or arrays of numbers. */
export function plainValues(params: DecodedMap, keys: readonly string[],
  { files }: ThreadState): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const key of keys) {
    const value = optional(params, key)
    if (value !== undefined && !(isMap(value) && own(value, 'count') !== undefined)) {
      result[key] = isMap(value)
        ? toFloat64(tensorFromWire(value, key, files.data))
        : value
    }
  }
  return result
}
