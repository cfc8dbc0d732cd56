/** @file The options of `serve` on the command line. */
import { parseArgs } from 'node:util'
import { OptionError } from '../../core/errors/errors.js'
import { oneOf } from '../../core/errors/suggest.js'
import { DEFAULT_MAX_FRAME } from '../frames/limits.js'
import { DEFAULT_MAX_HANDLES, DEFAULT_MAX_IN_FLIGHT, DEFAULT_THREAD_GRACE_MS, DEFAULT_WORKERS } from './limits.js'
import type { ServerOptions } from './server.js'
import type { Transport } from './transports.js'

const USAGE = `Usage: polylaplace serve [options]
  the protocol of docs/protocol.md on stdin and stdout, for clients

Options
  --transport stdio | tcp-loopback | fifo      (fifo: --output PATH)
  --framing binary | base64-lines
  --max-frame BYTES  --max-in-flight N  --max-handles N  --workers N
  --heap MEBIBYTES
  --thread-grace MILLISECONDS    until a compute thread is ended that does not
                                 stop when asked to
  --read-dir DIR     allow path parameters below DIR (may be repeated)
  --debug            error stacks on stderr

Example
  polylaplace serve --transport stdio --workers 2
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
  'thread-grace': { type: 'string', default: String(DEFAULT_THREAD_GRACE_MS) },
  'read-dir': { type: 'string', multiple: true, default: [] as string[] },
  debug: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** What the options say: how to reach the client, and what its server is started with. */
export type Settings = Omit<ServerOptions, 'token' | 'version' | 'buildHash' | 'workerFile'> & {
  readonly transport: Transport
  /** The named pipe for the answers. */
  readonly output: string | undefined
}

/** The settings; or undefined after help or the fault has been printed and the process's exit code set. */
export function settingsOrUsage(args: readonly string[]): Settings | undefined {
  try {
    const settings = readSettings(args)
    if (settings !== undefined) return settings
    process.stdout.write(USAGE)
    process.exitCode = 0
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    process.exitCode = 2
  }
  return undefined
}

/** The settings; undefined when help is asked for. */
function readSettings(args: readonly string[]): Settings | undefined {
  const { values } = parseArgs({ args: [...args], options: FLAGS })
  if (values.help) return undefined
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
      threadGrace: count('thread-grace', values['thread-grace'], 2 ** 31 - 1),
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
