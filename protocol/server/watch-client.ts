/** @file Whether the client still lives: a server without one must not stay behind. */
import { CONNECT_MS, PARENT_POLL_MS } from './limits.js'

/** Watches a connection's client. */
export interface ClientWatch {
  /** The client has said hello, and the number of its process. */
  readonly greeted: (pid: number) => void
  readonly stop: () => void
}

/**
 * Watches the client's process from its hello on.
 * @param awaitHello whether the connection ends when no hello comes: anybody can connect to a port
 * @param close ends the connection with the exit code of the process
 */
export function watchClient(awaitHello: boolean, close: (exitCode: number) => void): ClientWatch {
  let stopWatching = (): void => undefined
  const hello = awaitHello
    ? setTimeout(() => {
      log('No client said hello.')
      close(1)
    }, CONNECT_MS)
    : undefined
  return {
    greeted: pid => {
      clearTimeout(hello)
      stopWatching = watchProcess(pid, () => {
        log(`The client (process ${pid}) has ended.`)
        close(0)
      })
    },
    stop: () => {
      stopWatching()
      clearTimeout(hello)
    },
  }
}

/** Calls back when a process that is visible now is no more. Returns the function that stops watching. */
function watchProcess(pid: number, gone: () => void): () => void {
  // A client in another container has a number that means nothing here: it is not watched.
  if (!isAlive(pid)) return () => undefined
  const timer = setInterval(() => {
    if (!isAlive(pid)) gone()
  }, PARENT_POLL_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
  }
}

function isAlive(pid: number): boolean {
  try {
    // Signal 0 is not sent: only whether it could be is looked at.
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** A line on stderr; never an error when nobody reads it. */
function log(message: string): void {
  process.stderr.write(`polylaplace: ${message}\n`)
}
