/** @file Types of Julia, and the objects that are told by them: structs and raw bytes. */
import { type Bson, type BsonDocument, type BsonList, isDocument, isList } from './bson-values.js'
import { type JuliaFile, malformed, pathOf, resolve, tagOf } from './julia-file.js'

/** A type as far as a reader needs it: `Flux.Dense`, without the `Main` that old files put in front. */
export interface JuliaType {
  /** Dotted path without a leading `Main`; for a function's singleton type the last part starts with `#`. */
  readonly path: string
  /** The last part of the path. */
  readonly name: string
  readonly params: BsonList
  /** For the type of an anonymous function: its TypeName record. */
  readonly typeName?: Bson
}

/** An object with fields by position (BSON.jl does not store their names). */
export interface JuliaStruct {
  readonly type: JuliaType
  readonly fields: BsonList
  /** The document in the file: two occurrences of one object have the same. */
  readonly identity: BsonDocument
}

/** An object whose value is its raw bytes: Float32 and other primitive types. */
export interface JuliaPrimitive {
  readonly type: JuliaType
  readonly bytes: Uint8Array
}

const NO_TYPE: JuliaType = { path: '', name: '', params: [] }

/** Reads a type; a type of an unexpected kind (a union, a bottom type, a type variable) has an empty path. */
export function typeOf(file: JuliaFile, value: Bson | undefined): JuliaType {
  let current = resolve(file, value)
  for (let steps = 0; tagOf(current) === 'unionall' && steps < 100; steps++) {
    current = resolve(file, (current as BsonDocument)['body'])
  }
  if (!isDocument(current)) return NO_TYPE
  const tag = tagOf(current)
  if (tag === 'datatype') {
    const path = pathOf(file, current, 'name')
    const params = resolve(file, current['params'])
    return { path: path.join('.'), name: path[path.length - 1] ?? '', params: isList(params) ? params : [] }
  }
  if (tag === 'jl_anonymous') {
    return { path: '#anonymous', name: '#anonymous', params: [], typeName: current['typename'] }
  }
  return NO_TYPE
}

/** The value as a struct with fields, or undefined. */
export function structOf(file: JuliaFile, value: Bson | undefined): JuliaStruct | undefined {
  const current = resolve(file, value)
  if (tagOf(current) !== 'struct') return undefined
  const identity = current as BsonDocument
  const fields = resolve(file, identity['data'])
  if (fields instanceof Uint8Array) return undefined
  if (!isList(fields)) throw malformed("A struct needs a list of fields or its bytes under 'data'.")
  return { type: typeOf(file, identity['type']), fields, identity }
}

/** The value as an object made of raw bytes, or undefined. */
export function primitiveOf(file: JuliaFile, value: Bson | undefined): JuliaPrimitive | undefined {
  const current = resolve(file, value)
  if (tagOf(current) !== 'struct') return undefined
  const document = current as BsonDocument
  const bytes = resolve(file, document['data'])
  return bytes instanceof Uint8Array ? { type: typeOf(file, document['type']), bytes } : undefined
}
