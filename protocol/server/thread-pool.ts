/**
 * @file The compute threads, as the I/O thread sees them: queues of jobs, one running at a time in each thread.
 *
 * The I/O thread keeps the queues, so that a waiting job is cancelled without asking its thread, and sends a job only when the one
 * before is done. A running job is cancelled through a flag in shared memory that the computation polls.
 */
import { CancelledError, InternalError, ResourceError } from '../../core/errors/errors.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import { CANCEL_GRACE_MS } from '../frames/limits.js'
import type { ProgressReport } from '../messages/messages.js'

/** Work for a compute thread. */
export interface Job {
  readonly id: number
  readonly method: string
  readonly params: DecodedMap
  /** The buffer that the views in `params` look into; it moves to the thread. */
  readonly buffer: ArrayBuffer | undefined
  /** The name under which the thread keeps what the job makes. */
  readonly creates: string | undefined
  readonly deadline: number | undefined
  readonly progress: boolean
  /** Called exactly once. */
  readonly done: (outcome: Outcome) => void
  readonly onProgress: (report: ProgressReport) => void
}

/** The end of a job: an encoded answer, or an error. `dropped`: handles that ended with it. */
export type Outcome =
  | { readonly frame: Uint8Array, readonly failed: boolean, readonly dropped: readonly string[] }
  | { readonly error: unknown, readonly dropped: readonly string[] }

/** What the I/O thread sends. */
export type ToWorker =
  | { readonly type: 'run', readonly id: number, readonly method: string, readonly params: DecodedMap,
    readonly creates: string | undefined, readonly progress: boolean }
  | { readonly type: 'free', readonly handles: readonly string[] }

/** What a compute thread sends. */
export type FromWorker =
  | { readonly type: 'done', readonly id: number, readonly frame: Uint8Array, readonly failed: boolean,
    readonly dropped: readonly string[] }
  | { readonly type: 'progress', readonly id: number, readonly report: ProgressReport }

/** A thread that runs one job at a time. The session's tests give one that is no thread at all. */
export interface Thread {
  post(message: ToWorker, transfer: readonly ArrayBuffer[]): void
  /** Asks the running job to stop. */
  cancel(id: number): void
  terminate(): void
}

/** Starts a thread. `onMessage` and `onDeath` are called from it. */
export type StartThread = (onMessage: (message: FromWorker) => void, onDeath: (reason: DeathReason) => void) => Thread

/** Why a thread ended by itself. */
export interface DeathReason {
  readonly outOfMemory: boolean
  readonly message: string
}

export interface Pool {
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
  /** How many jobs wait or run. */
  load(): number
  /** How many threads there are. */
  size(): number
}

interface Running {
  readonly job: Job
  abandoned: boolean
  grace: NodeJS.Timeout | undefined
}
interface Slot {
  thread: Thread | undefined
  generation: number
  readonly queue: (Job | { readonly free: string })[]
  running: Running | undefined
}

/** The jobs of a thread that have not been answered. */
function unanswered({ running, queue }: Slot): Job[] {
  return [...(running === undefined || running.abandoned ? [] : [running.job]),
    ...queue.filter((item): item is Job => !('free' in item))]
}

/**
 * A pool of at most `limit` threads; a further one starts only when all others have something to do.
 * @param onDeath is told which thread died, so that its handles can be ended
 */
export function createPool(limit: number, start: StartThread,
  onDeath: (worker: number, reason: DeathReason) => void): Pool {
  const slots: Slot[] = []
  const timers = new Map<number, NodeJS.Timeout>()
  let closed = false
  let held = false

  const conclude = (job: Job, outcome: Outcome): void => {
    clearTimeout(timers.get(job.id))
    timers.delete(job.id)
    job.done(outcome)
  }
  const next = (index: number): void => {
    const slot = slots[index]
    while (slot.running === undefined && !held) {
      const item = slot.queue.shift()
      if (item === undefined) return
      if ('free' in item) {
        slot.thread?.post({ type: 'free', handles: [item.free] }, [])
        continue
      }
      run(index, item)
    }
  }
  const run = (index: number, job: Job): void => {
    const slot = slots[index]
    slot.running = { job, abandoned: false, grace: undefined }
    slot.thread ??= startThread(index)
    const { id, method, params, creates, progress } = job
    slot.thread.post({ type: 'run', id, method, params, creates, progress },
      job.buffer === undefined ? [] : [job.buffer])
  }
  const startThread = (index: number): Thread => {
    const generation = ++slots[index].generation
    const current = (): boolean => !closed && slots[index].generation === generation
    return start(message => {
      if (current()) receive(index, message)
    }, reason => {
      if (current()) die(index, reason)
    })
  }
  const receive = (index: number, message: FromWorker): void => {
    const { running } = slots[index]
    if (running === undefined || running.job.id !== message.id) return
    if (message.type === 'progress') {
      if (!running.abandoned) running.job.onProgress(message.report)
      return
    }
    clearTimeout(running.grace)
    slots[index].running = undefined
    // Nobody will ever name what an abandoned job made, or the streamed fit that it belonged to.
    if (running.abandoned) {
      const { creates, params: { fit } } = running.job
      for (const name of [creates, fit, ...message.dropped]) {
        if (typeof name === 'string') slots[index].queue.unshift({ free: name })
      }
    } else conclude(running.job, { frame: message.frame, failed: message.failed, dropped: message.dropped })
    next(index)
  }
  const die = (index: number, reason: DeathReason): void => {
    const slot = slots[index]
    const lost = unanswered(slot)
    slot.running = undefined
    slot.queue.length = 0
    slot.thread = undefined
    onDeath(index, reason)
    const error = reason.outOfMemory
      ? new ResourceError('OUT_OF_MEMORY',
        `The computation ran out of memory (${reason.message}); its models and posteriors are lost. Use smaller batches or a smaller structure, or a larger heap (--heap).`)
      : new InternalError(`The computation ended unexpectedly: ${reason.message}. Its models and posteriors are lost.`)
    for (const job of lost) conclude(job, { error, dropped: [] })
  }
  const abandon = (running: Running, error: unknown): void => {
    if (running.abandoned) return
    running.abandoned = true
    clearTimeout(running.grace)
    // A streamed fit whose batch was given up is of no use any more.
    const fit = running.job.params['fit']
    conclude(running.job, { error, dropped: typeof fit === 'string' ? [fit] : [] })
  }
  const stop = (id: number, error: CancelledError, graceMs: number): void => {
    for (const [index, slot] of slots.entries()) {
      // The id of an abandoned job has been answered, and may be that of a new one.
      if (slot.running?.job.id === id && !slot.running.abandoned) {
        const { running } = slot
        slot.thread?.cancel(id)
        if (graceMs === 0) abandon(running, error)
        else {running.grace ??= setTimeout(() => {
            abandon(running, error)
          }, graceMs)}
        return
      }
      const at = slot.queue.findIndex(item => !('free' in item) && item.id === id)
      if (at < 0) continue
      const [item] = slot.queue.splice(at, 1)
      if (!('free' in item)) conclude(item, { error, dropped: [] })
      next(index)
      return
    }
  }
  const choose = (): number => {
    const loads = slots.map(slot => slot.queue.length + (slot.running === undefined ? 0 : 1))
    const least = loads.indexOf(Math.min(...loads))
    if (slots.length > 0 && (loads[least] === 0 || slots.length >= limit)) return least
    slots.push({ thread: undefined, generation: 0, queue: [], running: undefined })
    return slots.length - 1
  }
  return {
    submit(job, worker) {
      const index = worker ?? choose()
      slots[index].queue.push(job)
      if (job.deadline !== undefined) {
        const { id, deadline } = job
        timers.set(id, setTimeout(() => {
          stop(id, new CancelledError('DEADLINE', `The work did not end within its deadline of ${deadline} ms.`), 0)
        }, deadline))
      }
      next(index)
      return index
    },
    warm() {
      if (slots.length === 0) slots[choose()].thread = startThread(0)
    },
    cancel(id) {
      stop(id, new CancelledError(), CANCEL_GRACE_MS)
    },
    free(handle, worker) {
      slots[worker].queue.push({ free: handle })
      next(worker)
    },
    hold(wanted) {
      held = wanted
      if (!held) { for (const index of slots.keys()) next(index) }
    },
    close(error) {
      closed = true
      for (const slot of slots) {
        clearTimeout(slot.running?.grace)
        slot.thread?.terminate()
        if (error !== undefined) { for (const job of unanswered(slot)) conclude(job, { error, dropped: [] }) }
      }
      for (const timer of timers.values()) clearTimeout(timer)
    },
    load: () =>
      slots.reduce(
        (sum, slot) =>
          sum + slot.queue.filter(item => !('free' in item)).length +
          (slot.running === undefined || slot.running.abandoned ? 0 : 1),
        0,
      ),
    size: () => slots.length,
  }
}
