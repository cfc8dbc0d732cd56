/** @file The compute threads: which of them takes a job, deadlines, and what is told to all of them. */
import { CancelledError } from '../../core/errors/errors.js'
import type { ExitReason, StartThread } from './compute-thread.js'
import type { Job } from './job.js'
import { CANCEL_GRACE_MS } from './limits.js'
import { closeQueue, createThreadQueue, enqueue, isBlocked, queueLength, startNext, startThread, stopJob,
  type ThreadQueue } from './thread-queue.js'

/** The compute threads of a connection. */
export interface ThreadPool {
  /** Queues a job in the given thread, or in the one with the least to do. Returns the thread's number. */
  submit(job: Job, worker?: number): number
  /** Starts the first thread, so that it loads while the client prepares its first request. */
  warm(): void
  /** Cancels a job; it is answered within the grace. */
  cancel(id: number): void
  /** Forgets the state of a handle, after the jobs queued before. */
  free(handle: string, worker: number): void
  /** Whether waiting jobs may start: not while their answers would only pile up. */
  hold(held: boolean): void
  /** Ends all threads; their jobs are answered with the error, or not any more when there is none. */
  close(error?: CancelledError): void
  /** How many threads there are. */
  size(): number
}

/** What a pool is made with. */
export interface PoolOptions {
  /** The largest number of threads. */
  readonly limit: number
  /** Milliseconds that a thread may work on after its job was given up. */
  readonly threadGrace: number
  readonly start: StartThread
  readonly onExit: (worker: number, reason: ExitReason) => readonly string[]
}

/** A thread that does not stop counts as one with this many jobs. */
const BLOCKED = 2 ** 20

/**
 * A pool of at most `limit` threads; a further one starts only when all others have something to do.
 * @param onExit is told which thread ended, so that its handles can be ended; returns their names
 */
export function createThreadPool({ limit, threadGrace, start, onExit }: PoolOptions): ThreadPool {
  const queues: ThreadQueue[] = []
  const deadlines = new Set<NodeJS.Timeout>()
  let held = false

  /** The thread with the least to do, by its number: a new one where all are busy and there may be another. */
  const choose = (): number => {
    const lengths = queues.map(queue => queueLength(queue) + (isBlocked(queue) ? BLOCKED : 0))
    const least = lengths.indexOf(Math.min(...lengths))
    if (queues.length > 0 && (lengths[least] === 0 || queues.length >= limit)) return least
    const worker = queues.length
    queues.push(
      createThreadQueue({ start, threadGrace, mayStart: () => !held, onExit: reason => onExit(worker, reason) }),
    )
    return worker
  }
  const stop = (id: number, error: CancelledError, graceMs: number): void => {
    queues.find(queue => stopJob(queue, id, error, graceMs))
  }
  return {
    submit(job, worker = choose()) {
      enqueue(queues[worker], withDeadline(job, deadlines, error => {
        stop(job.id, error, 0)
      }))
      return worker
    },
    warm() {
      if (queues.length === 0) startThread(queues[choose()])
    },
    cancel(id) {
      stop(id, new CancelledError(), CANCEL_GRACE_MS)
    },
    free(handle, worker) {
      enqueue(queues[worker], { free: handle })
    },
    hold(wanted) {
      held = wanted
      if (!held) { for (const queue of queues) startNext(queue) }
    },
    close(error) {
      for (const queue of queues) closeQueue(queue, error)
      for (const timer of deadlines) clearTimeout(timer)
    },
    size: () => queues.length,
  }
}

/**
 * A job whose deadline, if it has one, runs until it is done: a timer left behind would stop a later job of the same
 * id.
 */
function withDeadline(job: Job, deadlines: Set<NodeJS.Timeout>, onDeadline: (error: CancelledError) => void): Job {
  const { deadline } = job
  if (deadline === undefined) return job
  const timer = setTimeout(() => {
    onDeadline(new CancelledError('DEADLINE', `The work did not end within its deadline of ${deadline} ms.`))
  }, deadline)
  deadlines.add(timer)
  return { ...job, done: outcome => {
    clearTimeout(timer)
    deadlines.delete(timer)
    job.done(outcome)
  } }
}
