/**
 * @file The module of a thread that computes whole calls, so that the calling thread stays free to be told that one is
 * to stop. Kernels look at the cell in shared memory that says so.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { computedPrediction } from '../../core/answer/predict.js'
import { throwIfCancelled, type WorkOptions } from '../../core/budget/progress.js'
import { InternalError } from '../../core/errors/errors.js'
import { watchKernels } from '../../core/kernels/interruption.js'
import type { FitStream } from '../../core/laplace/fit-stream.js'
import { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { laplace } from '../../core/laplace/laplace.js'
import { portablePosterior, posteriorFrom } from '../../core/laplace/portable-posterior.js'
import { Mixture } from '../../core/laplace/posterior-mixture.js'
import { largeBuffers } from './buffers.js'
import type { Call, CallResult, CallTarget, CallThreadSetup, FromCallThread, ToCallThread } from './call-messages.js'
import { nodeRuntime } from './runtime.js'
import { thrown } from './worker-messages.js'

/** Methods by their names, of whatever object. */
type Methods = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>

const stop = new Int32Array((workerData as CallThreadSetup).stop)
const posteriors = new Map<number, LaplacePosterior>()
let stream: FitStream | undefined

function posteriorOf(number: number): LaplacePosterior {
  const posterior = posteriors.get(number)
  if (posterior === undefined) throw new InternalError(`There is no posterior ${number}.`)
  return posterior
}

function methodsOf(target: CallTarget): object {
  switch (target.kind) {
    case 'fit':
      return withStream(laplace(target.graph, target.options, nodeRuntime))
    case 'stream':
      if (stream === undefined) throw new InternalError('There is no fit to go on with.')
      return stream
    case 'posterior': {
      const posterior = posteriorOf(target.number)
      return Object.assign(Object.create(posterior) as object, {
        computed: (...[x, options, work]: Parameters<LaplacePosterior['predict']>) =>
          computedPrediction(posterior.state, posterior.programs, x, options ?? {}, work ?? {}),
      })
    }
    case 'mixture':
      return new Mixture(target.members.map(posteriorOf), target.weights, target.calibration)
  }
}

function withStream(fit: ReturnType<typeof laplace>): object {
  return { ...fit, stream: () => {
    stream = fit.stream()
  } }
}

async function run({ target, method, args, more }: Call, work: Required<WorkOptions>): Promise<CallResult> {
  watchKernels(() => {
    throwIfCancelled(work.signal)
  })
  try {
    const result = await (methodsOf(target) as Methods)[method](...args, { ...more, ...work })
    if (result instanceof LaplacePosterior) return { posterior: portablePosterior(result) }
    return result instanceof Mixture ? { calibration: result.calibration } : { value: result }
  } finally {
    watchKernels(undefined)
  }
}

const port = parentPort

function post(message: FromCallThread, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

async function answer(id: number, call: Call): Promise<void> {
  const signal = { get aborted() {
    return Atomics.load(stop, 0) === id
  } }
  try {
    const ok = await run(call, { signal, onProgress: progress => {
      post({ call: id, progress })
    } })
    // Sums and posteriors are not used here again: their arrays move, those of a stream's rows stay.
    post({ call: id, ok }, call.target.kind === 'fit' || call.method === 'finish' ? largeBuffers(ok) : [])
  } catch (error) {
    stream = undefined
    post({ call: id, error: thrown(error) })
  }
  if (call.method === 'finish') stream = undefined
}

port?.on('message', (message: ToCallThread) => {
  switch (message.type) {
    case 'posterior':
      posteriors.set(message.number, posteriorFrom(message.posterior, nodeRuntime))
      return
    case 'forget':
      posteriors.delete(message.number)
      return
    case 'call':
      void answer(message.id, message.call)
  }
})
