/** @file The objects behind the handles of a compute thread. */
import { ProtocolError } from '../../core/errors/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import type { FitStream } from '../../core/laplace/fit-stream.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import type { Mixture } from '../../core/laplace/posterior-mixture.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { HandleKind } from '../messages/handle-kind.js'
import { textParameter } from '../messages/parameters.js'

/** A network, and what kind of file or description it was read from. */
export interface Model {
  readonly graph: Graph
  readonly format: string
}

interface ObjectOf {
  readonly model: Model
  readonly fit: FitStream
  readonly posterior: LaplacePosterior
  readonly mixture: Mixture
}

/**
 * Objects by handle. The I/O thread has checked that a request's handles are alive; here their kind is what makes a
 * type of them.
 */
export interface ObjectStore {
  add<K extends HandleKind>(kind: K, name: string, value: ObjectOf[K]): void
  /** The object whose handle is the parameter named like its kind. @throws ProtocolError UNKNOWN_HANDLE */
  get<K extends HandleKind>(kind: K, params: DecodedMap): ObjectOf[K]
  delete(name: string): void
}

/** An empty store. */
export function createObjectStore(): ObjectStore {
  const byKind: { readonly [K in HandleKind]: Map<string, ObjectOf[K]> } = { model: new Map(), fit: new Map(),
    posterior: new Map(), mixture: new Map() }
  return {
    add(kind, name, value) {
      byKind[kind].set(name, value)
    },
    get(kind, params) {
      const name = textParameter(params, kind)
      const found = byKind[kind].get(name)
      if (found === undefined) {
        throw new ProtocolError('UNKNOWN_HANDLE', `There is no ${kind} '${name.slice(0, 100)}' on this connection.`, {
          handle: name.slice(0, 100),
          parameter: kind,
        })
      }
      return found
    },
    delete(name) {
      for (const objects of Object.values(byKind)) objects.delete(name)
    },
  }
}
