/** @file The command line of the server: `polylaplace serve`, and the whole of the bundle that the clients carry. */
import { createServer } from 'node:net'
import type { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { LaplaceError, OptionError } from '../core/errors/errors.js'
import { oneOf } from '../core/errors/suggest.js'
import { CONNECT_MS, DEFAULT_MAX_FRAME, DEFAULT_MAX_HANDLES, DEFAULT_MAX_IN_FLIGHT, DEFAULT_WORKERS,
  DRAIN_MS } from './frames/limits.js'
import { type Input, stdinInput, streamInput } from './server/input.js'
import { openFifo, printToStderr, takeStdout } from './server/output.js'
import { checkToken, serve, type ServerOptions } from './server/server.js'

const USAGE = `Usage: polylaplace serve [options]      the protocol of docs/protocol.md
  --transport stdio | tcp-loopback | fifo    (fifo: --output PATH)
  --framing binary | base64-lines
  --max-frame BYTES  --max-in-flight N  --max-handles N  --workers N  --heap MEBIBYTES
  --read-dir DIR     allow path parameters below DIR (may be repeated)
  --debug            error stacks on stderr
`

const FLAGS = {
  transport: { type: 'string', default: 'stdio' },
  framing: { type: 'string', default: 'binary' },
  output: { type: 'string' },
  'max-frame': { type: 'string', default: String(DEFAULT_MAX_FRAME) },
  'max-in-flight': { type: 'string', default: String(DEFAULT_MAX_IN_FLIGHT) },
  'max-handles': { type: 'string', default: String(DEFAULT_MAX_HANDLES) },
  workers: { type: 'string', default: String(DEFAULT_WORKERS) },
  heap: { type: 'string' },
  'read-dir': { type: 'string', multiple: true, default: [] as string[] },
  debug: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** What the server is built from. */
export interface Build {
  readonly version: string
  readonly hash: string
  readonly workerFile: URL
}

/**
 * Runs `serve` with these arguments and ends the process.
 * Exit codes: 0 the client ended, 1 a fatal fault of the protocol, 2 wrong options.
 */
export async function serveCommand(args: readonly string[], build: Build): Promise<void> {
  const settings = settingsOrUsage(args)
  if (settings === undefined) return
  printToStderr()
  // The terminal's Ctrl-C reaches a client's whole group: the client decides what it means.
  process.on('SIGINT', () => undefined)
  const { transport, output, ...rest } = settings
  const token = transport === 'tcp-loopback' ? checkToken(process.env['POLYLAPLACE_TOKEN']) : undefined
  delete process.env['POLYLAPLACE_TOKEN']
  const options: ServerOptions = { ...rest, token, version: build.version, buildHash: build.hash,
    workerFile: build.workerFile }
  const [input, out] = await connect(transport, output)
  process.on('SIGTERM', () => {
    leave(0)
  })
  const code = await serve(input, out, options)
  leave(code)
}

/** Ends the process; a last line on stderr is written first. */
function leave(code: number): void {
  const timer = setTimeout(() => process.exit(code), DRAIN_MS)
  timer.unref()
  if (process.stderr.writableLength === 0) process.exit(code)
  process.stderr.write('', () => process.exit(code))
}

function settingsOrUsage(args: readonly string[]): Settings | undefined {
  try {
    return readSettings(args)
  } catch (error) {
    const help = error instanceof HelpWanted
    const stream = help ? process.stdout : process.stderr
    stream.write(help ? USAGE : `${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    process.exitCode = help ? 0 : 2
    return undefined
  }
}

class HelpWanted extends Error {}

type Settings = Omit<ServerOptions, 'token' | 'version' | 'buildHash' | 'workerFile'> & {
  readonly transport: 'stdio' | 'tcp-loopback' | 'fifo'
  readonly output: string | undefined
}

function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({ args: [...args], options: FLAGS })
  if (values.help) throw new HelpWanted()
  const transport = oneOf('--transport', values.transport, ['stdio', 'tcp-loopback', 'fifo'] as const)
  if (transport === 'fifo' && values.output === undefined) {
    throw new OptionError('BAD_OPTION', 'The transport fifo needs --output PATH, the named pipe for the answers.')
  }
  return {
    transport,
    output: values.output,
    framing: oneOf('--framing', values.framing, ['binary', 'base64-lines'] as const),
    limits: {
      maxFrame: count('max-frame', values['max-frame'], 2 ** 32 - 1),
      maxInFlight: count('max-in-flight', values['max-in-flight']),
      maxHandles: count('max-handles', values['max-handles']),
      workers: count('workers', values.workers, 64),
    },
    heap: values.heap === undefined ? undefined : count('heap', values.heap),
    readDirectories: values['read-dir'],
    debug: values.debug,
  }
}

function count(flag: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value
  throw new OptionError('BAD_OPTION', `--${flag} takes a whole number from 1 to ${most}; got '${text}'.`, {
    option: flag,
    value: text,
  })
}

async function connect(transport: Settings['transport'], output: string | undefined): Promise<[Input, Writable]> {
  switch (transport) {
    case 'stdio':
      return [stdinInput(), takeStdout()]
    case 'fifo':
      takeStdout()
      return [stdinInput(), openFifo(output ?? '')]
    case 'tcp-loopback':
      return loopback()
  }
}

/** Listens on a free port of 127.0.0.1, says which on stdout, and takes one connection. */
function loopback(): Promise<[Input, Writable]> {
  return new Promise((resolve, reject) => {
    const listener = createServer({ noDelay: true, allowHalfOpen: true }, socket => {
      clearTimeout(patience)
      listener.close()
      resolve([streamInput(socket), socket])
    })
    const patience = setTimeout(() => {
      reject(new Error(`No client connected within ${CONNECT_MS / 1000} s.`))
    }, CONNECT_MS)
    listener.on('error', reject)
    listener.listen(0, '127.0.0.1', 1, () => {
      const address = listener.address()
      if (address === null || typeof address === 'string') {
        reject(new Error('No port.'))
        return
      }
      const out = takeStdout()
      out.write(`${address.port}\n`)
    })
  })
}

/** Whether an error is the user's: shown as its message alone. */
export function messageOf(error: unknown): string {
  return error instanceof LaplaceError
    ? `${error.name}: ${error.message}`
    : error instanceof Error
    ? error.message
    : String(error)
}
