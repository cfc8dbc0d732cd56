/** @file Worker threads that compute batches: started at the first large piece of work, shared by all networks, ended with the process. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { InternalError, LaplaceError } from '../core/errors/errors.js'
import type { Team } from '../core/parallel/runtime.js'
import type { PosteriorParts } from '../core/posterior/posterior-parts.js'
import type { Site, SiteSetup } from '../core/parallel/worker.js'
import type { Tensor, TensorData } from '../core/tensor/tensor.js'
import type { FromSite, SiteCall, ToSite } from './site-messages.js'

/** The worker's module lies beside this one: in TypeScript where tests run the sources, else as it was built. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './site-worker.mts' : './site-worker.mjs', import.meta.url)

interface Thread { post(message: ToSite, transfer: readonly ArrayBuffer[]): void, call(site: number, call: SiteCall, transfer: readonly ArrayBuffer[]): Promise<unknown> }

const threads: Thread[] = []
let sitesOpened = 0
let partsSent = 0
const partsNumbers = new WeakMap<PosteriorParts, number>()

/** Places of a network that nobody uses any more are closed. */
const forgotten = new FinalizationRegistry<{ readonly site: number, readonly members: readonly Thread[] }>(({ site, members }) => {
  for (const thread of members) thread.post({ type: 'close', site }, [])
})

/** Places for a network in as many threads as are wanted, or as there are processors; undefined for one. */
export function threadTeam(setup: SiteSetup, wanted: number | undefined): Team | undefined {
  const count = Math.min(wanted ?? availableParallelism(), 64)
  if (count < 2) return undefined
  while (threads.length < count) threads.push(startThread())
  const members = threads.slice(0, count)
  const site = sitesOpened++
  for (const thread of members) thread.post({ type: 'open', site, setup }, [])
  const team = { sites: members.map(thread => remoteSite(thread, site)) }
  forgotten.register(team, { site, members })
  return team
}

function startThread(): Thread {
  const worker = new Worker(WORKER, { stdout: false, stderr: false })
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void, readonly reject: (error: unknown) => void }>()
  let calls = 0
  let dead: Error | undefined
  worker.unref()
  worker.on('message', ({ call, ok, error }: FromSite) => {
    const waiter = waiting.get(call)
    waiting.delete(call)
    if (waiting.size === 0) worker.unref()
    if (error === undefined) waiter?.resolve(ok)
    else waiter?.reject(error.code === undefined ? new InternalError(`A worker thread failed: ${error.message}`) : new LaplaceError(error.code, error.message, error.data))
  })
  const die = (reason: string): void => {
    dead = new InternalError(`A worker thread ended unexpectedly: ${reason}. Fit again; with threads: 1 everything runs in the calling thread.`)
    const at = threads.indexOf(thread)
    if (at >= 0) threads.splice(at, 1)
    for (const waiter of waiting.values()) waiter.reject(dead)
    waiting.clear()
  }
  worker.on('error', error => { die(error instanceof Error ? error.message : String(error)) })
  worker.on('exit', code => { die(`exit code ${code}`) })
  const thread: Thread = {
    post: (message, transfer) => { worker.postMessage(message, [...transfer]) },
    call: (site, call, transfer) => new Promise((resolve, reject) => {
      if (dead !== undefined) { reject(dead); return }
      const id = calls++
      waiting.set(id, { resolve, reject })
      worker.ref()
      worker.postMessage({ type: 'call', site, id, call }, [...transfer])
    }),
  }
  return thread
}

function remoteSite(thread: Thread, site: number): Site {
  return {
    add: async (kind, lane, { x, labels, examples }) => {
      const [own, y] = [ownCopy(x), labels.slice()]
      return await thread.call(site, { method: 'add', kind, lane, batch: { x: own, labels: y, examples } }, [own.data.buffer as ArrayBuffer, y.buffer]) as Awaited<ReturnType<Site['add']>>
    },
    adopt: async (lane, sums) => { await thread.call(site, { method: 'adopt', lane, sums }, []) },
    collect: async lane => await thread.call(site, { method: 'collect', lane }, []) as Awaited<ReturnType<Site['collect']>>,
    gaussian: async (parts, x, kind) => {
      const own = ownCopy(x)
      return await thread.call(site, { method: 'gaussian', parts: sendParts(thread, parts), x: own, kind }, [own.data.buffer as ArrayBuffer]) as Awaited<ReturnType<Site['gaussian']>>
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
