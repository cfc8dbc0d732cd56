/**
 * @file The stream of answers. The real stdout is kept for it alone: whatever a dependency prints, with console or
 * straight to file descriptor 1, goes to stderr.
 */
import { Console } from 'node:console'
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'

/** Sends everything that is printed to stderr. Errors of a stderr that nobody reads any more are dropped. */
export function printToStderr(): void {
  process.stderr.on('error', () => undefined)
  globalThis.console = new Console(process.stderr, process.stderr)
}

/**
 * Takes the process's stdout for the protocol.
 *
 * Where stdout is a pipe, the pipe is opened anew under a private descriptor, and descriptor 1 becomes another stderr.
 * Elsewhere (sockets, files, Windows) only `process.stdout` can be redirected.
 */
export function takeStdout(): Writable {
  const out = privatePipe() ?? process.stdout
  if (out !== process.stdout) Object.defineProperty(process, 'stdout', { value: process.stderr, configurable: true })
  return out
}

function privatePipe(): Writable | undefined {
  if (process.platform === 'win32' || !fstatSync(1).isFIFO()) return undefined
  try {
    const fd = openSync('/dev/fd/1', constants.O_WRONLY)
    const strayOutput = canOpen('/dev/fd/2') ? '/dev/fd/2' : '/dev/null'
    closeSync(1)
    // The lowest free descriptor is taken, so this is descriptor 1 again (0 is stdin).
    openSync(strayOutput, constants.O_WRONLY | constants.O_APPEND)
    return new Socket({ fd, readable: false, writable: true })
  } catch {
    return undefined
  }
}

/** A socket, for one, cannot be opened by its name. */
function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_APPEND))
    return true
  } catch {
    return false
  }
}

/**
 * Opens a named pipe for the answers. Opened for reading too, because opening for writing alone would block a thread of
 * Node until somebody reads, and with it the end of the process.
 */
export function openFifo(path: string): Writable {
  return new Socket({ fd: openSync(path, constants.O_RDWR), readable: false, writable: true })
}
