/**
 * @file The chunks of data that a partial fit has summed, named by what is in them: so no row counts twice unseen.
 *
 * A chunk's digest is 32 bytes: half of the SHA-256 of its rows and labels as they were given, then half of the
 * SHA-256 of its name (zeros without one). Rows come first, so that chunks in the order of their digests stand in the
 * same order whatever engine named them.
 */
import { bytesToHex } from '@noble/hashes/utils.js'
import { demandBytes } from '../errors/demand.js'
import { DataError, StateError } from '../errors/errors.js'
import { createSha256, sha256 } from '../kernels/sha256.js'
import { arraysOf, type Examples } from '../tensor/examples.js'
import { demandTensor, type Tensor } from '../tensor/tensor.js'

/** Bytes of a chunk's digest. */
const CHUNK_BYTES = 32
/** Longest name of a chunk. */
const MOST_CHARACTERS = 1000

/** Digests of chunks one behind the other, ascending; one that was counted twice on purpose stands there twice. */
export type Chunks = Uint8Array

/** What a merge does about chunks that both sides have: an error, or counted as often as they are there. */
export type Repeats = 'refuse' | 'count'

/**
 * The digest of one chunk.
 * @param name tells chunks of equal rows apart that are both meant: the number of a partition, say
 * @throws DataError BAD_ARRAY for a name of more than 1000 characters
 */
export function chunkDigest(x: Examples, y: Tensor, name = ''): Uint8Array {
  if (name.length > MOST_CHARACTERS) {
    throw new DataError('BAD_ARRAY',
      `The name of a chunk has ${name.length} characters; at most ${MOST_CHARACTERS} are allowed.`, { array: 'chunk' })
  }
  demandTensor('y', y)
  const hash = createSha256()
  const add = (label: unknown, { dtype, shape, data }: Tensor): void => {
    hash.update(new TextEncoder().encode(JSON.stringify([label, dtype, shape])))
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  arraysOf(x).forEach((array, i) => {
    add(array.name ?? i, array.values)
  })
  add('y', y)
  const digest = new Uint8Array(CHUNK_BYTES)
  digest.set(hash.digest().subarray(0, CHUNK_BYTES / 2))
  if (name !== '') digest.set(sha256(new TextEncoder().encode(name)).subarray(0, CHUNK_BYTES / 2), CHUNK_BYTES / 2)
  return digest
}

/** How many chunks there are. */
export function chunkCount(chunks: Chunks): number {
  demandBytes('chunks', chunks)
  return chunks.length / CHUNK_BYTES
}

/** Whether bytes are digests of chunks in order. */
export function areChunks(bytes: Uint8Array): boolean {
  if (bytes.length % CHUNK_BYTES !== 0) return false
  for (let i = 1; i < chunkCount(bytes); i++) if (compareChunks(bytes, i - 1, bytes, i) > 0) return false
  return true
}

/**
 * The chunks of both.
 * @throws StateError DUPLICATE_CHUNK for those in common, unless they are to be counted
 */
export function mergeChunks(a: Chunks, b: Chunks, repeats: Repeats): Chunks {
  const merged = new Uint8Array(a.length + b.length)
  let [i, j, first, common] = [0, 0, -1, 0]
  for (let at = 0; at < merged.length; at += CHUNK_BYTES) {
    const order = j === chunkCount(b) ? -1 : i === chunkCount(a) ? 1 : compareChunks(a, i, b, j)
    if (order === 0) {
      if (first < 0) first = i
      common++
    }
    merged.set(order <= 0 ? chunk(a, i++) : chunk(b, j++), at)
  }
  if (common === 0 || repeats === 'count') return merged
  throw duplicate(common, chunk(a, first))
}

/** The chunks of the first but those of the second, each as often as it is there; undefined where some are not. */
export function withoutChunks(a: Chunks, b: Chunks): Chunks | undefined {
  if (commonChunks(b, a) !== chunkCount(b)) return undefined
  const rest: Uint8Array[] = []
  for (let i = 0, j = 0; i < chunkCount(a); i++) {
    if (j < chunkCount(b) && compareChunks(a, i, b, j) === 0) j++
    else rest.push(chunk(a, i))
  }
  const result = new Uint8Array(rest.length * CHUNK_BYTES)
  rest.forEach((digest, i) => {
    result.set(digest, i * CHUNK_BYTES)
  })
  return result
}

/** How many of the first chunks are among the second, each of those once. */
export function commonChunks(a: Chunks, b: Chunks): number {
  let [i, j, common] = [0, 0, 0]
  while (i < chunkCount(a) && j < chunkCount(b)) {
    const order = compareChunks(a, i, b, j)
    if (order === 0) common++
    if (order <= 0) i++
    if (order >= 0) j++
  }
  return common
}

function duplicate(common: number, digest: Uint8Array): StateError {
  const short = bytesToHex(digest.subarray(0, 8))
  return new StateError('DUPLICATE_CHUNK',
    `These partial fits have ${common === 1 ? 'a chunk' : `${common} chunks`} of data in common (digest ${short}...), `
      + "whose rows would count twice. Copies of the same work are merged with repeats 'skip', which counts a chunk "
      + 'once; if rows are merely equal, give each part a name of its own (chunk) when it is fitted.', { common,
    digest: bytesToHex(digest) })
}

/** Whether chunk i of a comes before chunk j of b (negative), is the same (0), or comes after. */
function compareChunks(a: Chunks, i: number, b: Chunks, j: number): number {
  const [from, other] = [i * CHUNK_BYTES, j * CHUNK_BYTES]
  for (let k = 0; k < CHUNK_BYTES; k++) if (a[from + k] !== b[other + k]) return a[from + k] - b[other + k]
  return 0
}

function chunk(chunks: Chunks, i: number): Uint8Array {
  return chunks.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)
}
