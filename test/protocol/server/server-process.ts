/** A server as a child process, and a small client for it. */
import { type ChildProcess, execFileSync, spawn, type SpawnOptions } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { decodeMessage } from '../../../protocol/frames/decode.js'
import type { DecodedMap } from '../../../protocol/frames/decoded-map.js'
import { encodeFrame, type WireMap } from '../../../protocol/frames/encode.js'
import { createFrameReader } from '../../../protocol/frames/frame.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Bundles the server with the given compute thread into a folder of its own. */
export function buildServer(worker: string): { readonly file: string, readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'polylaplace-'))
  execFileSync(process.execPath, ['scripts/build-clients.mjs', '--server', folder, worker], { cwd: root,
    env: { PATH: process.env['PATH'] } })
  return { file: join(folder, 'polylaplace.mjs'), remove: () => {
    rmSync(folder, { recursive: true, force: true })
  } }
}

/** An answer, or the error in it. */
export interface Answer {
  readonly id: number
  readonly ok?: DecodedMap
  readonly err?: { readonly name: string, readonly message: string, readonly data: DecodedMap,
    readonly retryable: boolean }
}

export interface Client {
  readonly child: ChildProcess
  /** Sends a request and waits for its answer. */
  call(method: string, params?: WireMap, more?: WireMap): Promise<Answer>
  /** Sends a request under a given id. */
  send(message: WireMap): void
  /** Waits for the answer to an id. */
  answer(id: number): Promise<Answer>
  write(bytes: Uint8Array): void
  readonly notes: DecodedMap[]
  readonly answers: Answer[]
  /** What came on stderr so far. */
  stderr(): string
  /** Resolves when the process has ended. */
  readonly exit: Promise<{ readonly code: number | null, readonly signal: string | null, readonly at: number }>
}

type Exit = Awaited<Client['exit']>

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise(resolve => {
    child.on('exit', (code, signal) => {
      resolve({ code, signal, at: performance.now() })
    })
  })
}

/** Takes the messages of a stream apart, as they come. */
function readMessages(input: Readable, onNote: (note: DecodedMap) => void, onAnswer: (answer: Answer) => void): void {
  const reader = createFrameReader(2 ** 32 - 1)
  input.on('data', (chunk: Buffer) => {
    for (const body of reader.push(chunk)) {
      const message = decodeMessage(body)
      if (message['t'] === 'note') onNote(message)
      else onAnswer(message as unknown as Answer)
    }
  })
}

/** A client on these streams. */
export function clientOn(child: ChildProcess, input: Readable, output: Writable): Client {
  const answers: Answer[] = []
  const notes: DecodedMap[] = []
  const waiting = new Map<number, (answer: Answer) => void>()
  const exit = exitOf(child)
  const read = new Promise(resolve => input.once('close', resolve))
  let stderr = ''
  let next = 1
  readMessages(input, note => notes.push(note), answer => {
    answers.push(answer)
    waiting.get(answer.id)?.(answer)
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  output.on('error', () => undefined)
  const answer = (id: number): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const found = answers.find(candidate => candidate.id === id)
      if (found !== undefined) {
        resolve(found)
        return
      }
      waiting.set(id, resolve)
      // What it wrote last may come after its end.
      void Promise.all([exit, read]).then(([{ code, signal }]) => {
        reject(new Error(`The server ended (${code ?? signal}) before it answered ${id}: ${stderr}`))
      })
    })
  const send = (message: WireMap): void => {
    output.write(encodeFrame(message))
  }
  const call: Client['call'] = (method, params = {}, more = {}) => {
    const id = next++
    const answered = answer(id)
    send({ t: 'req', id, method, params, ...more })
    return answered
  }
  return { child, answers, notes, send, answer, call, stderr: () => stderr, exit, write: bytes => {
    output.write(bytes)
  } }
}

/** Starts a server on pipes. */
export function startServer(file: string, args: readonly string[] = [], options: SpawnOptions = {}): Client {
  const child = spawn(process.execPath, [file, 'serve', ...args], { stdio: ['pipe', 'pipe', 'pipe'], ...options })
  if (child.stdin === null || child.stdout === null) throw new Error('The server has no pipes.')
  return clientOn(child, child.stdout, child.stdin)
}

/** The parameters of a hello. */
export const HELLO = { protocol: [1, 1], client: 'test/1.0', pid: process.pid }

export const pause = (ms: number): Promise<void> =>
  new Promise(resolve => {
    setTimeout(resolve, ms)
  })
