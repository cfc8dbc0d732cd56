/**
 * @file The Julia values inside a BSON.jl file: tags, types, back references.
 *
 * Nothing is ever made into an object of the named type. A value stays the plain data it is in the file, and the
 * functions here answer what it stands for: a struct, a tuple, a symbol, a number. Back references are followed one at
 * a time when somebody asks, because they form cycles and because shared objects must not be copied.
 */
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { shown } from '../../../core/errors/shown.js'
import { type Bson, type BsonDocument, type BsonList, isDocument, isList } from './bson-values.js'
import { readBson } from './read-bson.js'

/** A file: the variables given to `BSON.@save`, and the objects that occur more than once. */
export interface JuliaFile {
  readonly variables: ReadonlyMap<string, Bson>
  readonly backrefs: BsonList
  /**
   * Steps that may still be spent on expanding values: shared objects make small files that would unfold to huge ones.
   */
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
 * @throws UntrustedInputError UNTRUSTED_INPUT for bytes that BSON.jl did not write; UNSUPPORTED_FORMAT for Julia's
 * Serialization
 */
export function openJulia(bytes: Uint8Array): JuliaFile {
  if (bytes[0] === 0x37 && bytes[1] === 0x4A && bytes[2] === 0x4C) {
    throw new UntrustedInputError(
      "The file is a stream of Julia's Serialization, which only the Julia version that wrote it can read: " +
        'load it there and save it with BSON.@save.',
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
      throw malformed(`A back reference points at element ${shown(index)} of ${file.backrefs.length}.`)
    }
    if (steps > file.backrefs.length) throw malformed('Back references point at each other in a ring.')
    current = file.backrefs[index - 1]
  }
  return current
}

/** A list of a document's field; absent lists are malformed. */
export function listField(file: JuliaFile, document: BsonDocument, key: string): BsonList {
  const list = resolve(file, document[key])
  if (!isList(list)) throw malformed(`A ${shown(document['tag'])} needs a list under '${key}'.`)
  return list
}

/** The path of a type or module: strings, a leading `Main` dropped. */
export function pathOf(file: JuliaFile, document: BsonDocument, key: string): string[] {
  const parts = listField(file, document, key)
  const names: string[] = []
  for (const part of parts) {
    if (typeof part !== 'string') throw malformed(`The path of a ${shown(document['tag'])} must be made of strings.`)
    names.push(part)
  }
  if (names.length > 1 && names[0] === 'Main') names.shift()
  return names
}
