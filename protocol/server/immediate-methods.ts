/** @file The methods that the I/O thread answers at once, while others compute. */
import { CancelledError, ProtocolError } from '../../core/errors/errors.js'
import { WIRE_DTYPES } from '../frames/arrays.js'
import { type DecodedMap, own } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import { MAX_DEPTH, MAX_ITEMS } from '../frames/limits.js'
import { listParameter } from '../messages/parameters.js'
import type { Request } from '../messages/requests.js'
import { METHODS } from '../methods/method-table.js'
import { readHello } from './handshake.js'
import type { SessionState } from './session-state.js'

type ImmediateMethod = (state: SessionState, request: Request) => WireMap

/** Features of this build beyond protocol version 1's first form. */
const FEATURES = ['streamed-fit', 'partials', 'progress', 'deadline', 'column-major', 'brief', 'network-in-fit',
  'inputs', 'free-note', 'parts', 'intervals', 'validated', 'compare', 'report', 'modules', 'files-beside', 'outliers',
  'lost-note', 'chunks', 'weights', 'input-gradients', 'onnx', 'expected', 'rows', 'forecast', 'influence', 'mixtures',
  'values'] as const

/** Largest length that the header of a frame can say. */
const LARGEST_FRAME = 2 ** 32 - 1

const hello: ImmediateMethod = (state, { params }) => {
  if (state.greeted) {
    throw new ProtocolError('PROTOCOL', 'hello has been said already; a connection has one handshake.')
  }
  const { limits, token, version, buildHash, onClient } = state.options
  const { protocol, pid, language, maxFrame } = readHello(params, token)
  state.language = language
  state.clientMaxFrame = Math.min(maxFrame ?? limits.maxFrame, LARGEST_FRAME)
  state.greeted = true
  if (pid !== undefined) onClient?.(pid)
  return {
    protocol,
    server: 'polylaplace',
    version,
    limits: { maxFrame: limits.maxFrame, maxInFlight: limits.maxInFlight, maxHandles: limits.maxHandles,
      maxDepth: MAX_DEPTH, maxItems: MAX_ITEMS },
    methods: methodNames(),
    dtypes: WIRE_DTYPES,
    features: FEATURES,
    buildHash,
  }
}

const ping: ImmediateMethod = (_state, { params }) => ({ echo: plainEcho(own(params, 'echo')) })

/** Only small plain values are echoed. */
function plainEcho(value: unknown): string | number | boolean | null {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}

const stats: ImmediateMethod = ({ options: { now }, started, requests, underWay, pool, handles }) => ({
  uptime: (now() - started) / 1000,
  requests,
  inFlight: underWay.size,
  workers: pool.size(),
  rss: process.memoryUsage.rss(),
  handles: handles.list().slice(0, MAX_ITEMS).map(({ name, kind, created }) => ({ handle: name, kind,
    age: (now() - created) / 1000 })
  ),
})

const free: ImmediateMethod = (state, { params }) => ({ freed: freeHandles(state, params) })

const shutdown: ImmediateMethod = ({ pool }) => {
  pool.close(new CancelledError('CANCELLED', 'The server was shut down.'))
  return {}
}

/** By name, in the order of docs/protocol.md. */
export const IMMEDIATE_METHODS: ReadonlyMap<string, ImmediateMethod> = new Map(
  Object.entries({ hello, ping, stats, free, shutdown }),
)

/** The names of all methods. */
export function methodNames(): string[] {
  return [...IMMEDIATE_METHODS.keys(), ...METHODS.keys()]
}

/** Ends the handles that a list names, passing over what is no living handle. @returns how many there were */
export function freeHandles(state: SessionState, params: DecodedMap): number {
  return listParameter(params, 'handles').filter(name => typeof name === 'string' && freeHandle(state, name)).length
}

function freeHandle({ handles, pool }: SessionState, name: string): boolean {
  const handle = handles.remove(name)
  if (handle !== undefined) pool.free(name, handle.worker)
  return handle !== undefined
}
