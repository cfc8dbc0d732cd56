/** @file The fields of one layer's struct, with its path for messages: what the readers of layers are given. */
import type { JuliaArray } from '../julia/arrays.js'
import type { Bson } from '../julia/bson-values.js'
import type { FluxFunction } from '../julia/functions.js'
import type { JuliaStruct } from '../julia/julia-types.js'
import { activationOf, type FluxReader, integer, integerTuple, optionalArray, requiredArray,
  requiredFunction } from './field-values.js'
import { namedFields } from './struct-fields.js'

/** A layer's struct and readers of its fields; each throws UntrustedInputError when the field holds something else. */
export interface LayerFields {
  readonly reader: FluxReader
  readonly struct: JuliaStruct
  /** The struct's name in Flux: `Dense`, `LSTMCell`. */
  readonly name: string
  readonly path: string
  readonly fields: Readonly<Record<string, Bson>>
  /** The path of a field: `layers.2.weight`. */
  readonly at: (field: string) => string
  readonly array: (field: string) => JuliaArray
  /** The field `bias`; undefined where Flux says in one of its ways that there is none. */
  readonly bias: () => JuliaArray | undefined
  /** The field `σ`; undefined for the identity. */
  readonly activation: () => FluxFunction | undefined
  readonly fn: (field: string) => FluxFunction
  readonly integer: (field: string) => number
  readonly integers: (field: string) => number[]
}

/**
 * The fields of a layer's struct, named as in the version of Flux that has as many.
 * @throws UntrustedInputError when Flux never gave the struct that number of fields
 */
export function layerFields(reader: FluxReader, struct: JuliaStruct, name: string, path: string): LayerFields {
  const fields = namedFields(struct, name, path)
  const at = (field: string): string => (path === '' ? field : `${path}.${field}`)
  return {
    reader,
    struct,
    name,
    path,
    fields,
    at,
    array: field => requiredArray(reader, fields[field], at(field)),
    bias: () => optionalArray(reader, fields['bias'], at('bias')),
    activation: () => activationOf(reader, fields['σ'], at('σ')),
    fn: field => requiredFunction(reader, fields[field], at(field)),
    integer: field => integer(reader, fields[field], at(field)),
    integers: field => integerTuple(reader, fields[field], at(field)),
  }
}
