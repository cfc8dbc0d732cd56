/**
 * @file Who computes: the calling thread alone while there is little to do, worker threads of the runtime beside it
 * when there is much.
 */
import type { Engine } from '../engine/engine.js'
import { type LikelihoodForm, likelihoodForm } from '../likelihood/registry.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { Likelihood } from '../options/words.js'
import type { Evaluator } from '../programs/evaluator.js'
import { engineShare } from '../programs/work.js'
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
   * The workers for some more work: the calling thread's alone until the work is worth more; from then on the same
   * ones, until it is worth another engine too. Nothing may be running in them that was given to them through the pool.
   * @param use what is multiplied: programs of the network, or matrices, which concern no engine
   */
  workers(multiplications: number, use?: 'network' | 'matrices'): Promise<readonly Worker[]>
}

/**
 * The pool of an evaluator whose engine was asked for as `engine`; the threads' workers have engines of the same kind.
 */
export function createWorkerPool(evaluator: Evaluator, likelihood: Likelihood, runtime: Runtime,
  options: Pick<ResolvedOptions, 'engine' | 'threads'> & LikelihoodForm): WorkerPool {
  const { engine, threads } = options
  const form = likelihoodForm(options)
  const local = createWorker(evaluator, likelihood, form)
  const alone = [local]
  const setup = (chosen: Engine['name']): WorkerSetup => {
    const { network, subset, precision } = evaluator
    return { network, subset, precision, likelihood, form, engine: chosen === 'typescript' ? chosen : engine }
  }
  const [worth, share] = [worthThreads(threads), engineShare(evaluator)]
  let announced = 0
  // Those before the last are kept: threads forget what they hold for workers that nobody knows any more.
  const started: { readonly engine: Engine['name'], readonly threads: WorkerThreads }[] = []
  return {
    local,
    async workers(multiplications, use = 'network') {
      announced += multiplications
      const name = await evaluator.engine.announceWork(use === 'network' ? share * multiplications : 0)
      if (announced > worth && started.at(-1)?.engine !== name) {
        const more = runtime.workerThreads?.(setup(name), threads)
        if (more !== undefined) started.push({ engine: name, threads: more })
      }
      return started.at(-1)?.threads.workers ?? alone
    },
  }
}
