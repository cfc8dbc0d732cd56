/** @file What a value of a BSON.jl file stands for in Julia: a number, a symbol, a tuple, a dictionary. */
import { halfToNumber } from '../../tensors/half-precision.js'
import { type Bson, type BsonDocument, type BsonList, isDocument, isList } from './bson-values.js'
import { type JuliaFile, listField, malformed, pathOf, resolve, tagOf } from './julia-file.js'
import { primitiveOf, structOf } from './julia-types.js'

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
