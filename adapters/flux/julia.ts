/**
 * @file The Julia values inside a BSON.jl file: tags, types, back references.
 *
 * Nothing is ever made into an object of the named type. A value stays the plain data it is in the file, and the
 * functions here answer what it stands for: a struct, a tuple, a symbol, a number. Back references are followed one at
 * a time when somebody asks, because they form cycles and because shared objects must not be copied.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { type Bson, type BsonDocument, type BsonList, isDocument, isList, readBson } from './bson.js'

/** A file: the variables given to `BSON.@save`, and the objects that occur more than once. */
export interface JuliaFile {
  readonly variables: ReadonlyMap<string, Bson>
  readonly backrefs: BsonList
  /** Steps that may still be spent on expanding values: shared objects make small files that would unfold to huge ones. */
  readonly budget: { left: number }
}

/** Steps allowed for one file; the largest real network needs a few thousand. */
const STEPS = 200_000

/** Spends one step. @throws UntrustedInputError when the file unfolds without end */
export function spend(file: JuliaFile): void {
  if (--file.budget.left < 0) {
    throw malformed(`The file's objects contain each other so often that it unfolds to more than ${STEPS} parts.`)
  }
}

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

const TAGS: ReadonlySet<string> = new Set([
  'datatype',
  'struct',
  'backref',
  'symbol',
  'ref',
  'array',
  'svec',
  'tuple',
  'jl_anonymous',
  'jl_bottom_type',
  'unionall',
])

/** A refusal of a file that is not what BSON.jl writes. */
export function malformed(message: string, path?: string): UntrustedInputError {
  return new UntrustedInputError(message, { format: 'BSON.jl', ...(path === undefined ? {} : { path }) })
}

/**
 * Opens a BSON.jl file.
 * @throws UntrustedInputError UNTRUSTED_INPUT for bytes that BSON.jl did not write; UNSUPPORTED_FORMAT for Julia's Serialization
 */
export function openJulia(bytes: Uint8Array): JuliaFile {
  if (bytes[0] === 0x37 && bytes[1] === 0x4A && bytes[2] === 0x4C) {
    throw new UntrustedInputError(
      "The file is a stream of Julia's Serialization, which only the Julia version that wrote it can read: load it there and save it with BSON.@save.",
      { format: 'Julia Serialization' },
      'UNSUPPORTED_FORMAT',
    )
  }
  const root = readBson(bytes)
  const backrefs = root['_backrefs'] ?? []
  if (!isList(backrefs)) throw malformed('The entry _backrefs must be a list.', '_backrefs')
  const variables = new Map<string, Bson>()
  for (const key of Object.keys(root)) if (key !== '_backrefs') variables.set(key, root[key])
  return { variables, backrefs, budget: { left: STEPS } }
}

/** The tag of a document when it is one of BSON.jl's; documents without one are dictionaries with symbol keys. */
export function tagOf(value: Bson | undefined): string | undefined {
  if (!isDocument(value)) return undefined
  const tag = value['tag']
  return typeof tag === 'string' && TAGS.has(tag) ? tag : undefined
}

/**
 * The value behind back references.
 * @throws UntrustedInputError when a reference points outside of the list, or references point at each other in a ring
 */
export function resolve(file: JuliaFile, value: Bson | undefined): Bson {
  let current = value ?? null
  for (let steps = 0; tagOf(current) === 'backref'; steps++) {
    const index = (current as BsonDocument)['ref']
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 1 || index > file.backrefs.length) {
      throw malformed(`A back reference points at element ${String(index)} of ${file.backrefs.length}.`)
    }
    if (steps > file.backrefs.length) throw malformed('Back references point at each other in a ring.')
    current = file.backrefs[index - 1]
  }
  return current
}

/** A list of a document's field; absent lists are malformed. */
function listField(file: JuliaFile, document: BsonDocument, key: string): BsonList {
  const list = resolve(file, document[key])
  if (!isList(list)) throw malformed(`A '${String(document['tag'])}' needs a list under '${key}'.`)
  return list
}

/** The path of a type or module: strings, a leading `Main` dropped. */
function pathOf(file: JuliaFile, document: BsonDocument, key: string): string[] {
  const parts = listField(file, document, key)
  const names: string[] = []
  for (const part of parts) {
    if (typeof part !== 'string') throw malformed(`The path of a '${String(document['tag'])}' must be made of strings.`)
    names.push(part)
  }
  if (names.length > 1 && names[0] === 'Main') names.shift()
  return names
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

const SCALARS: Readonly<Record<string, { readonly size: number, readonly read: (view: DataView) => number }>> = {
  'Core.Float16': { size: 2, read: view => halfToNumber(view.getUint16(0, true)) },
  'Core.Float32': { size: 4, read: view => view.getFloat32(0, true) },
  'Core.Float64': { size: 8, read: view => view.getFloat64(0, true) },
  'Core.Int8': { size: 1, read: view => view.getInt8(0) },
  'Core.UInt8': { size: 1, read: view => view.getUint8(0) },
  'Core.Int16': { size: 2, read: view => view.getInt16(0, true) },
  'Core.UInt16': { size: 2, read: view => view.getUint16(0, true) },
  'Core.Int32': { size: 4, read: view => view.getInt32(0, true) },
  'Core.UInt32': { size: 4, read: view => view.getUint32(0, true) },
  'Core.Int64': { size: 8, read: view => Number(view.getBigInt64(0, true)) },
  'Core.UInt64': { size: 8, read: view => Number(view.getBigUint64(0, true)) },
}

/** An IEEE half as a number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The value as a number: a plain one, or a Float32 and the like stored as bytes. */
export function numberOf(file: JuliaFile, value: Bson | undefined): number | undefined {
  const current = resolve(file, value)
  if (typeof current === 'number') return current
  const primitive = primitiveOf(file, current)
  if (primitive === undefined) return undefined
  const scalar = Object.hasOwn(SCALARS, primitive.type.path) ? SCALARS[primitive.type.path] : undefined
  if (scalar === undefined) return undefined
  if (primitive.bytes.length !== scalar.size) {
    throw malformed(`A ${primitive.type.path} has ${scalar.size} bytes; got ${primitive.bytes.length}.`)
  }
  return scalar.read(new DataView(primitive.bytes.buffer, primitive.bytes.byteOffset, primitive.bytes.byteLength))
}

/** The name of a symbol, or undefined. */
export function symbolOf(file: JuliaFile, value: Bson | undefined): string | undefined {
  const current = resolve(file, value)
  if (tagOf(current) !== 'symbol') return undefined
  const name = (current as BsonDocument)['name']
  if (typeof name !== 'string') throw malformed("A symbol needs a string under 'name'.")
  return name
}

/** The path of a module, `Flux.NNlib`, or undefined. */
export function moduleOf(file: JuliaFile, value: Bson | undefined): string | undefined {
  const current = resolve(file, value)
  return tagOf(current) === 'ref' ? pathOf(file, current as BsonDocument, 'path').join('.') : undefined
}

/** The elements of a list, tuple, simple vector or array of objects; undefined for anything else. */
export function itemsOf(file: JuliaFile, value: Bson | undefined): BsonList | undefined {
  const current = resolve(file, value)
  if (isList(current)) return current
  const tag = tagOf(current)
  if (tag === 'tuple' || tag === 'svec') return listField(file, current as BsonDocument, 'data')
  if (tag === 'array') {
    const data = resolve(file, (current as BsonDocument)['data'])
    return isList(data) ? data : undefined
  }
  return undefined
}

/** The names and values of a NamedTuple, or undefined. Its names are the first parameter of its type. */
export function namedTupleOf(file: JuliaFile, value: Bson | undefined):
  | { names: string[], values: BsonList }
  | undefined {
  const struct = structOf(file, value)
  if (struct === undefined || struct.type.path !== 'Core.NamedTuple') return undefined
  const names = (itemsOf(file, struct.type.params[0]) ?? []).map(name => symbolOf(file, name) ?? '')
  // BSON.jl lowers a NamedTuple's fields as a list; one field that holds a tuple of all values is accepted as well.
  const values = struct.fields.length === names.length ? struct.fields : itemsOf(file, struct.fields[0])
  if (values === undefined || values.length !== names.length) {
    throw malformed(`A NamedTuple has ${names.length} names and ${struct.fields.length} values.`)
  }
  return { names, values }
}

/** The entries of a dictionary (with symbol keys, or any other), or undefined. Keys that are not text are numbered. */
export function entriesOf(file: JuliaFile, value: Bson | undefined): [string, Bson][] | undefined {
  const current = resolve(file, value)
  if (isDocument(current) && tagOf(current) === undefined) return Object.entries(current)
  const struct = structOf(file, current)
  if (struct === undefined || !/^Base\.(Id)?Dict$|^OrderedCollections\.OrderedDict$/.test(struct.type.path)) {
    return undefined
  }
  const keys = itemsOf(file, struct.fields[0])
  const values = itemsOf(file, struct.fields[1])
  if (keys === undefined || values === undefined || keys.length !== values.length) return undefined
  return keys.map((key, i) => [typeof key === 'string' ? key : symbolOf(file, key) ?? String(i + 1), values[i]])
}
