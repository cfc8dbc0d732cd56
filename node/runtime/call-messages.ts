/** @file What the calling thread and a thread that computes whole calls say to each other. */
import type { Progress } from '../../core/budget/progress.js'
import type { Calibration } from '../../core/conformal/calibration.js'
import type { Graph } from '../../core/graph/graph.js'
import type { PortablePosterior } from '../../core/laplace/portable-posterior.js'
import type { LaplaceOptions } from '../../core/options/laplace-options.js'
import type { FromWorker } from './worker-messages.js'

/** Whose method is called; posteriors are known by the numbers under which they were sent. */
export type CallTarget =
  | { readonly kind: 'fit', readonly graph: Graph, readonly options: LaplaceOptions }
  /** The fit whose data come piece by piece: one at a time in a thread. */
  | { readonly kind: 'stream' }
  | { readonly kind: 'posterior', readonly number: number }
  | { readonly kind: 'mixture', readonly members: readonly number[], readonly weights: Float64Array,
    readonly calibration: Calibration | undefined }

/** A call of a method, whose last argument, the options of long work, is made anew in the thread. */
export interface Call {
  readonly target: CallTarget
  readonly method: string
  readonly args: readonly unknown[]
  /** What the options of long work hold beside signal and progress. */
  readonly more: Readonly<Record<string, unknown>>
}

/** What the calling thread sends. */
export type ToCallThread =
  | { readonly type: 'posterior', readonly number: number, readonly posterior: PortablePosterior }
  | { readonly type: 'forget', readonly number: number }
  | { readonly type: 'call', readonly id: number, readonly call: Call }

/** What a call has come to: posteriors as data, a mixture as its calibration, all else as it is. */
export type CallResult =
  | { readonly posterior: PortablePosterior }
  | { readonly calibration: Calibration | undefined }
  | { readonly value: unknown }

/** What the thread sends: news of a call, then its result or its error. */
export type FromCallThread =
  | { readonly call: number, readonly progress: Progress }
  | FromWorker & { readonly ok?: CallResult }

/** What the thread starts with: a cell that holds the number of the call that is to stop. */
export interface CallThreadSetup {
  readonly stop: SharedArrayBuffer
}
