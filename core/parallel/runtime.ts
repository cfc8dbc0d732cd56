/**
 * @file What the core takes from its surroundings: engines that it does not contain, and a solver for small systems.
 */
import type { EngineProvider } from '../engine/chosen-engine.js'
import { type ProductHelper, useProductHelper } from '../kernels/product.js'
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
  /** Another thread for parts of the calling thread's large products; undefined where only one is wanted. */
  readonly productHelper?: (threads: number | undefined) => ProductHelper | undefined
  /** How many threads compute at once where none are asked for. */
  readonly processors?: () => number
  /** Solves the Newton step of a few hyper-parameters. */
  readonly solver?: SmallSolver
}

/** What `work` returns, its large products shared with another thread where the runtime has one and it is wanted. */
export async function withSharedProducts<R>(runtime: Runtime, threads: number | undefined,
  work: () => Promise<R>): Promise<R> {
  const before = useProductHelper(runtime.productHelper?.(threads))
  try {
    return await work()
  } finally {
    useProductHelper(before)
  }
}
