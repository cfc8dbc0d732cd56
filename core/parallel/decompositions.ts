/** @file Eigen-decompositions ahead of their use: several threads at once, with progress, and ended when cancelled. */
import { breathe, type Progress, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { decompositionBytes, decompositionCost } from '../curvature/factor-shape.js'
import type { FactorEigens, SymmetricFactor } from '../posterior/factor-eigen.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import type { WorkerPool } from './worker-pool.js'
import type { Worker } from './worker.js'

/** Multiplications up to which they are made where they are used: a few hundredths of a second. */
export const SMALL_DECOMPOSITIONS = 1e8

/** What the decompositions of a posterior may use. */
export interface DecompositionPlan {
  readonly pool: WorkerPool
  /** Bytes that those under way may take together; one alone may take more. */
  readonly memoryLimit: number
  /** What they are a part of. */
  readonly stage: Progress['stage']
}

/** Makes the decompositions that a posterior waits for. @throws CancelledError; NumericalError NO_CONVERGENCE */
export async function decomposeAhead(posterior: StructuredPosterior, plan: DecompositionPlan,
  work: WorkOptions): Promise<void> {
  const eigens = posterior.factors?.()
  if (eigens === undefined) return
  const factors = [...eigens.missing()].sort((a, b) => decompositionCost(b) - decompositionCost(a))
  const total = factors.reduce((sum, factor) => sum + decompositionCost(factor), 0)
  if (total < SMALL_DECOMPOSITIONS) return
  const workers = await plan.pool.workers(total, 'matrices')
  const progress = progressOf(total, plan.stage, work)
  const free = memoryGate(plan.memoryLimit)
  await allOrFirstFailure(workers.map(worker => takeTurns(worker, factors, eigens, free, progress, work)))
}

/** Takes one factor after another, the largest first, until none is left. */
async function takeTurns(worker: Worker, factors: SymmetricFactor[], eigens: FactorEigens, free: MemoryGate,
  progress: WorkProgress, work: WorkOptions): Promise<void> {
  for (let factor = factors.shift(); factor !== undefined; factor = factors.shift()) {
    await breathe()
    throwIfCancelled(work.signal)
    const release = await free.take(decompositionBytes(factor))
    try {
      const report = progress.begin(decompositionCost(factor))
      eigens.keep(factor, await worker.decompose(factor, { ...work, onShare: report }))
      report(1)
    } finally {
      release()
    }
  }
}

/** The first failure at once: the others end by the same signal, or are of no use. */
async function allOrFirstFailure(tasks: readonly Promise<void>[]): Promise<void> {
  for (const task of tasks) task.catch(() => undefined)
  await Promise.all(tasks)
}

interface WorkProgress {
  /** A part of so many multiplications; the result is told its share that is done. */
  begin(cost: number): (share: number) => void
}

/** Progress in hundredths of all work. */
function progressOf(total: number, stage: Progress['stage'], { onProgress }: WorkOptions): WorkProgress {
  let [sum, told] = [0, -1]
  return {
    begin(cost) {
      let before = 0
      return share => {
        sum += cost * Math.max(0, share - before)
        before = Math.max(before, share)
        const done = Math.min(100, Math.floor(100 * sum / total))
        if (done > told) onProgress?.({ stage, done, total: 100 })
        told = Math.max(told, done)
      }
    },
  }
}

interface MemoryGate {
  /** Waits until so many bytes are free, or all are; returns how to give them back. */
  take(bytes: number): Promise<() => void>
}

function memoryGate(limit: number): MemoryGate {
  let used = 0
  const waiting: (() => void)[] = []
  return {
    async take(bytes) {
      while (used > 0 && used + bytes > limit) {
        await new Promise<void>(resolve => {
          waiting.push(resolve)
        })
      }
      used += bytes
      return () => {
        used -= bytes
        for (const wake of waiting.splice(0)) wake()
      }
    },
  }
}
