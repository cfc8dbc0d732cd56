/** @file The command line of the server: `polylaplace serve`, and the whole of the bundle that the clients carry. */
import { setFlagsFromString } from 'node:v8'
import { LaplaceError } from '../core/errors/errors.js'
import { checkToken } from './server/handshake.js'
import { LAST_WORDS_MS, THREADS_END_MS } from './server/limits.js'
import { printToStderr } from './server/output.js'
import { serve } from './server/server.js'
import { settingsOrUsage } from './server/settings.js'
import { endThreads } from './server/start-thread.js'
import { connect } from './server/transports.js'

/** What the server is built from. */
export interface Build {
  readonly version: string
  readonly hash: string
  /** The module of the compute threads. */
  readonly workerFile: URL
}

/**
 * Runs `serve` with these arguments and ends the process.
 * Exit codes: 0 the client ended, 1 a fatal fault of the protocol, 2 wrong options.
 */
export async function serveCommand(args: readonly string[], { version, hash, workerFile }: Build): Promise<void> {
  const settings = settingsOrUsage(args)
  if (settings === undefined) return
  printToStderr()
  // Four threads that look for garbage beside every computing one took a tenth of the processors, which as many servers
  // as there are processors want for themselves; there is little garbage, as the numbers lie outside of the heap.
  setFlagsFromString('--no-concurrent-marking')
  // The terminal's Ctrl-C reaches a client's whole group: the client decides what it means.
  process.on('SIGINT', () => undefined)
  const { transport, output, ...rest } = settings
  const token = transport === 'tcp-loopback' ? checkToken(process.env['POLYLAPLACE_TOKEN']) : undefined
  // Else everything that this process starts would inherit the token.
  delete process.env['POLYLAPLACE_TOKEN']
  const [input, out] = await connect(transport, output)
  process.on('SIGTERM', () => {
    void leave(0)
  })
  await leave(await serve(input, out, { ...rest, token, version, buildHash: hash, workerFile }))
}

/** Ends the process; a last line on stderr is written first. */
async function leave(code: number): Promise<void> {
  const ended = await endThreads(THREADS_END_MS)
  // process.exit waits for threads without end.
  const end = (): void => {
    if (ended) process.exit(code)
    process.kill(process.pid, 'SIGKILL')
  }
  if (process.stderr.writableLength === 0) end()
  setTimeout(end, LAST_WORDS_MS).unref()
  process.stderr.write('', end)
}

/** What an error says to the user: with its name where it is one of this library's. */
export function messageOf(error: unknown): string {
  return error instanceof LaplaceError
    ? `${error.name}: ${error.message}`
    : error instanceof Error
    ? error.message
    : String(error)
}
