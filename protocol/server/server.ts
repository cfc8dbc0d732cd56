/** @file The server: joins streams of bytes to a session, and ends when its client does. */
import type { Writable } from 'node:stream'
import { createFrameReader, type FrameReader } from '../frames/frame.js'
import { createLineReader, encodeLine } from '../frames/lines.js'
import type { Input } from './input.js'
import { DRAIN_MS, OUTPUT_HIGH_WATER } from './limits.js'
import type { SessionLimits } from './session-state.js'
import { createSession, type Session } from './session.js'
import { type ThreadOptions, threadStarter } from './start-thread.js'
import { watchClient } from './watch-client.js'

/** How frames travel: as they are, or as lines of base64 where a pipe carries text only. */
export type Framing = 'binary' | 'base64-lines'

/** What a server is started with. */
export interface ServerOptions extends ThreadOptions {
  readonly limits: SessionLimits
  readonly framing: Framing
  readonly version: string
  readonly buildHash: string
  /** What `hello.token` must be; undefined: no token is asked for. */
  readonly token: string | undefined
}

/**
 * Serves one connection. Resolves with the exit code when it has ended and its answers have been read (or nobody reads
 * them).
 */
export function serve(input: Input, output: Writable, options: ServerOptions): Promise<number> {
  return new Promise(resolve => {
    const { framing, limits, version, buildHash, token } = options
    let closing = false
    const close = (exitCode: number): void => {
      if (closing) return
      closing = true
      watch.stop()
      session.end()
      input.pause()
      endOutput(output, () => {
        resolve(exitCode)
      })
    }
    const hold = (held: boolean): void => {
      if (closing) return
      if (held) input.pause()
      else input.resume()
      session.hold(held)
    }
    const watch = watchClient(token !== undefined, close)
    const session: Session = createSession({ limits, version, buildHash, token, close,
      startThread: threadStarter(options), send: frameSender(output, framing, hold), onClient: watch.greeted,
      now: () => performance.now() })
    readFrames(input, framing === 'binary' ? createFrameReader(limits.maxFrame) : createLineReader(limits.maxFrame),
      session, { isClosing: () => closing, close })
    output.on('error', () => {
      session.end()
      resolve(0)
    })
    output.on('close', () => {
      session.end()
      if (!closing) resolve(0)
    })
  })
}

/** Feeds a session with the frames of a stream, to the end of the stream. */
function readFrames(input: Input, reader: FrameReader, session: Session,
  { isClosing, close }: { readonly isClosing: () => boolean, readonly close: (exitCode: number) => void }): void {
  input.start(chunk => {
    if (isClosing()) return
    try {
      for (const body of reader.push(chunk)) session.receive(body)
    } catch (error) {
      session.fail(error)
    }
  }, () => {
    if (isClosing()) return
    try {
      reader.end()
    } catch (error) {
      session.fail(error)
    }
    close(0)
  }, () => reader.target?.())
}

/**
 * Writes frames; `hold` is told when so much waits to be read that no more should be computed, and when it has been
 * read.
 */
function frameSender(output: Writable, framing: Framing, hold: (held: boolean) => void): (frame: Uint8Array) => void {
  let held = false
  return frame => {
    output.write(framing === 'binary' ? frame : encodeLine(frame))
    if (held || output.writableLength <= OUTPUT_HIGH_WATER) return
    held = true
    hold(true)
    output.once('drain', () => {
      held = false
      hold(false)
    })
  }
}

/** Ends the stream of answers, within bounds: a client that does not read must not keep the process. */
function endOutput(output: Writable, ended: () => void): void {
  const limit = setTimeout(ended, DRAIN_MS)
  output.end(() => {
    clearTimeout(limit)
    ended()
  })
}
