/** @file Worker threads that compute batches: started at the first large piece of work, shared by all networks, ended with the process. */
import { availableParallelism } from 'node:os'
import { Worker as NodeThread } from 'node:worker_threads'
import { InternalError, LaplaceError } from '../../core/errors/errors.js'
import type { WorkerThreads } from '../../core/parallel/runtime.js'
import type { Worker, WorkerSetup } from '../../core/parallel/worker.js'
import type { PosteriorParts } from '../../core/posterior/posterior-parts.js'
import type { Tensor, TensorData } from '../../core/tensor/tensor.js'
import type { FromWorker, ToWorker, WorkerCall } from './worker-messages.js'

/** The thread's module lies beside this one: in TypeScript where tests run the sources, else as it was built. */
const THREAD_MODULE = new URL(import.meta.url.endsWith('.ts') ? './worker-thread.mts' : './worker-thread.mjs',
  import.meta.url)

interface Thread {
  post(message: ToWorker, transfer: readonly ArrayBuffer[]): void
  call(workerId: number, call: WorkerCall, transfer: readonly ArrayBuffer[]): Promise<unknown>
}

const threads: Thread[] = []
let workersOpened = 0
let partsSent = 0
const partsNumbers = new WeakMap<PosteriorParts, number>()

/** The workers of a network that nobody uses any more are closed. */
const forgotten = new FinalizationRegistry<{ readonly workerId: number, readonly members: readonly Thread[] }>(
  ({ workerId, members }) => {
    for (const thread of members) thread.post({ type: 'close', workerId }, [])
  },
)

/** Workers for a network in as many threads as are wanted, or as there are processors; undefined for one. */
export function startWorkerThreads(setup: WorkerSetup, wanted: number | undefined): WorkerThreads | undefined {
  const count = Math.min(wanted ?? availableParallelism(), 64)
  if (count < 2) return undefined
  while (threads.length < count) threads.push(startThread())
  const members = threads.slice(0, count)
  const workerId = workersOpened++
  for (const thread of members) thread.post({ type: 'open', workerId, setup }, [])
  const workerThreads = { workers: members.map(thread => remoteWorker(thread, workerId)) }
  forgotten.register(workerThreads, { workerId, members })
  return workerThreads
}

function startThread(): Thread {
  const nodeThread = new NodeThread(THREAD_MODULE, { stdout: false, stderr: false })
  const waiting = new Map<number,
    { readonly resolve: (value: unknown) => void, readonly reject: (error: unknown) => void }>()
  let calls = 0
  let dead: Error | undefined
  nodeThread.unref()
  nodeThread.on('message', ({ call, ok, error }: FromWorker) => {
    const waiter = waiting.get(call)
    waiting.delete(call)
    if (waiting.size === 0) nodeThread.unref()
    if (error === undefined) waiter?.resolve(ok)
    else {waiter?.reject(
        error.code === undefined
          ? new InternalError(`A worker thread failed: ${error.message}`)
          : new LaplaceError(error.code, error.message, error.data),
      )}
  })
  const die = (reason: string): void => {
    dead = new InternalError(
      `A worker thread ended unexpectedly: ${reason}. Fit again; with threads: 1 everything runs in the calling thread.`,
    )
    const at = threads.indexOf(thread)
    if (at >= 0) threads.splice(at, 1)
    for (const waiter of waiting.values()) waiter.reject(dead)
    waiting.clear()
  }
  nodeThread.on('error', error => {
    die(error instanceof Error ? error.message : String(error))
  })
  nodeThread.on('exit', code => {
    die(`exit code ${code}`)
  })
  const thread: Thread = {
    post: (message, transfer) => {
      nodeThread.postMessage(message, [...transfer])
    },
    call: (workerId, call, transfer) =>
      new Promise((resolve, reject) => {
        if (dead !== undefined) {
          reject(dead)
          return
        }
        const id = calls++
        waiting.set(id, { resolve, reject })
        nodeThread.ref()
        nodeThread.postMessage({ type: 'call', workerId, id, call }, [...transfer])
      }),
  }
  return thread
}

function remoteWorker(thread: Thread, workerId: number): Worker {
  return {
    add: async (kind, shard, { x, labels, examples }) => {
      const [own, y] = [ownCopy(x), labels.slice()]
      return await thread.call(workerId, { method: 'add', kind, shard, batch: { x: own, labels: y, examples } }, [
        own.data.buffer as ArrayBuffer,
        y.buffer,
      ]) as Awaited<ReturnType<Worker['add']>>
    },
    adopt: async (shard, sums) => {
      await thread.call(workerId, { method: 'adopt', shard, sums }, [])
    },
    collect: async shard =>
      await thread.call(workerId, { method: 'collect', shard }, []) as Awaited<ReturnType<Worker['collect']>>,
    gaussian: async (parts, x, kind) => {
      const own = ownCopy(x)
      return await thread.call(workerId, { method: 'gaussian', parts: sendParts(thread, parts), x: own, kind }, [
        own.data.buffer as ArrayBuffer,
      ]) as Awaited<ReturnType<Worker['gaussian']>>
    },
  }
}

/** A view of a large array would be sent with all of the array. */
function ownCopy(x: Tensor): Tensor {
  const data: TensorData = x.data.slice()
  return { dtype: x.dtype, shape: x.shape, data }
}

const known = new WeakMap<Thread, number>()

/** A posterior is sent to a thread once; the thread keeps the last one. */
function sendParts(thread: Thread, parts: PosteriorParts): number {
  const number = partsNumbers.get(parts) ?? partsSent++
  partsNumbers.set(parts, number)
  if (known.get(thread) !== number) {
    thread.post({ type: 'parts', number, parts }, [])
    known.set(thread, number)
  }
  return number
}
