/** @file The module of a worker thread: workers of networks, called by messages. */
import { parentPort } from 'node:worker_threads'
import { useCollector } from '../../core/budget/garbage.js'
import { decompositionBytes } from '../../core/curvature/factor-shape.js'
import { InternalError } from '../../core/errors/errors.js'
import { giveUpArena } from '../../core/kernels/arena.js'
import type { FitSums } from '../../core/parallel/batch-sums.js'
import { type DisposableWorker, type Worker, workerFrom, type WorkerSetup } from '../../core/parallel/worker.js'
import type { FactorEigen } from '../../core/posterior/factor-eigen.js'
import type { PosteriorParts } from '../../core/posterior/posterior-parts.js'
import { chooseEngine } from './choose-engine.js'
import { collectArrays, collectLater } from './collect-garbage.js'
import { workOf } from './remote-decomposition.js'
import { buffersOfSums, type FromWorker, thrown, type ToWorker, type WorkerCall } from './worker-messages.js'

const setups = new Map<number, WorkerSetup>()
const workers = new Map<number, DisposableWorker>()
let posterior: { readonly number: number, readonly parts: PosteriorParts } | undefined

/** A worker is made when it is first called, so that errors reach the caller. */
function workerOf(number: number): Worker {
  const known = workers.get(number)
  if (known !== undefined) return known
  const setup = setups.get(number)
  if (setup === undefined) throw new InternalError(`There is no worker ${number}.`)
  const worker = workerFrom(setup, { engine: chooseEngine })
  workers.set(number, worker)
  return worker
}

function run(worker: Worker, call: WorkerCall): Promise<unknown> {
  switch (call.method) {
    case 'add':
      return worker.add(call.kind, call.shard, call.batch)
    case 'adopt':
      return worker.adopt(call.shard, call.sums)
    case 'collect':
      return worker.collect(call.shard)
    case 'keepRows':
      return worker.keepRows(call.part, call.x, call.examples)
    case 'beginProduct':
      return worker.beginProduct(call.part, call.request)
    case 'advanceProduct':
    case 'finishProduct':
    case 'dropRows':
      return worker[call.method](call.part)
    case 'decompose':
      return worker.decompose({ ...call.factor, temporary: true }, workOf(call.shared))
    case 'gaussian':
      if (posterior?.number !== call.parts) throw new InternalError('The posterior was not sent.')
      return worker.gaussian(posterior.parts, call.x, call.request)
  }
}

async function answer(message: Extract<ToWorker, { type: 'call' }>): Promise<FromWorker> {
  try {
    return { call: message.id, ok: await run(workerOf(message.workerId), message.call) }
  } catch (error) {
    return { call: message.id, error: thrown(error) }
  }
}

/** A shard's sums and a finished product are not used here again: their arrays are handed over, not copied. */
function given(call: WorkerCall, { ok }: FromWorker): ArrayBuffer[] {
  if (ok === undefined) return []
  if (call.method === 'finishProduct') return [(ok as Float64Array).buffer as ArrayBuffer]
  if (call.method === 'decompose') {
    const { values, basis } = ok as FactorEigen
    return [values.buffer as ArrayBuffer, basis.vectors.buffer as ArrayBuffer]
  }
  return call.method === 'collect' ? buffersOfSums(ok as FitSums) : []
}

/** What comes after a shard's sums, or a decomposition, is other threads' work for a while. */
function afterwards(call: WorkerCall): void {
  if (call.method === 'collect') collectLater(giveUpArena())
  if (call.method === 'decompose') collectLater(decompositionBytes(call.factor))
}

function close(number: number): void {
  setups.delete(number)
  workers.get(number)?.dispose()
  workers.delete(number)
}

useCollector(collectArrays)

const port = parentPort
port?.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'open':
      setups.set(message.workerId, message.setup)
      return
    case 'close':
      close(message.workerId)
      return
    case 'parts':
      posterior = message
      return
    case 'call':
      void answer(message).then(result => {
        port.postMessage(result, given(message.call, result))
        afterwards(message.call)
      })
  }
})
