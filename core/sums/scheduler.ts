/** @file Schedules the batches of a fit: to shards in turn, whose workers add them up. */
import { leaveBehind } from '../budget/garbage.js'
import { addCurvature, curvatureArrays } from '../curvature/accumulate.js'
import type { RealArray } from '../kernels/plain.js'
import { mergeAgreements } from '../likelihood/agreement.js'
import type { FitKind, FitSums, LabelledBatch } from '../parallel/batch-sums.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { Worker } from '../parallel/worker.js'

/** Batches that may wait for one worker. */
const WAITING = 2

/** A batch that a worker has taken, and its features once they are there. */
export interface ScheduledBatch {
  readonly features: Promise<RealArray | undefined>
}

/** Spreads the batches of one fit. */
export interface Scheduler {
  /** Announces work, so that other threads are called in time; returns how many workers share it. */
  announceWork(multiplications: number): Promise<number>
  /** Gives a batch to the next shard; resolves when there is room for another. */
  schedule(batch: LabelledBatch): Promise<ScheduledBatch>
  /** Merges the shards in their order. */
  collect(): Promise<FitSums | undefined>
  /** Drops what the shards hold, after a failure. */
  abandon(): Promise<void>
}

/** Shards of different fits have different numbers, as workers may serve several. */
let shardsGiven = 0

/** Gives batches to shards in turn; shard i belongs to worker i modulo their number. */
export function scheduleBatches(pool: WorkerPool, kind: FitKind, shards: number): Scheduler {
  let workers: readonly Worker[] = [pool.local]
  let next = 0
  const first = shardsGiven
  shardsGiven += shards
  const waiting = new Map<Worker, Promise<RealArray | undefined>[]>()
  const workerOf = (shard: number): Worker => workers[shard % workers.length]
  const waitForAll = async (): Promise<void> => {
    for (const queue of waiting.values()) await Promise.all(queue)
  }
  const numbers = Array.from({ length: shards }, (_, shard) => first + shard)
  // A function of its own: what it waits for is kept until it ends.
  const mergeAll = async (): Promise<Merged> =>
    merged(await Promise.all(numbers.map(shard => workerOf(shard).collect(shard))))
  const workersAtOnce = (): number => Math.min(shards, workers.length)
  const adoptAll = async (before: readonly Worker[]): Promise<void> => {
    for (const shard of numbers) {
      const sums = await before[shard % before.length].collect(shard)
      if (sums !== undefined) await workerOf(shard).adopt(shard, sums)
    }
  }
  return {
    async announceWork(multiplications) {
      const wanted = await pool.workers(multiplications)
      if (wanted[0] === workers[0]) return workersAtOnce()
      // What was scheduled before is computed where it is: which batches are depends on no thread's pace.
      await waitForAll()
      const before = workers
      workers = wanted
      await adoptAll(before)
      return workersAtOnce()
    },
    async schedule(batch) {
      // By turns, not by which worker is idle: the order of additions, and with it the last bits, would change from run
      // to run.
      const shard = first + next++ % shards
      const worker = workerOf(shard)
      const queue = waiting.get(worker) ?? []
      waiting.set(worker, queue)
      if (queue.length >= WAITING) await queue.shift()
      const features = worker.add(kind, shard, batch)
      if (worker === pool.local) await features
      else {
        // A failure elsewhere is thrown when the batch's turn comes.
        features.catch(() => undefined)
        queue.push(features)
      }
      return { features }
    },
    async collect() {
      await waitForAll()
      const { total, left } = await mergeAll()
      // Of large sums that is as much again as the posterior is made of.
      leaveBehind(left)
      return total
    },
    async abandon() {
      for (const queue of waiting.values()) await Promise.allSettled(queue)
      for (const shard of numbers) await workerOf(shard).collect(shard)
    },
  }
}

/** The sum of all shards, and the bytes of those that are needed no more. */
interface Merged {
  readonly total: FitSums | undefined
  readonly left: number
}

function merged(shards: readonly (FitSums | undefined)[]): Merged {
  let left = 0
  const total = shards.reduce((all, sums) => {
    if (all === undefined || sums === undefined) return all ?? sums
    left += curvatureArrays(sums.curvature).reduce((bytes, { byteLength }) => bytes + byteLength, 0)
    return { examples: all.examples + sums.examples, loss: all.loss + sums.loss,
      curvature: addCurvature(all.curvature, sums.curvature),
      agreement: mergeAgreements(all.agreement, sums.agreement) }
  }, undefined)
  return { total, left }
}
