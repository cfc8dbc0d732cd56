/**
 * @file Who computes: the calling thread alone while there is little to do, worker threads of the runtime beside it
 * when there is much.
 */
import type { ResolvedOptions } from '../options/laplace-options.js'
import type { Likelihood } from '../options/words.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { Runtime, WorkerThreads } from './runtime.js'
import { createWorker, type Worker, type WorkerSetup } from './worker.js'

/**
 * Multiplications below which other threads cost more than they save: about a tenth of a second, or less where their
 * number was asked for.
 */
const WORTH_THREADS = 5e8

const WORTH_ASKED_THREADS = 2e7

function worthThreads(threads: number | undefined): number {
  return threads === undefined ? WORTH_THREADS : WORTH_ASKED_THREADS
}

/** How many threads compute some work, as far as the runtime tells: 1 is the calling thread. */
export function threadsFor(multiplications: number, { threads }: { readonly threads: number | undefined },
  runtime: Runtime): number {
  const most = threads ?? runtime.processors?.() ?? 1
  return runtime.workerThreads === undefined || multiplications <= worthThreads(threads) ? 1 : Math.max(1, most)
}

/** The workers of a network. */
export interface WorkerPool {
  /** The calling thread's own worker. */
  readonly local: Worker
  /**
   * The workers for some more work; from then on the same ones. The calling thread's is the only one until the work is
   * worth more.
   */
  workers(multiplications: number): Promise<readonly Worker[]>
}

/**
 * The pool of an evaluator whose engine was asked for as `engine`; the threads' workers have engines of the same kind.
 */
export function createWorkerPool(evaluator: Evaluator, likelihood: Likelihood, runtime: Runtime,
  { engine, threads, outputNoise }: Pick<ResolvedOptions, 'engine' | 'threads' | 'outputNoise'>): WorkerPool {
  const local = createWorker(evaluator, likelihood, outputNoise)
  const alone = [local]
  const setup = async (): Promise<WorkerSetup> => {
    const { network, subset, precision } = evaluator
    return { network, subset, precision, likelihood, outputNoise,
      engine: await evaluator.engine.chosen() === 'typescript' ? 'typescript' : engine }
  }
  const worth = worthThreads(threads)
  let announced = 0
  let workerThreads: WorkerThreads | undefined
  return {
    local,
    async workers(multiplications) {
      announced += multiplications
      evaluator.engine.announceWork(multiplications)
      if (workerThreads === undefined && announced > worth) {
        workerThreads = runtime.workerThreads?.(await setup(), threads)
      }
      return workerThreads?.workers ?? alone
    },
  }
}
