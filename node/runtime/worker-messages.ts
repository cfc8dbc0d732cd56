/** @file What the calling thread and its worker threads say to each other. */
import { curvatureArrays } from '../../core/curvature/accumulate.js'
import { type ErrorCode, type ErrorData, errorOf, InternalError, LaplaceError } from '../../core/errors/errors.js'
import type { RowRequest } from '../../core/linear-model/row-products.js'
import type { Inputs } from '../../core/network/input-rows.js'
import type { GaussianRequest } from '../../core/parallel/batch-gaussian.js'
import type { FitKind, FitSums, LabelledBatch } from '../../core/parallel/batch-sums.js'
import type { WorkerSetup } from '../../core/parallel/worker.js'
import type { SymmetricFactor } from '../../core/posterior/factor-eigen.js'
import type { PosteriorParts } from '../../core/posterior/posterior-parts.js'

/** A call of a worker's method. */
export type WorkerCall =
  | { readonly method: 'add', readonly kind: FitKind, readonly shard: number, readonly batch: LabelledBatch }
  | { readonly method: 'adopt', readonly shard: number, readonly sums: FitSums }
  | { readonly method: 'collect', readonly shard: number }
  | { readonly method: 'keepRows', readonly part: number, readonly x: Inputs, readonly examples: number }
  | { readonly method: 'beginProduct', readonly part: number, readonly request: RowRequest }
  | { readonly method: 'advanceProduct' | 'finishProduct' | 'dropRows', readonly part: number }
  /** `shared` carries progress and cancellation. */
  | { readonly method: 'decompose', readonly factor: SymmetricFactor, readonly shared: SharedArrayBuffer }
  /** `parts` is the number under which the posterior was sent. */
  | { readonly method: 'gaussian', readonly parts: number, readonly x: Inputs, readonly request: GaussianRequest }

/** What the calling thread sends. `workerId` is the number of a network: each thread has one worker for it. */
export type ToWorker =
  | { readonly type: 'open', readonly workerId: number, readonly setup: WorkerSetup }
  | { readonly type: 'close', readonly workerId: number }
  | { readonly type: 'parts', readonly number: number, readonly parts: PosteriorParts }
  | { readonly type: 'call', readonly workerId: number, readonly id: number, readonly call: WorkerCall }

/** The answer to a call: its result, or its error. */
export interface FromWorker {
  /** The id of the call. */
  readonly call: number
  readonly ok?: unknown
  readonly error?: ThrownError
}

/** An error as plain data; `code` is undefined for errors that are not this library's. */
interface ThrownError {
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly data: ErrorData
}

/** What a thread has thrown, to be sent. */
export function thrown(error: unknown): ThrownError {
  if (error instanceof LaplaceError) return { code: error.code, message: error.message, data: error.data }
  return { code: undefined, message: error instanceof Error ? error.message : String(error), data: {} }
}

/** The error that another thread has thrown. */
export function receivedError({ code, message, data }: ThrownError): Error {
  return code === undefined
    ? new InternalError(`A worker thread failed: ${message}`)
    : errorOf(code, message, data)
}

/** What sums that are given away hold, to be moved to the other thread instead of copied. */
export function buffersOfSums({ curvature }: FitSums): ArrayBuffer[] {
  return [...new Set(curvatureArrays(curvature).map(({ buffer }) => buffer as ArrayBuffer))]
}
