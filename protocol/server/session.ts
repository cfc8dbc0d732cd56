/**
 * @file One connection, seen from the I/O thread: handshake, routing of requests to the compute threads, answers.
 *
 * Nothing here computes, waits or knows how bytes travel, so that tests drive it with plain function calls.
 */
import { CancelledError, ProtocolError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { WIRE_DTYPES } from '../frames/arrays.js'
import { decodeMessage } from '../frames/decode.js'
import { type DecodedMap, own } from '../frames/decoded-map.js'
import { encodeFrame, type WireMap } from '../frames/encode.js'
import { MAX_DEPTH, MAX_ITEMS, PROTOCOL_VERSIONS } from '../frames/limits.js'
import { failure, idOf, logNote, type Note, progressNote, readMessage, type Request,
  result } from '../messages/messages.js'
import { listParameter } from '../messages/parameters.js'
import { METHODS } from '../methods/method-table.js'
import { createHandleTable, type HandleKind } from './handles.js'
import { createPool, type Outcome, type StartThread } from './thread-pool.js'

export interface SessionLimits {
  readonly maxFrame: number
  readonly maxInFlight: number
  readonly maxHandles: number
  readonly workers: number
}

export interface SessionOptions {
  readonly limits: SessionLimits
  readonly version: string
  readonly buildHash: string
  /** What `hello.token` must be; undefined: no token is asked for. */
  readonly token: string | undefined
  readonly startThread: StartThread
  /** Takes a whole frame. */
  readonly send: (frame: Uint8Array) => void
  /** Ends the connection after what was sent has been read. */
  readonly close: (exitCode: number) => void
  /** Is told the client's process id. */
  readonly onClient?: (pid: number) => void
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

export interface Session {
  /** Takes the body of a frame, whose buffer now belongs to the session. */
  receive(body: Uint8Array<ArrayBuffer>): void
  /** Answers a fault of the stream itself, and closes. */
  fail(error: unknown): void
  /** Whether answers wait to be read for so long that no more should be computed. */
  hold(held: boolean): void
  /** Stops all work; nothing is answered any more. */
  end(): void
}

/** Features of this build beyond protocol version 1's first form. */
const FEATURES = ['streamed-fit', 'partials', 'progress', 'deadline', 'column-major', 'brief', 'network-in-fit',
  'free-note', 'parts'] as const

/** Starts a session. */
export function createSession(options: SessionOptions): Session {
  const { limits, send, now } = options
  const started = now()
  const handles = createHandleTable(limits.maxHandles, now)
  const underWay = new Set<number>()
  let clientMaxFrame = limits.maxFrame
  let greeted = false
  let ended = false
  let requests = 0

  const pool = createPool(limits.workers, options.startThread, (worker, reason) => {
    const why = reason.outOfMemory ? 'its compute thread ran out of memory' : 'its compute thread ended unexpectedly'
    for (const handle of handles.list()) if (handle.worker === worker) handles.remove(handle.name, why)
    sendMap(logNote('warning', `A compute thread ended: ${reason.message}.`))
  })
  const sendMap = (message: WireMap): void => {
    if (!ended) send(encodeFrame(message))
  }
  const sendAnswer = (id: number, frame: Uint8Array): void => {
    if (ended) return
    if (frame.length - 4 <= clientMaxFrame) {
      send(frame)
      return
    }
    const error = new ProtocolError('PROTOCOL',
      `The answer has ${
        frame.length - 4
      } bytes, and the client takes at most ${clientMaxFrame}. Ask for fewer rows at a time.`, {
      actual: frame.length - 4,
      limit: clientMaxFrame,
    })
    sendMap(failure(id, error))
  }
  const fatal = (id: number, error: unknown): void => {
    sendMap(failure(id, error))
    end()
    options.close(1)
  }
  const end = (): void => {
    ended = true
    pool.close()
  }

  /** Methods that are answered at once, while others compute. */
  const immediate: Readonly<Record<string, (request: Request) => WireMap>> = {
    hello: ({ params }) => {
      if (greeted) throw new ProtocolError('PROTOCOL', 'hello has been said already; a connection has one handshake.')
      const hello = readHello(params, options.token)
      clientMaxFrame = Math.min(hello.maxFrame ?? limits.maxFrame, 2 ** 32 - 1)
      greeted = true
      if (hello.pid !== undefined) options.onClient?.(hello.pid)
      return {
        protocol: hello.protocol,
        server: 'polylaplace',
        version: options.version,
        limits: { maxFrame: limits.maxFrame, maxInFlight: limits.maxInFlight, maxHandles: limits.maxHandles,
          maxDepth: MAX_DEPTH, maxItems: MAX_ITEMS },
        methods: [...IMMEDIATE_METHODS, ...METHODS.keys()],
        dtypes: WIRE_DTYPES,
        features: FEATURES,
        buildHash: options.buildHash,
      }
    },
    ping: ({ params }) => ({ echo: plainEcho(own(params, 'echo')) }),
    stats: () => ({
      uptime: (now() - started) / 1000,
      requests,
      inFlight: underWay.size,
      workers: pool.size(),
      rss: process.memoryUsage.rss(),
      handles: handles.list().slice(0, MAX_ITEMS).map(({ name, kind, created }) => ({ handle: name, kind,
        age: (now() - created) / 1000 })
      ),
    }),
    free: ({ params }) => ({ freed: freeHandles(params) }),
    shutdown: () => {
      pool.close(new CancelledError('CANCELLED', 'The server was shut down.'))
      return {}
    },
  }
  const freeHandles = (params: DecodedMap): number =>
    listParameter(params, 'handles').filter(name => typeof name === 'string' && freeHandle(name)).length
  const freeHandle = (name: string): boolean => {
    const handle = handles.remove(name)
    if (handle !== undefined) pool.free(name, handle.worker)
    return handle !== undefined
  }
  const submit = (request: Request, creates: HandleKind | undefined, buffer: ArrayBuffer): void => {
    const { id, method, params, deadline, progress } = request
    if (underWay.size >= limits.maxInFlight) {
      throw new ProtocolError('BUSY',
        `${limits.maxInFlight} requests are under way; send more when one of them has been answered.`, {
        limit: limits.maxInFlight,
      })
    }
    const used = handles.inParams(params)
    const other = used.find(handle => handle.worker !== used[0].worker)
    if (other !== undefined) {
      throw new ProtocolError('UNKNOWN_HANDLE',
        `'${used[0].name}' and '${other.name}' were made from different networks and cannot be used together.`, {
        handle: other.name,
      })
    }
    const name = creates === undefined ? undefined : handles.reserve(creates)
    underWay.add(id)
    // Assigned before `done` can be called: answers come from another thread or a timer.
    let worker = -1
    const done = (outcome: Outcome): void => {
      underWay.delete(id)
      for (const dropped of outcome.dropped) handles.remove(dropped, 'its fit has ended')
      const made = 'frame' in outcome && !outcome.failed
      if (name !== undefined) {
        if (made) handles.add(name, worker)
        else handles.release(name)
      }
      if ('frame' in outcome) sendAnswer(id, outcome.frame)
      else sendMap(failure(id, outcome.error))
    }
    worker = pool.submit({ id, method, params, buffer, creates: name, deadline, progress, done, onProgress: report => {
      sendMap(progressNote(id, report))
    } }, used.at(0)?.worker)
  }
  const handle = (request: Request, buffer: ArrayBuffer): void => {
    const { id, method } = request
    requests++
    if (!greeted && method !== 'hello') {
      throw new ProtocolError('NOT_INITIALIZED', `The first request must be hello; got '${method.slice(0, 100)}'.`)
    }
    if (underWay.has(id)) {
      // Answered to 0: the request that rightly has this id gets an answer of its own.
      sendMap(
        failure(0,
          new ProtocolError('PROTOCOL',
            `A request with id ${id} is under way already; ids may be used again only after the answer.`, { id })),
      )
      return
    }
    if (Object.hasOwn(immediate, method)) {
      sendMap(result(id, immediate[method](request)))
      // After the answer: starting a thread takes a moment.
      if (method === 'hello') pool.warm()
      if (method === 'shutdown') {
        end()
        options.close(0)
      }
      return
    }
    const entry = METHODS.get(method)
    if (entry === undefined) throw unknownMethod(method)
    submit(request, entry.creates, buffer)
  }
  const note = ({ method, params }: Note): void => {
    if (method === 'cancel') pool.cancel(idOf(params))
    else if (method === 'free') freeHandles(params)
  }
  return {
    receive(body) {
      if (ended) return
      let message: DecodedMap
      try {
        message = decodeMessage(body)
      } catch (error) {
        fatal(0, error)
        return
      }
      try {
        const incoming = readMessage(message)
        if (incoming.kind === 'request') handle(incoming.request, body.buffer)
        else note(incoming.note)
      } catch (error) {
        sendMap(failure(idOf(message), error))
        // A client that cannot shake hands has nothing more to say here.
        if (!greeted && own(message, 'method') === 'hello') {
          end()
          options.close(1)
        }
      }
    },
    hold: held => {
      pool.hold(held)
    },
    fail(error) {
      if (!ended) fatal(0, error)
    },
    end,
  }
}

/** Methods answered by the I/O thread. */
export const IMMEDIATE_METHODS = ['hello', 'ping', 'stats', 'free', 'shutdown'] as const

function unknownMethod(method: string): ProtocolError {
  const known = [...IMMEDIATE_METHODS, ...METHODS.keys()]
  const suggestion = nearestWord(method, known)
  return new ProtocolError('UNKNOWN_METHOD', `There is no method '${method.slice(0, 100)}'.` +
    (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { method: method.slice(0, 100),
    ...(suggestion === undefined ? {} : { suggestion }) })
}

/** Only small plain values are echoed. */
function plainEcho(value: unknown): string | number | boolean | null {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}

interface Hello {
  readonly protocol: number
  readonly pid: number | undefined
  readonly maxFrame: number | undefined
}

function readHello(params: DecodedMap, token: string | undefined): Hello {
  if (token !== undefined && !sameText(own(params, 'token'), token)) {
    throw new ProtocolError('NOT_INITIALIZED',
      'hello must carry the token that this server was started with (environment variable POLYLAPLACE_TOKEN).')
  }
  const range = own(params, 'protocol')
  if (!Array.isArray(range) || range.length !== 2 || !range.every(Number.isSafeInteger)) {
    throw new ProtocolError('PROTOCOL', "hello needs 'protocol': [lowest, highest] version that the client speaks.", {
      parameter: 'protocol',
    })
  }
  const [min, max] = range as [number, number]
  const protocol = PROTOCOL_VERSIONS.findLast(version => version >= min && version <= max)
  if (protocol === undefined) {
    throw new ProtocolError('VERSION_MISMATCH',
      `The client speaks protocol versions ${min} to ${max}, and this server ${
        PROTOCOL_VERSIONS.join(', ')
      }. Update the older of the two.`, { client: [min, max], server: [...PROTOCOL_VERSIONS] })
  }
  const number = (key: string): number | undefined => {
    const value = own(params, key)
    return Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : undefined
  }
  return { protocol, pid: number('pid'), maxFrame: number('maxFrame') }
}

/** Compares without telling by its time how much was right. */
function sameText(given: unknown, wanted: string): boolean {
  if (typeof given !== 'string' || given.length !== wanted.length) return false
  let difference = 0
  for (let i = 0; i < wanted.length; i++) difference |= given.charCodeAt(i) ^ wanted.charCodeAt(i)
  return difference === 0
}
