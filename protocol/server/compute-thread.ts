/** @file A compute thread, as the I/O thread sees it. */
import type { FromWorker, ToWorker } from '../worker/worker-messages.js'

/** A thread that runs one job at a time. */
export interface ComputeThread {
  post(message: ToWorker, transfer: readonly ArrayBuffer[]): void
  /** Asks the running job to stop. */
  cancel(id: number): void
  terminate(): void
}

/** Starts a thread. `onMessage` and `onExit` are called later, never before the thread has been returned. */
export type StartThread = (onMessage: (message: FromWorker) => void,
  onExit: (reason: ExitReason) => void) => ComputeThread

/** Why a thread ended: by itself, or because it did not stop when it was asked to. */
export interface ExitReason {
  readonly kind: 'out of memory' | 'unexpected' | 'did not stop'
  readonly message: string
}
