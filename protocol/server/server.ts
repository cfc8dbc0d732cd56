/** @file The server: joins streams of bytes to a session, and ends when its client does. */
import type { Writable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { ProtocolError } from '../../core/errors/errors.js'
import { createFrameReader, type FrameReader } from '../frames/frame.js'
import { CONNECT_MS, DRAIN_MS, OUTPUT_HIGH_WATER, PARENT_POLL_MS } from '../frames/limits.js'
import { createLineReader, encodeLine } from '../frames/lines.js'
import type { WorkerSetup } from '../worker/serve-thread.js'
import type { Input } from './input.js'
import { createSession, type SessionLimits } from './session.js'
import type { StartThread } from './thread-pool.js'

export interface ServerOptions {
  readonly limits: SessionLimits
  readonly framing: 'binary' | 'base64-lines'
  readonly version: string
  readonly buildHash: string
  readonly token: string | undefined
  /** Heap limit of each compute thread in MiB. */
  readonly heap: number | undefined
  readonly readDirectories: readonly string[]
  readonly debug: boolean
  /** The module of the compute threads. */
  readonly workerFile: URL
}

/**
 * Serves one connection. Resolves with the exit code when it has ended and its answers have been read (or nobody reads them).
 */
export function serve(input: Input, output: Writable, options: ServerOptions): Promise<number> {
  return new Promise(resolve => {
    const { framing, limits } = options
    const reader: FrameReader = framing === 'binary'
      ? createFrameReader(limits.maxFrame)
      : createLineReader(limits.maxFrame)
    let stopWatching = (): void => undefined
    let closing = false
    let held = false
    const close = (exitCode: number): void => {
      if (closing) return
      closing = true
      stopWatching()
      clearTimeout(connecting)
      session.end()
      input.pause()
      // Bounded: a client that does not read must not keep the process.
      const limit = setTimeout(() => {
        resolve(exitCode)
      }, DRAIN_MS)
      output.end(() => {
        clearTimeout(limit)
        resolve(exitCode)
      })
    }
    const session = createSession({
      limits,
      version: options.version,
      buildHash: options.buildHash,
      token: options.token,
      startThread: threadStarter(options),
      close,
      send: frame => {
        output.write(framing === 'binary' ? frame : encodeLine(frame))
        if (output.writableLength > OUTPUT_HIGH_WATER && !held) {
          held = true
          input.pause()
          session.hold(true)
          output.once('drain', () => {
            held = false
            if (!closing) {
              input.resume()
              session.hold(false)
            }
          })
        }
      },
      onClient: pid => {
        clearTimeout(connecting)
        stopWatching = watchProcess(pid, () => {
          log(`The client (process ${pid}) has ended.`)
          close(0)
        })
      },
      now: () => performance.now(),
    })
    const connecting = options.token === undefined ? undefined : setTimeout(() => {
      log('No client said hello.')
      close(1)
    }, CONNECT_MS)
    input.start(chunk => {
      if (closing) return
      try {
        for (const body of reader.push(chunk)) session.receive(body)
      } catch (error) {
        session.fail(error)
      }
    }, () => {
      if (closing) return
      try {
        reader.end()
      } catch (error) {
        session.fail(error)
      }
      close(0)
    }, () => reader.target?.())
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

/** A line on stderr; never an error when nobody reads it. */
function log(message: string): void {
  process.stderr.write(`polylaplace: ${message}\n`)
}

/** Calls back when a process that is visible now is no more. Returns the function that stops watching. */
function watchProcess(pid: number, gone: () => void): () => void {
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
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function threadStarter(options: ServerOptions): StartThread {
  return (onMessage, onDeath) => {
    const cancelFlag = new SharedArrayBuffer(4)
    const flag = new Int32Array(cancelFlag)
    const workerData: WorkerSetup = { cancelFlag, readDirectories: options.readDirectories, debug: options.debug }
    const worker = new Worker(options.workerFile, {
      workerData,
      stdout: true,
      stderr: false,
      ...(options.heap === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: options.heap } }),
    })
    worker.stdout.pipe(process.stderr, { end: false })
    let dead = false
    const die = (outOfMemory: boolean, message: string): void => {
      if (!dead) {
        dead = true
        onDeath({ outOfMemory, message })
      }
    }
    worker.on('message', onMessage)
    worker.on('error', (error: Error & { code?: string }) => {
      die(error.code === 'ERR_WORKER_OUT_OF_MEMORY', error.message)
    })
    worker.on('exit', code => {
      die(false, `exit code ${code}`)
    })
    return {
      post: (message, transfer) => {
        Atomics.store(flag, 0, 0)
        worker.postMessage(message, [...transfer])
      },
      cancel: id => {
        Atomics.store(flag, 0, id | 0)
      },
      terminate: () => {
        dead = true
        void worker.terminate()
      },
    }
  }
}

/** @throws ProtocolError when a loopback server has no token of at least 16 characters */
export function checkToken(token: string | undefined): string {
  if (token === undefined || token.length < 16) {
    throw new ProtocolError('PROTOCOL',
      'The loopback transport needs a one-time token of at least 16 characters in the environment variable POLYLAPLACE_TOKEN.')
  }
  return token
}
