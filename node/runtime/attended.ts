/**
 * @file Calls that can be cancelled at any moment: with a signal they run in a thread of their own, and the calling
 * thread waits for them with its event loop free. Numbers, notes and errors are those of a call without.
 */
import { type ComputedPrediction, predictionFor } from '../../core/answer/predict.js'
import type { WorkOptions } from '../../core/budget/progress.js'
import { CancelledError, InternalError } from '../../core/errors/errors.js'
import type { FitWork } from '../../core/fit/fit-work.js'
import type { Graph } from '../../core/graph/graph.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { type Laplace, laplace } from '../../core/laplace/laplace.js'
import { posteriorFrom } from '../../core/laplace/portable-posterior.js'
import { Mixture } from '../../core/laplace/posterior-mixture.js'
import type { LaplaceOptions } from '../../core/options/laplace-options.js'
import type { PartialFit } from '../../core/sums/partial-fit.js'
import type { Batch } from '../../core/tensor/batch.js'
import type { Examples } from '../../core/tensor/examples.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import type { CallResult, CallTarget } from './call-messages.js'
import { hasCallThreads, type LentThread, withCallThread } from './call-threads.js'
import { nodeRuntime } from './runtime.js'

/** Whether a call runs in a thread of its own. @throws CancelledError where it need not begin */
function isAttended({ signal }: WorkOptions): boolean {
  if (signal?.aborted === true) throw new CancelledError()
  return signal !== undefined && hasCallThreads()
}

/** A call in a lent thread; the options of long work are the last of `args`. */
async function ask(thread: LentThread, target: CallTarget, method: string,
  args: readonly unknown[]): Promise<CallResult> {
  const { signal, onProgress, ...more } = (args.at(-1) ?? {}) as FitWork
  const call = { target, method, args: args.slice(0, -1), more }
  return thread.call(call, { ...(signal && { signal }), ...(onProgress && { onProgress }) })
}

function posteriorIn(result: CallResult): LaplacePosterior {
  if ('posterior' in result) return posteriorFrom(result.posterior, nodeRuntime)
  throw new InternalError('A call gave no posterior.')
}

function valueIn(result: CallResult): unknown {
  return 'posterior' in result ? posteriorIn(result) : 'value' in result ? result.value : undefined
}

/** The core's fit, whose calls with a signal run in a thread of their own. @throws OptionError, GraphError */
export function attendedLaplace(graph: Graph, options: LaplaceOptions): Laplace {
  const core = laplace(graph, options, nodeRuntime)
  const target = { kind: 'fit', graph, options } as const
  const alone = (method: string, ...args: readonly [...unknown[], WorkOptions]): Promise<CallResult> =>
    withCallThread([], args[args.length - 1] as WorkOptions, thread => ask(thread, target, method, args))
  const fitBatches = (batches: Iterable<Batch> | AsyncIterable<Batch>, work: WorkOptions): Promise<LaplacePosterior> =>
    withCallThread([], work, async thread => {
      await ask(thread, target, 'stream', [work])
      for await (const { x, y, sampleWeight } of batches) {
        await ask(thread, { kind: 'stream' }, 'add', [x, y, { ...work, ...(sampleWeight && { sampleWeight }) }])
      }
      return posteriorIn(await ask(thread, { kind: 'stream' }, 'finish', [work]))
    })
  return {
    ...core,
    fit: async (x: Examples | Iterable<Batch> | AsyncIterable<Batch>, y?: Tensor, work: FitWork = {}) => {
      if (!isAttended(work)) return core.fit(x as Examples, y as Tensor, work)
      if (y !== undefined) return posteriorIn(await alone('fit', x, y, work))
      return fitBatches(x as Iterable<Batch>, work)
    },
    fitPartial: async (x, y, work = {}) =>
      isAttended(work) ? valueIn(await alone('fitPartial', x, y, work)) as PartialFit : core.fitPartial(x, y, work),
    fitMerged: async (partial, data, work = {}) =>
      isAttended(work)
        ? posteriorIn(await alone('fitMerged', partial, data, work))
        : core.fitMerged(partial, data, work),
  }
}

/** Methods whose last argument are the options of long work. */
const METHODS = ['addRows', 'forget', 'conformalize', 'influence', 'inputGradients', 'functionalVariance', 'compare',
  'figures', 'forward', 'functionalSamples', 'predictiveSamples', 'tune'] as const

/** The same posterior or mixture, whose long work runs in a thread of its own where it has a signal. */
export function attended<C extends LaplacePosterior | Mixture>(core: C, work: WorkOptions): C
export function attended(core: LaplacePosterior | Mixture, work: WorkOptions): LaplacePosterior | Mixture {
  if (!isAttended(work)) return core
  return core instanceof Mixture ? attendedMixture(core, work) : attendedPosterior(core, work)
}

function attendedPosterior(core: LaplacePosterior, work: WorkOptions): LaplacePosterior {
  const call = (method: string, args: readonly unknown[]): Promise<CallResult> =>
    withCallThread([core], work, async thread =>
      ask(thread, { kind: 'posterior', number: await thread.numberOf(core) }, method, args))
  const predict: LaplacePosterior['predict'] = async (x, options = {}) => {
    // What is wrong with the rows is said before anything is computed.
    core.programs(x)
    const computed = valueIn(await call('computed', [x, options, work])) as ComputedPrediction
    return predictionFor(core.state, core.programs, x, options, computed)
  }
  return derived(core, { predict, ...methodsBy(METHODS, async (method, args) => valueIn(await call(method, args))) })
}

function attendedMixture(core: Mixture, work: WorkOptions): Mixture {
  const { members, weights, calibration } = core
  const call = (method: string, args: readonly unknown[]): Promise<CallResult> =>
    withCallThread(members, work, async thread => {
      const numbers: number[] = []
      for (const member of members) numbers.push(await thread.numberOf(member))
      return ask(thread, { kind: 'mixture', members: numbers, weights, calibration }, method, args)
    })
  const own = ['predict', 'inputGradients', 'functionalVariance', 'compare', 'forward', 'functionalSamples',
    'predictiveSamples', 'conformalize'] as const
  return derived(core, methodsBy(own, async (method, args) => {
    const result = await call(method, args)
    return 'calibration' in result ? new Mixture(members, weights, result.calibration) : valueIn(result)
  }))
}

function methodsBy(names: readonly string[],
  call: (method: string, args: readonly unknown[]) => Promise<unknown>): Record<string, unknown> {
  return Object.fromEntries(names.map(name => [name, (...args: readonly unknown[]) => call(name, args)]))
}

/** An object that is the same but for some of its methods. */
function derived<T extends object>(core: T, methods: object): T {
  return Object.assign(Object.create(core) as T, methods)
}
