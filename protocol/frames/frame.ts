/**
 * @file Frames: a u32 little-endian length and a body of that many bytes.
 *
 * The reader takes chunks as they come and never joins more than one frame: a body's buffer is allocated once, after
 * its length was checked and the first part of it has really come.
 */
import { ProtocolError } from '../../core/errors/errors.js'
import { CLAIM_PROOF } from './limits.js'

/** Bytes of a frame's header. */
export const HEADER_BYTES = 4

/** Takes a stream apart into frame bodies. */
export interface FrameReader {
  /**
   * Adds a chunk of the stream.
   * @returns the bodies that it completed, each in a buffer of its own
   * @throws ProtocolError PROTOCOL when a length is 0 or above the maximum
   */
  push(chunk: Uint8Array): Uint8Array<ArrayBuffer>[]
  /** @throws ProtocolError PROTOCOL when the stream ends inside a frame */
  end(): void
  /** Bytes of the unfinished frame that are held. */
  held(): number
  /**
   * The rest of an unfinished body that has its buffer already: bytes that are read to there need no copy when they are
   * pushed.
   */
  target?(): Uint8Array | undefined
}

/** A reader of frames whose bodies have at most `maxFrame` bytes. */
export function createFrameReader(maxFrame: number): FrameReader {
  const header = new Uint8Array(HEADER_BYTES)
  let headerFilled = 0
  let length = 0
  let chunks: Uint8Array[] = []
  let body: Uint8Array<ArrayBuffer> | undefined
  let filled = 0

  const readHeader = (chunk: Uint8Array, at: number): number => {
    while (headerFilled < HEADER_BYTES && at < chunk.length) header[headerFilled++] = chunk[at++]
    if (headerFilled === HEADER_BYTES) length = checkedLength(header, maxFrame)
    return at
  }
  const readBody = (chunk: Uint8Array, at: number): number => {
    const part = chunk.subarray(at, Math.min(chunk.length, at + length - filled))
    if (body === undefined && filled + part.length >= Math.min(length, CLAIM_PROOF)) {
      body = beginBody(length, chunks)
      chunks = []
    }
    // A copy: the chunk's buffer may be read into again after this call.
    if (body === undefined) chunks.push(part.slice())
    // What was read to `target` is where it belongs already.
    else if (part.buffer !== body.buffer) body.set(part, filled)
    filled += part.length
    return at + part.length
  }
  const finish = (bodies: Uint8Array<ArrayBuffer>[]): void => {
    if (body === undefined || filled < length) return
    bodies.push(body)
    body = undefined
    headerFilled = 0
    filled = 0
  }
  return {
    push(chunk) {
      const bodies: Uint8Array<ArrayBuffer>[] = []
      let at = 0
      while (at < chunk.length) {
        at = headerFilled < HEADER_BYTES ? readHeader(chunk, at) : readBody(chunk, at)
        finish(bodies)
      }
      return bodies
    },
    end() {
      if (headerFilled === 0) return
      const [got, due] = headerFilled < HEADER_BYTES ? [headerFilled, HEADER_BYTES] : [filled, length]
      throw new ProtocolError('PROTOCOL',
        `The stream ended inside a frame: ${got} of ${due} bytes of its ${
          headerFilled < HEADER_BYTES ? 'length' : 'body'
        } had come.`, { expected: due, actual: got })
    },
    held: () => headerFilled + filled,
    target: () => body?.subarray(filled),
  }
}

/** The buffer of a body, with what has come of it. */
function beginBody(length: number, chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    body.set(chunk, offset)
    offset += chunk.length
  }
  return body
}

function checkedLength(header: Uint8Array, maxFrame: number): number {
  const length = new DataView(header.buffer).getUint32(0, true)
  if (length === 0) {
    throw new ProtocolError('PROTOCOL', 'A frame has length 0; every frame holds one message.', { actual: 0 })
  }
  if (length > maxFrame) {
    throw new ProtocolError('PROTOCOL',
      `A frame claims ${length} bytes, and at most ${maxFrame} are allowed (--max-frame). ` +
        'Send the data in batches (fitBegin, fitBatch, fitEnd).', { actual: length, limit: maxFrame })
  }
  return length
}
