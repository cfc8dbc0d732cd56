/**
 * @file The container of a `.bson` file: a strict check of the bytes, then js-bson.
 *
 * BSON.jl writes nine element types and no others, so everything else is refused before js-bson sees it. What comes out
 * is plain data: no `Long`, `Code` or `DBRef` object can appear.
 */
import { deserialize } from 'bson'
import { UntrustedInputError } from '../../../core/errors/errors.js'
import type { Bson, BsonDocument } from './bson-values.js'
import { BSON_LIMITS, type BsonLimits, checkBson } from './check-bson.js'

/**
 * Reads a BSON file into plain data. 64-bit integers become numbers (rounded beyond 2^53: only addresses and seeds are
 * that large), binary data become views of the file.
 * @throws UntrustedInputError UNTRUSTED_INPUT when the bytes are not a BSON document as BSON.jl writes it
 */
export function readBson(bytes: Uint8Array, limits: BsonLimits = BSON_LIMITS): BsonDocument {
  checkBson(bytes, limits)
  let raw: unknown
  try {
    // `validation` off: Julia strings may hold any bytes, and a wrong letter in a comment is no reason to refuse a
    // network.
    raw = deserialize(bytes, { useBigInt64: true, promoteBuffers: true, promoteValues: true,
      validation: { utf8: false } })
  } catch (cause) {
    throw new UntrustedInputError(
      `The file is not a BSON document: ${cause instanceof Error ? cause.message : 'unknown fault'}.`,
      { format: 'BSON' },
    )
  }
  return plainTree(raw)
}

/**
 * Copies js-bson's result into our own values, without recursion, so that nothing of the library's classes gets
 * further. Documents become objects without a prototype.
 */
function plainTree(root: unknown): BsonDocument {
  const result: Record<string, Bson> = Object.create(null)
  const work: { from: object, to: Record<string, Bson> | Bson[] }[] = [{ from: root as object, to: result }]
  for (let item = work.pop(); item !== undefined; item = work.pop()) {
    const { from, to } = item
    for (const [key, value] of Object.entries(from)) {
      let plain: Bson
      if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') {
        plain = value
      } else if (typeof value === 'bigint') plain = Number(value)
      else if (value instanceof Uint8Array) plain = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      else if (Array.isArray(value)) {
        plain = []
        work.push({ from: value, to: plain as Bson[] })
      } else if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
        plain = Object.create(null) as Record<string, Bson>
        work.push({ from: value, to: plain as Record<string, Bson> })
      } else {throw new UntrustedInputError('The file holds a value of a kind that BSON.jl does not write.', {
          format: 'BSON',
          path: key,
        })}
      if (Array.isArray(to)) to.push(plain)
      else to[key] = plain
    }
  }
  return result
}
