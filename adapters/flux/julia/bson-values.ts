/** @file The plain values of a BSON file. */

/** A value of a BSON.jl file, before its tags are read. */
export type Bson = null | boolean | number | string | Uint8Array | BsonList | BsonDocument

/** A list in a BSON file. */
export type BsonList = readonly Bson[]

/** A document in a BSON file: values by key, in an object without a prototype. */
export interface BsonDocument {
  readonly [key: string]: Bson
}

/** Whether a value is a document (and not a list, a number or binary data). */
export function isDocument(value: Bson | undefined): value is BsonDocument {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}

/** Whether a value is a list. */
export function isList(value: Bson | undefined): value is BsonList {
  return Array.isArray(value)
}
