/** @file What the methods of a compute thread have in common: their form, their state, progress and cancellation. */
import { timeLeft, withTimeLeft, type WorkOptions } from '../../core/budget/progress.js'
import { InternalError } from '../../core/errors/errors.js'
import type { Runtime } from '../../core/parallel/runtime.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import type { FileReader } from './file-reader.js'
import type { MethodContext } from './method-set.js'
import type { ObjectStore } from './object-store.js'

/** The state of one compute thread, which its methods share. */
export interface ThreadState {
  readonly objects: ObjectStore
  readonly files: FileReader
  /** The engines of this machine. */
  readonly runtime: Runtime
}

/** A method: the parameters of a request in, the `ok` of its answer out. */
export type Method = (params: DecodedMap, context: MethodContext, state: ThreadState) => WireMap | Promise<WireMap>

/** The name under which to keep what a method makes. */
export function nameFor(context: MethodContext): string {
  if (context.creates === undefined) {
    throw new InternalError('A method that makes an object was called without a name for it.')
  }
  return context.creates
}

/** Progress and cancellation as the core takes them. */
export function workOf({ signal, onProgress }: MethodContext): WorkOptions {
  if (onProgress === undefined) return { signal }
  return { signal, onProgress: withTimeLeft(progress => {
    const { stage, done, total = 0, left } = progress
    onProgress({ stage, done, total, message: timeLeft(progress), ...(left === undefined ? {} : { left }) })
  }) }
}
