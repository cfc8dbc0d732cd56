/**
 * @file Worker threads that compute batches: started at the first large piece of work, shared by all networks, ended
 * with the process.
 */
import { availableParallelism } from 'node:os'
import { decompositionBytes } from '../../core/curvature/factor-shape.js'
import { InternalError } from '../../core/errors/errors.js'
import type { Inputs } from '../../core/network/input-rows.js'
import type { WorkerThreads } from '../../core/parallel/runtime.js'
import type { Worker, WorkerSetup } from '../../core/parallel/worker.js'
import type { PosteriorParts } from '../../core/posterior/posterior-parts.js'
import { sharedCopy } from './buffers.js'
import { collectGarbage } from './collect-garbage.js'
import { moduleBeside } from './module-beside.js'
import { sharedCells, watchedCall } from './remote-decomposition.js'
import { startRoomyThread } from './roomy-thread.js'
import { buffersOfSums, type FromWorker, receivedError, type ToWorker, type WorkerCall } from './worker-messages.js'

const THREAD_MODULE = moduleBeside('worker-thread', import.meta.url)
/** Bytes of a decomposition for which the calling thread, which waits for it, makes room. */
const LARGE_DECOMPOSITION = 64 << 20

interface Thread {
  post(message: ToWorker, transfer: readonly ArrayBuffer[]): void
  call(workerId: number, call: WorkerCall, transfer: readonly ArrayBuffer[]): Promise<unknown>
}

const threads: Thread[] = []
let workersOpened = 0
let partsSent = 0
/** Posteriors that were sent, in memory that all threads share. */
const sharedParts = new WeakMap<PosteriorParts, { readonly number: number, readonly parts: PosteriorParts }>()

/** The workers of a network that nobody uses any more are closed: their threads live as long as the process. */
const forgotten = new FinalizationRegistry<{ readonly workerId: number, readonly members: readonly Thread[] }>(
  ({ workerId, members }) => {
    for (const thread of members) thread.post({ type: 'close', workerId }, [])
  },
)

/** Workers for a network in as many threads as are wanted, or as there are processors; undefined for one. */
export function startWorkerThreads(setup: WorkerSetup, wanted: number | undefined): WorkerThreads | undefined {
  const count = Math.min(wanted ?? availableParallelism(), 64)
  if (THREAD_MODULE === undefined || count < 2) return undefined
  while (threads.length < count) threads.push(startThread(THREAD_MODULE))
  const members = threads.slice(0, count)
  const workerId = workersOpened++
  for (const thread of members) thread.post({ type: 'open', workerId, setup }, [])
  const workerThreads = { workers: members.map(thread => remoteWorker(thread, workerId)) }
  forgotten.register(workerThreads, { workerId, members })
  return workerThreads
}

/** Calls that wait for their answers, by their ids. */
type PendingCalls = Map<number,
  { readonly resolve: (value: unknown) => void, readonly reject: (error: unknown) => void }>

function startThread(module: URL): Thread {
  const nodeThread = startRoomyThread(module, { stdout: false, stderr: false })
  const pending: PendingCalls = new Map()
  let calls = 0
  let failure: Error | undefined
  nodeThread.on('message', (message: FromWorker) => {
    settle(pending, message)
    if (pending.size === 0) nodeThread.unref()
  })
  const fail = (reason: string): void => {
    failure = exitError(reason)
    const at = threads.indexOf(thread)
    if (at >= 0) threads.splice(at, 1)
    for (const { reject } of pending.values()) reject(failure)
    pending.clear()
  }
  nodeThread.on('error', error => {
    fail(error instanceof Error ? error.message : String(error))
  })
  nodeThread.on('exit', code => {
    fail(`exit code ${code}`)
  })
  // Only a thread that has something to do keeps the process: else a program would not end after its last fit. After
  // the listeners, as the first one for messages holds the process again.
  nodeThread.unref()
  const thread: Thread = {
    post: (message, transfer) => {
      nodeThread.postMessage(message, [...transfer])
    },
    call: (workerId, call, transfer) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure)
          return
        }
        const id = calls++
        pending.set(id, { resolve, reject })
        nodeThread.ref()
        nodeThread.postMessage({ type: 'call', workerId, id, call }, [...transfer])
      }),
  }
  return thread
}

function settle(pending: PendingCalls, { call, ok, error }: FromWorker): void {
  const caller = pending.get(call)
  pending.delete(call)
  if (error === undefined) caller?.resolve(ok)
  else caller?.reject(receivedError(error))
}

function exitError(reason: string): InternalError {
  return new InternalError(`A worker thread ended unexpectedly: ${reason}. ` +
    'Fit again; with threads: 1 everything runs in the calling thread.')
}

function remoteWorker(thread: Thread, workerId: number): Worker {
  return {
    add: async (kind, shard, batch) => {
      // Weights and the place of the rows go with them: without these a thread would sum other numbers, unseen.
      const own = { ...batch, x: ownCopy(batch.x), labels: batch.labels.slice() }
      return await thread.call(workerId, { method: 'add', kind, shard, batch: own }, [
        ...buffersOf(own.x),
        own.labels.buffer,
      ]) as Awaited<ReturnType<Worker['add']>>
    },
    adopt: async (shard, sums) => {
      // Whoever gives sums away uses them no more: their arrays are handed over, not copied.
      await thread.call(workerId, { method: 'adopt', shard, sums }, buffersOfSums(sums))
    },
    collect: async shard =>
      await thread.call(workerId, { method: 'collect', shard }, []) as Awaited<ReturnType<Worker['collect']>>,
    keepRows: async (part, x, examples) => {
      const own = ownCopy(x)
      await thread.call(workerId, { method: 'keepRows', part, x: own, examples }, buffersOf(own))
    },
    beginProduct: async (part, request) => {
      await thread.call(workerId, { method: 'beginProduct', part, request }, [])
    },
    advanceProduct: async part => await thread.call(workerId, { method: 'advanceProduct', part }, []) as number,
    finishProduct: async part => await thread.call(workerId, { method: 'finishProduct', part }, []) as Float64Array,
    dropRows: async part => {
      await thread.call(workerId, { method: 'dropRows', part }, [])
    },
    decompose: async (factor, work) => {
      if (decompositionBytes(factor) > LARGE_DECOMPOSITION) collectGarbage()
      const shared = sharedCells()
      const call = thread.call(workerId, { method: 'decompose', factor, shared }, [])
      return await watchedCall(shared, work, call) as Awaited<ReturnType<Worker['decompose']>>
    },
    gaussian: async (parts, x, request) => {
      const own = ownCopy(x)
      return await thread.call(workerId, { method: 'gaussian', parts: sendParts(thread, parts), x: own, request },
        buffersOf(own)) as Awaited<ReturnType<Worker['gaussian']>>
    },
  }
}

/**
 * The same numbers in a buffer of their own. It is moved to the thread, so it must not be the caller's; and a view of a
 * large array would be sent with all of the array.
 */
function ownCopy(x: Inputs): Inputs {
  return new Map([...x].map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: data.slice() }] as const))
}

function buffersOf(x: Inputs): ArrayBuffer[] {
  return [...x.values()].map(({ data }) => data.buffer as ArrayBuffer)
}

const known = new WeakMap<Thread, number>()

/** A posterior is sent to a thread once; the thread keeps the last one. */
function sendParts(thread: Thread, parts: PosteriorParts): number {
  const sent = sharedParts.get(parts) ?? { number: partsSent++, parts: sharedCopy(parts) }
  sharedParts.set(parts, sent)
  if (known.get(thread) !== sent.number) {
    thread.post({ type: 'parts', ...sent }, [])
    known.set(thread, sent.number)
  }
  return sent.number
}
