/** @file The handles of a connection: names of the networks, fits and posteriors that live in the compute threads. */
import { ProtocolError, ResourceError } from '../../core/errors/errors.js'
import { type DecodedMap, own } from '../frames/decoded-map.js'
import { HANDLE_PARAMETERS, type HandleKind } from '../messages/handle-kind.js'

/** A living handle and the compute thread that holds its state. */
export interface Handle {
  readonly name: string
  readonly kind: HandleKind
  readonly worker: number
  readonly created: number
}

/** The handles of a connection. A name is never used again: an old one must not come to mean another object. */
export interface HandleTable {
  /** A name that has never been used. @throws ResourceError OUT_OF_MEMORY when there are too many handles */
  reserve(kind: HandleKind): string
  /** Gives up a reserved name. */
  release(name: string): void
  /** Makes a reserved name a living handle. */
  add(name: string, worker: number): void
  /** Ends a handle; the reason is told to whoever uses it later. */
  remove(name: string, reason?: string): Handle | undefined
  /** The handles among a request's parameters. @throws ProtocolError UNKNOWN_HANDLE */
  inParams(params: DecodedMap): Handle[]
  /** All living handles. */
  list(): readonly Handle[]
}

/** How many ended handles are remembered for messages. */
const REMEMBERED = 1000

/** A table of at most `limit` handles. */
export function createHandleTable(limit: number, now: () => number): HandleTable {
  const living = new Map<string, Handle>()
  const reserved = new Set<string>()
  const ended = new Map<string, string>()
  let counter = 0
  return {
    reserve(kind) {
      if (living.size + reserved.size >= limit) {
        throw new ResourceError('OUT_OF_MEMORY', `There are ${limit} models, fits and posteriors already; free some ` +
          '(a client frees them when their objects are closed).', { limit, actual: living.size })
      }
      const name = `${kind}:${++counter}`
      reserved.add(name)
      return name
    },
    release(name) {
      reserved.delete(name)
    },
    add(name, worker) {
      reserved.delete(name)
      living.set(name, { name, kind: kindOf(name), worker, created: now() })
    },
    remove(name, reason = 'it has been freed') {
      const handle = living.get(name)
      if (handle === undefined) return undefined
      living.delete(name)
      ended.set(name, reason)
      if (ended.size > REMEMBERED) {
        for (const oldest of ended.keys()) {
          ended.delete(oldest)
          break
        }
      }
      return handle
    },
    inParams(params) {
      return HANDLE_PARAMETERS.flatMap(kind => {
        const name = own(params, kind)
        if (name === undefined || name === null) return []
        return [livingHandle(name, kind, living, ended)]
      })
    },
    list: () => [...living.values()],
  }
}

function kindOf(name: string): HandleKind {
  return HANDLE_PARAMETERS.find(kind => name.startsWith(`${kind}:`)) ?? 'model'
}

function livingHandle(name: unknown, kind: HandleKind, living: ReadonlyMap<string, Handle>,
  ended: ReadonlyMap<string, string>): Handle {
  if (typeof name !== 'string') {
    throw new ProtocolError('UNKNOWN_HANDLE',
      `The parameter '${kind}' must be the handle of a ${kind}, such as '${kind}:1'; found ${typeof name}.`, {
      parameter: kind,
    })
  }
  const shown = name.slice(0, 100)
  const handle = living.get(name)
  if (handle === undefined) {
    const reason = ended.get(name)
    throw new ProtocolError('UNKNOWN_HANDLE', reason === undefined
      ? `There is no ${kind} '${shown}' on this connection.`
      : `The ${kind} '${shown}' is gone: ${reason}.`, { handle: shown, parameter: kind })
  }
  if (handle.kind !== kind) {
    throw new ProtocolError('UNKNOWN_HANDLE', `'${shown}' is a ${handle.kind}, and a ${kind} is needed here.`, {
      handle: shown,
      parameter: kind,
      kind: handle.kind,
    })
  }
  return handle
}
