/**
 * @file Threads that compute whole calls, so that the calling thread stays free: its signals arrive, whatever the call
 * is at. Each computes one call after another; they start when they are wanted and do not hold the process.
 */
import { availableParallelism } from 'node:os'
import type { Worker as NodeThread } from 'node:worker_threads'
import type { WorkOptions } from '../../core/budget/progress.js'
import { CancelledError, InternalError } from '../../core/errors/errors.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { portablePosterior } from '../../core/laplace/portable-posterior.js'
import { movableCopy } from './buffers.js'
import type { Call, CallResult, CallThreadSetup, FromCallThread, ToCallThread } from './call-messages.js'
import { moduleBeside } from './module-beside.js'
import { startRoomyThread } from './roomy-thread.js'
import { receivedError } from './worker-messages.js'

const THREAD_MODULE = moduleBeside('call-thread', import.meta.url)
/** Calls that are computed at once: each thread has copies of its posteriors. */
const MOST_THREADS = Math.min(4, Math.max(2, availableParallelism()))
/** Milliseconds between two looks at a signal. */
const LOOK_MS = 20
/** A thread that has not stopped so many milliseconds after a call was cancelled is ended. */
const GRACE_MS = 5000

/** A thread that is lent to one caller. */
export interface LentThread {
  /** The number under which the thread knows a posterior, which it is sent once. */
  numberOf(posterior: LaplacePosterior): Promise<number>
  /** @throws CancelledError as soon as the signal is given; what the call throws */
  call(call: Call, work: WorkOptions): Promise<CallResult>
}

interface CallThread extends LentThread {
  /** Whether the thread has it, so that it need not be sent. */
  knows(posterior: LaplacePosterior): boolean
  /** Resolves once nothing is computed any more; false where the thread has ended. */
  idle(): Promise<boolean>
}

const idle: CallThread[] = []
const waiting: (() => void)[] = []
let living = 0

const numbers = new WeakMap<LaplacePosterior, number>()
let numbered = 0

function numberFor(posterior: LaplacePosterior): number {
  const number = numbers.get(posterior) ?? numbered++
  numbers.set(posterior, number)
  return number
}

/** Whether there are such threads: a bundler that has made one file of everything leaves none. */
export function hasCallThreads(): boolean {
  return THREAD_MODULE !== undefined
}

/**
 * What `use` returns, with a thread lent to it.
 * @param posteriors those that it will ask: a thread that knows them is taken first
 * @throws CancelledError when the signal is given before one is free
 */
export async function withCallThread<R>(posteriors: readonly LaplacePosterior[], work: WorkOptions,
  use: (thread: LentThread) => Promise<R>): Promise<R> {
  const thread = await take(posteriors, work)
  try {
    return await use(thread)
  } finally {
    // A cancelled call has been answered before its thread has stopped.
    void thread.idle().then(usable => {
      if (usable) idle.push(thread)
      else living--
      waiting.shift()?.()
    })
  }
}

async function take(posteriors: readonly LaplacePosterior[], { signal }: WorkOptions): Promise<CallThread> {
  if (THREAD_MODULE === undefined) throw new InternalError('There are no threads for calls.')
  for (;;) {
    if (signal?.aborted === true) throw new CancelledError()
    const knowing = idle.findIndex(thread => posteriors.every(posterior => thread.knows(posterior)))
    const [free] = idle.splice(Math.max(0, knowing), 1)
    if (free !== undefined) return free
    if (living < MOST_THREADS) {
      living++
      return startThread(THREAD_MODULE)
    }
    await turn(signal)
  }
}

/** Waits until a thread may be free, or the signal is given. */
async function turn(signal: WorkOptions['signal']): Promise<void> {
  let wake = (): void => undefined
  const woken = new Promise<void>(resolve => {
    wake = resolve
    waiting.push(wake)
  })
  await orCancelled(woken, signal).catch((error: unknown) => {
    const at = waiting.indexOf(wake)
    // Its turn, where it has come already, is the next one's.
    if (at >= 0) waiting.splice(at, 1)
    else waiting.shift()?.()
    throw error
  })
}

/** @throws CancelledError as soon as the signal is given */
async function orCancelled<R>(work: Promise<R>, signal: WorkOptions['signal'],
  cancel = (): void => undefined): Promise<R> {
  let look: NodeJS.Timeout | undefined
  const cancelled = new Promise<never>((_resolve, reject) => {
    look = setInterval(() => {
      if (signal?.aborted !== true) return
      cancel()
      reject(new CancelledError())
    }, LOOK_MS)
  })
  try {
    const result = await Promise.race([work, cancelled])
    // A signal that was given while the result was under way counts.
    if (signal?.aborted === true) throw new CancelledError()
    return result
  } finally {
    clearInterval(look)
  }
}

/** A call that a thread has not answered. */
interface PendingCall {
  readonly id: number
  readonly resolve: (result: CallResult) => void
  readonly reject: (error: Error) => void
  readonly onProgress: WorkOptions['onProgress']
}

/** The answers of a thread, which computes one call at a time. */
interface Answers {
  /** Why there will be no more. */
  readonly ended: Error | undefined
  expect(id: number, onProgress: WorkOptions['onProgress']): Promise<CallResult>
}

function answersOf(nodeThread: NodeThread): Answers {
  let pending: PendingCall | undefined
  let ended: Error | undefined
  const end = (reason: string): void => {
    ended = new InternalError(`A thread that computed a call ended unexpectedly: ${reason}. Call again.`)
    pending?.reject(ended)
    pending = undefined
  }
  nodeThread.on('message', (message: FromCallThread) => {
    if (message.call !== pending?.id) return
    if ('progress' in message) {
      pending.onProgress?.(message.progress)
      return
    }
    const { resolve, reject } = pending
    pending = undefined
    if (message.ok === undefined) reject(receivedError(message.error ?? { code: undefined, message: '', data: {} }))
    else resolve(message.ok)
  })
  nodeThread.on('error', error => {
    end(error instanceof Error ? error.message : String(error))
  })
  nodeThread.on('exit', code => {
    end(`exit code ${code}`)
  })
  return {
    get ended() {
      return ended
    },
    expect: (id, onProgress) =>
      new Promise((resolve, reject) => {
        pending = { id, resolve, reject, onProgress }
      }),
  }
}

function startThread(module: URL): CallThread {
  const stop = new SharedArrayBuffer(4)
  const setup: CallThreadSetup = { stop }
  const nodeThread = startRoomyThread(module, { workerData: setup, stdout: false, stderr: false })
  const answers = answersOf(nodeThread)
  const known = new Set<number>()
  let calls = 0
  let running: Promise<unknown> = Promise.resolve()
  const post = (message: ToCallThread, transfer: readonly ArrayBuffer[] = []): void => {
    nodeThread.postMessage(message, transfer)
  }
  const forgotten = new FinalizationRegistry<number>(number => {
    known.delete(number)
    if (answers.ended === undefined) post({ type: 'forget', number })
  })
  nodeThread.unref()
  return {
    knows: posterior => known.has(numberFor(posterior)),
    async numberOf(posterior) {
      const number = numberFor(posterior)
      if (!known.has(number)) {
        const { value, transfer } = await movableCopy(portablePosterior(posterior))
        post({ type: 'posterior', number, posterior: value }, transfer)
        known.add(number)
        forgotten.register(posterior, number)
      }
      return number
    },
    async call(call, { signal, onProgress }) {
      if (answers.ended !== undefined) throw answers.ended
      const id = ++calls
      const { value, transfer } = await movableCopy(call)
      const answer = answers.expect(id, progress => {
        // Nobody who has cancelled hears of the work that is done until the thread stops.
        if (signal?.aborted !== true) onProgress?.(progress)
      })
      post({ type: 'call', id, call: value }, transfer)
      running = answer.catch(() => undefined)
      nodeThread.ref()
      try {
        return await orCancelled(answer, signal, () => {
          Atomics.store(new Int32Array(stop), 0, id)
        })
      } finally {
        nodeThread.unref()
      }
    },
    async idle() {
      const patience = setTimeout(() => void nodeThread.terminate(), GRACE_MS).unref()
      await running
      clearTimeout(patience)
      return answers.ended === undefined
    },
  }
}
