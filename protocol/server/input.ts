/** @file The stream of requests: chunks, an end, and a way to stop reading for a while. */
import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'

/** Where requests come from. */
export interface Input {
  /**
   * Begins to read. A chunk may be used only during the call. `onEnd` is called once, also after an error.
   * @param target where the next bytes would best be read to, if anywhere; inputs may not care
   */
  start(onChunk: (chunk: Uint8Array) => void, onEnd: () => void, target: () => Uint8Array | undefined): void
  pause(): void
  resume(): void
}

/** One read may take as much as the largest pipe of Linux holds. */
const READ_BYTES = 2 ** 20

/**
 * Requests from stdin. Pipes are read into one buffer again and again, which is twice as fast as a new buffer for every
 * 64 KiB; and the bodies of large messages to where they will stay.
 */
export function stdinInput(): Input {
  const kind = fstatSync(0)
  if (!kind.isFIFO() && !kind.isSocket()) return streamInput(process.stdin)
  let take: (chunk: Uint8Array) => void = () => undefined
  let target: () => Uint8Array | undefined = () => undefined
  const shared = new Uint8Array(READ_BYTES)
  const callback = (length: number, buffer: Uint8Array): boolean => {
    take(buffer.subarray(0, length))
    return true
  }
  // Node's types lack `onread` for sockets that are made from a descriptor.
  const options = { fd: 0, readable: true, writable: false, onread: { buffer: () => target() ?? shared, callback } }
  const socket = new Socket(options)
  return {
    start(onChunk, onEnd, bodyTarget) {
      take = onChunk
      target = bodyTarget
      whenOver(socket, onEnd)
      socket.resume()
    },
    pause: () => {
      socket.pause()
    },
    resume: () => {
      socket.resume()
    },
  }
}

/** Requests from any stream. */
export function streamInput(stream: Readable): Input {
  return {
    start(onChunk, onEnd) {
      stream.on('data', onChunk)
      whenOver(stream, onEnd)
    },
    pause: () => {
      stream.pause()
    },
    resume: () => {
      stream.resume()
    },
  }
}

function whenOver(stream: Readable, onEnd: () => void): void {
  let over = false
  const once = (): void => {
    if (!over) {
      over = true
      onEnd()
    }
  }
  stream.on('end', once)
  stream.on('close', once)
  stream.on('error', once)
}
