/** @file Frames as lines of base64, for clients whose pipes carry text only. */
import { ProtocolError } from '../../core/errors/errors.js'
import { createFrameReader, type FrameReader, HEADER_BYTES } from './frame.js'

const NEWLINE = 0x0a

/** A frame as one line. */
export function encodeLine(frame: Uint8Array): string {
  return `${Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString('base64')}\n`
}

/** A reader of lines, each one frame with its length. */
export function createLineReader(maxFrame: number): FrameReader {
  const longest = Math.ceil((maxFrame + HEADER_BYTES) / 3) * 4 + 1
  let parts: Uint8Array[] = []
  let held = 0
  const decodeLine = (): Uint8Array<ArrayBuffer>[] => {
    const line = Buffer.concat(parts).toString('latin1').trimEnd()
    parts = []
    held = 0
    if (line === '') return []
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(line)) throw new ProtocolError('PROTOCOL', 'A line is not base64.', {})
    const frames = createFrameReader(maxFrame)
    const bodies = frames.push(Buffer.from(line, 'base64'))
    frames.end()
    return bodies
  }
  return {
    push(chunk) {
      const bodies: Uint8Array<ArrayBuffer>[] = []
      let at = 0
      while (at < chunk.length) {
        const newline = chunk.indexOf(NEWLINE, at)
        const end = newline < 0 ? chunk.length : newline
        held += end - at
        if (held > longest) {
          throw new ProtocolError('PROTOCOL', `A line has more than ${longest} characters.`, { limit: longest })
        }
        parts.push(chunk.slice(at, end))
        if (newline >= 0) bodies.push(...decodeLine())
        at = end + 1
      }
      return bodies
    },
    end() {
      if (held > 0) throw new ProtocolError('PROTOCOL', 'The stream ended inside a line.', { actual: held })
    },
    held: () => held,
  }
}
