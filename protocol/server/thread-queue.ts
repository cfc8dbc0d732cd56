/**
 * @file The jobs of one compute thread: one runs, the others wait in the order in which they came.
 *
 * The I/O thread keeps the queue, so that a waiting job is cancelled without asking the thread, and sends a job only
 * when the one before is done. A running job is cancelled through a flag in shared memory that the computation polls.
 */
import { type CancelledError, InternalError, ProtocolError, ResourceError } from '../../core/errors/errors.js'
import type { FromWorker } from '../worker/worker-messages.js'
import type { ComputeThread, ExitReason, StartThread } from './compute-thread.js'
import type { Job, Outcome } from './job.js'

/**
 * The job that a thread works on. An abandoned one has been answered, although the thread has not stopped yet. The
 * timer runs until it is abandoned, then until the thread is ended.
 */
interface Running {
  readonly job: Job
  abandoned: boolean
  timer: NodeJS.Timeout | undefined
}

/** What waits for a thread: a job, or a handle whose state it is to forget after the jobs before. */
type Waiting = Job | { readonly free: string }

/** What a queue is made with. */
export interface QueueOptions {
  readonly start: StartThread
  /** Milliseconds that a thread may work on after its job was abandoned. */
  readonly threadGrace: number
  /** Whether waiting jobs may start. */
  readonly mayStart: () => boolean
  /** Is told when the thread has ended, before its jobs are answered. Returns the names of the handles that end. */
  readonly onExit: (reason: ExitReason) => readonly string[]
}

/** A thread with its jobs. */
export interface ThreadQueue extends QueueOptions {
  readonly waiting: Waiting[]
  thread: ComputeThread | undefined
  running: Running | undefined
  closed: boolean
}

/** An empty queue; its thread starts with the first job. */
export function createThreadQueue(options: QueueOptions): ThreadQueue {
  return { ...options, waiting: [], thread: undefined, running: undefined, closed: false }
}

/** How much there is to do: what waits, and what runs. */
export function queueLength({ waiting, running }: ThreadQueue): number {
  return waiting.length + (running === undefined ? 0 : 1)
}

/** Whether the thread works on something that nobody waits for any more. */
export function isBlocked({ running }: ThreadQueue): boolean {
  return running?.abandoned === true
}

/** Puts a job, or a handle to forget, behind what waits. */
export function enqueue(queue: ThreadQueue, item: Waiting): void {
  queue.waiting.push(item)
  startNext(queue)
}

/** Starts the next job, unless one runs or none may start. */
export function startNext(queue: ThreadQueue): void {
  while (queue.running === undefined && queue.mayStart()) {
    const item = queue.waiting.shift()
    if (item === undefined) return
    // A thread that has not started, or has ended, has no state to forget.
    if ('free' in item) queue.thread?.post({ type: 'free', handles: [item.free] }, [])
    else run(queue, item)
  }
}

function run(queue: ThreadQueue, job: Job): void {
  queue.running = { job, abandoned: false, timer: undefined }
  const { id, method, params, creates, language, progress, buffer } = job
  startThread(queue).post({ type: 'run', id, method, params, creates, language, progress }, [buffer])
}

/** The thread, started where it does not run yet. */
export function startThread(queue: ThreadQueue): ComputeThread {
  if (queue.thread !== undefined) return queue.thread
  // What still comes from a thread that was given up must not be taken for its successor's.
  const isCurrent = (): boolean => !queue.closed && queue.thread === thread
  const thread = queue.start(message => {
    if (isCurrent()) receive(queue, message)
  }, reason => {
    if (isCurrent()) replace(queue, reason)
  })
  queue.thread = thread
  return thread
}

function receive(queue: ThreadQueue, message: FromWorker): void {
  const { running } = queue
  if (running === undefined || running.job.id !== message.id) return
  if (message.type === 'progress') {
    if (!running.abandoned) running.job.onProgress(message.report)
    return
  }
  clearTimeout(running.timer)
  queue.running = undefined
  if (running.abandoned) forgetResults(queue, running.job, message.dropped)
  else running.job.done({ frame: message.frame, failed: message.failed, dropped: message.dropped })
  startNext(queue)
}

/** Nobody will ever name what an abandoned job made, or the streamed fit that it belonged to. */
function forgetResults({ waiting }: ThreadQueue, { creates, params: { fit } }: Job, dropped: readonly string[]): void {
  for (const name of [creates, fit, ...dropped]) if (typeof name === 'string') waiting.unshift({ free: name })
}

/**
 * The thread has ended. Its job fails, and so do the waiting ones that need what it held; the others go on in another
 * thread.
 */
function replace(queue: ThreadQueue, reason: ExitReason): void {
  const { running } = queue
  // Left to run, the grace of a cancelled job would answer it a second time.
  clearTimeout(running?.timer)
  queue.running = undefined
  queue.thread = undefined
  // First the handles end: what is sent in answer to the errors must already find them gone.
  const lost = new Set(queue.onExit(reason))
  const [left, failed] = partition(queue.waiting, item => !('free' in item) && !item.uses.some(name => lost.has(name)))
  queue.waiting.splice(0, Infinity, ...left)
  if (running?.abandoned === false) running.job.done({ error: exitError(reason), dropped: [] })
  for (const item of failed) if (!('free' in item)) item.done({ error: lostError(item, lost, reason), dropped: [] })
  startNext(queue)
}

function partition<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter(item => !isFirst(item))]
}

/** What is said of handles that ended with their thread. */
export function lossOf({ kind }: ExitReason): string {
  switch (kind) {
    case 'out of memory':
      return 'its compute thread ran out of memory'
    case 'did not stop':
      return 'its compute thread did not stop after a request was cancelled or ran out of time, and was ended'
    case 'unexpected':
      return 'its compute thread ended unexpectedly'
  }
}

function lostError({ uses }: Job, lost: ReadonlySet<string>, reason: ExitReason): ProtocolError {
  const handle = uses.find(name => lost.has(name)) ?? ''
  return new ProtocolError('UNKNOWN_HANDLE', `'${handle}' is gone: ${lossOf(reason)}.`, { handle })
}

function exitError({ kind, message }: ExitReason): ResourceError | InternalError {
  return kind === 'out of memory'
    ? new ResourceError('OUT_OF_MEMORY',
      `The computation ran out of memory (${message}); its models and posteriors are lost. ` +
        'Use smaller batches or a smaller structure, or a larger heap (--heap).')
    : new InternalError(`The computation ended unexpectedly: ${message}. Its models and posteriors are lost.`)
}

/** The jobs that have not been answered. */
function unanswered({ running, waiting }: ThreadQueue): Job[] {
  return [...(running === undefined || running.abandoned ? [] : [running.job]),
    ...waiting.filter((item): item is Job => !('free' in item))]
}

/**
 * Stops a job: a waiting one is answered at once, a running one is asked to stop and answered after `graceMs` at the
 * latest.
 * @returns whether the job was here
 */
export function stopJob(queue: ThreadQueue, id: number, error: CancelledError, graceMs: number): boolean {
  const { running, waiting } = queue
  // The id of an abandoned job has been answered, and may be that of a new one.
  if (running !== undefined && running.job.id === id && !running.abandoned) {
    queue.thread?.cancel(id)
    if (graceMs === 0) abandon(queue, running, error)
    else giveGrace(queue, running, error, graceMs)
    return true
  }
  const at = waiting.findIndex(item => !('free' in item) && item.id === id)
  if (at < 0) return false
  const [item] = waiting.splice(at, 1)
  if (!('free' in item)) item.done({ error, dropped: [] })
  startNext(queue)
  return true
}

function giveGrace(queue: ThreadQueue, running: Running, error: CancelledError, graceMs: number): void {
  running.timer ??= setTimeout(() => {
    abandon(queue, running, error)
  }, graceMs)
}

/** Answers a job although its thread has not stopped, and ends the thread if it does not stop soon. */
function abandon(queue: ThreadQueue, running: Running, error: CancelledError): void {
  if (running.abandoned) return
  running.abandoned = true
  clearTimeout(running.timer)
  running.timer = setTimeout(() => {
    queue.thread?.terminate()
    replace(queue, { kind: 'did not stop', message: `${running.job.method} did not stop` })
  }, queue.threadGrace)
  // A streamed fit whose batch was given up is of no use any more.
  const fit = running.job.params['fit']
  const outcome: Outcome = { error, dropped: typeof fit === 'string' ? [fit] : [] }
  running.job.done(outcome)
}

/** Ends the thread; its jobs are answered with the error, or not any more when there is none. */
export function closeQueue(queue: ThreadQueue, error: CancelledError | undefined): void {
  queue.closed = true
  clearTimeout(queue.running?.timer)
  queue.thread?.terminate()
  if (error !== undefined) { for (const job of unanswered(queue)) job.done({ error, dropped: [] }) }
}
