/**
 * @file What the core takes from its surroundings: engines that it does not contain, and a solver for small systems.
 */
import type { EngineProvider } from '../engine/chosen-engine.js'
import type { SmallSolver } from '../kernels/small-solver.js'
import type { Worker, WorkerSetup } from './worker.js'

/** Workers in other threads. */
export interface WorkerThreads {
  readonly workers: readonly Worker[]
}

/** Injected by the package's Node entry; the core alone has the embedded engine. */
export interface Runtime extends EngineProvider {
  /**
   * Worker threads for a network, or undefined where there are none (or only one is wanted). They end by themselves.
   */
  readonly workerThreads?: (setup: WorkerSetup, threads: number | undefined) => WorkerThreads | undefined
  /** Solves the Newton step of a few hyper-parameters. */
  readonly solver?: SmallSolver
}
