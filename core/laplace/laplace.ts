/** @file The entry: a network and options become a fit, and a fit becomes a posterior. */
import type { Batch } from '../network/input-rows.js'
import { graphDigest } from '../network/digest.js'
import { DataError, OptionError, StateError } from '../errors/errors.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import { createCrew, type Crew } from '../parallel/worker-pool.js'
import { type Accumulation, startAccumulation } from '../sums/accumulation.js'
import type { Graph } from '../graph/graph.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import { chosenEngine, type Host } from '../parallel/runtime.js'
import { type LaplaceOptions, type ResolvedOptions, resolveOptions } from '../options/laplace-options.js'
import { LaplacePosterior, type TuneData } from './laplace-posterior.js'
import { type Network, prepareNetwork } from '../network/network.js'
import type { TuneMethod } from '../options/words.js'
import type { PartialFit } from '../sums/partial-fit.js'
import { checkSettings, DEFAULT_SETTINGS } from '../posterior/posterior.js'
import { structuredPosterior } from '../posterior/structured.js'
import type { PosteriorState } from './posterior-state.js'
import type { WorkOptions } from '../budget/progress.js'
import type { FitSums } from '../parallel/worker.js'
import type { Tensor } from '../tensor/tensor.js'
import { tunePosterior, type TuneRequest, tuneWithLinearModel } from './tune.js'
import type { LinearData } from '../tuning/linear-model.js'

/** A Laplace approximation of a network, to be fitted. */
export interface Laplace {
  /** What was noticed of the network. */
  readonly notes: readonly string[]
  /**
   * Fits the posterior to N rows, or to batches of them, and tunes the prior unless told otherwise.
   * @param x inputs, one example a row
   * @param y classification: N class numbers; otherwise N x C
   * @throws ShapeError, DataError, ResourceError, NumericalError, CancelledError
   */
  fit(x: Tensor, y: Tensor, work?: WorkOptions): Promise<LaplacePosterior>
  fit(batches: AsyncIterable<Batch> | Iterable<Batch>, y?: undefined, work?: WorkOptions): Promise<LaplacePosterior>
  /** Sums over some of the data: partial fits add up (`mergePartialFits`). */
  fitPartial(x: Tensor, y: Tensor, work?: WorkOptions): Promise<PartialFit>
  /**
   * The posterior of sums over all the data.
   * @param data the training data once more, for tuning by `linearized`; without them the prior is tuned by `marglik`
   * @throws StateError DIGEST_MISMATCH when the sums belong to another network or other options
   */
  fitMerged(partial: PartialFit, data?: Batch, work?: WorkOptions): Promise<LaplacePosterior>
  /** Starts a fit to data that arrive piece by piece. */
  stream(): FitStream
}

/** A fit to data that arrive piece by piece. After an error it cannot be continued. */
export interface FitStream {
  /** Adds examples; returns how many there are. */
  add(x: Tensor, y: Tensor, work?: WorkOptions): Promise<number>
  finish(work?: WorkOptions): Promise<LaplacePosterior>
}

/**
 * Prepares the Laplace approximation of a network's posterior.
 * @throws OptionError for unknown options and words; GraphError when the network cannot be used
 * @example
 * const posterior = await laplace(network, { likelihood: 'classification' }).fit(x, y)
 * const { probabilities } = await posterior.predict(x)
 */
export function laplace(graph: Graph, options: LaplaceOptions, host: Host = {}): Laplace {
  const task = taskFor(graph, resolveOptions(options), host)
  return {
    notes: task.network.notes,
    fit: (x: Tensor | AsyncIterable<Batch> | Iterable<Batch>, y?: Tensor, work: WorkOptions = {}) => fitAll(task, x, y, work),
    fitPartial: async (x, y, work = {}) => {
      const notes: string[] = []
      const accumulation = accumulationFor(settle(task, x), false, notes)
      await accumulation.add(x, y, work)
      return { key: partialKey(task), ...await accumulation.sums() }
    },
    fitMerged: (partial, data, work = {}) => fitMerged(task, partial, data, work),
    stream: () => startStream(task),
  }
}

interface FitTask {
  readonly graph: Graph
  readonly network: Network
  readonly evaluator: Evaluator
  readonly crew: Crew
  readonly options: ResolvedOptions
  readonly host: Host
  readonly plan: TuningPlan
}

function taskFor(graph: Graph, options: ResolvedOptions, host: Host): FitTask {
  const network = prepareNetwork(graph, options.likelihood, options)
  const evaluator = evaluatorFor(network, options, host)
  checkSettings({ ...DEFAULT_SETTINGS, ...options.settings }, evaluator.slots, options.structure)
  const crew = createCrew(evaluator, options.likelihood, host, options)
  return { graph, network, evaluator, crew, options, host, plan: planTuning(options) }
}

/** The task for data of a shape: sizes of the input that the file leaves open become those of the data. */
function settle(task: FitTask, x: Tensor): FitTask {
  const graph = settleOpenAxes(task.graph, task.network.input.name, x.shape.slice(1))
  return graph === task.graph ? task : taskFor(graph, task.options, task.host)
}

/** How the prior will be tuned, and a note where that is not what a user may expect. */
interface TuningPlan { readonly tune: TuneMethod, readonly chosen: boolean, readonly note?: string }

function planTuning({ tune, settings, subset, priorStructure }: ResolvedOptions): TuningPlan {
  if (tune !== undefined) return { tune, chosen: true }
  if (settings.priorPrecision !== undefined) return { tune: 'none', chosen: false }
  if (subset === 'last_layer' && priorStructure !== 'diagonal') return { tune: 'linearized', chosen: false }
  return { tune: 'marglik', chosen: false, note: "The prior precision was tuned by the marginal likelihood at the network's weights ('marglik'): tuning by 'linearized' is for the last layer with one precision, or one for each tensor. With held-out data 'grid' is safer." }
}

/** @throws GraphError, ResourceError */
export function evaluatorFor(network: Network, options: ResolvedOptions, host: Host): Evaluator {
  const precision = options.precision ?? network.precision
  return createEvaluator(network, options.subset, chosenEngine({ name: options.engine, threads: options.threads }, precision, host), precision)
}

function accumulationFor({ evaluator, crew, options }: FitTask, keepFeatures: boolean, notes: string[]): Accumulation {
  return startAccumulation(evaluator, crew, options, keepFeatures, sentence => { if (!notes.includes(sentence)) notes.push(sentence) })
}

function startStream(whole: FitTask): FitStream {
  const notes: string[] = []
  const begin = (task: FitTask): { task: FitTask, accumulation: Accumulation } => ({ task, accumulation: accumulationFor(task, task.plan.tune === 'linearized', notes) })
  // The first examples settle the shape of the input.
  let begun: ReturnType<typeof begin> | undefined
  let failed = false
  return {
    async add(x, y, work = {}) {
      if (failed) throw new StateError('NOT_FITTED', 'This fit has failed before and cannot be continued; start again.')
      try {
        begun ??= begin(settle(whole, x))
        return await begun.accumulation.add(x, y, work)
      } catch (error) {
        failed = true
        throw error
      }
    },
    async finish(work = {}) {
      const { task, accumulation } = begun ?? begin(whole)
      return finishFit(task, await accumulation.sums(), await accumulation.linearData(), notes, work)
    },
  }
}

async function fitAll(task: FitTask, x: Tensor | AsyncIterable<Batch> | Iterable<Batch>, y: Tensor | undefined, work: WorkOptions): Promise<LaplacePosterior> {
  const stream = startStream(task)
  if ('data' in x) {
    if (y === undefined) throw new DataError('BAD_ARRAY', 'y is missing: fit takes x and y, or an iterable of batches { x, y }.', { array: 'y' })
    await stream.add(x, y, work)
  } else {
    for await (const batch of x) await stream.add(batch.x, batch.y, work)
  }
  return stream.finish(work)
}

async function fitMerged(task: FitTask, partial: PartialFit, data: Batch | undefined, work: WorkOptions): Promise<LaplacePosterior> {
  const { plan } = task
  if (partial.key !== partialKey(task)) {
    throw new StateError('DIGEST_MISMATCH', 'The partial fit belongs to another network, or was made with another likelihood, subset, structure or precision.', { expected: partialKey(task), actual: partial.key })
  }
  if (plan.tune !== 'linearized' || data !== undefined) {
    const settled = data === undefined ? task : settle(task, data.x)
    const accumulation = plan.tune === 'linearized' ? accumulationFor(settled, true, []) : undefined
    if (accumulation !== undefined && data !== undefined) await accumulation.add(data.x, data.y, work)
    return finishFit(settled, partial, await accumulation?.linearData(), [], work)
  }
  if (plan.chosen) throw new OptionError('BAD_COMBINATION', "Tuning 'linearized' goes over the training data once more: give them to fitMerged, or tune by 'marglik'.", { option: 'tune' })
  const note = "The prior precision was tuned by 'marglik', because tuning by 'linearized' needs the training data once more; give them to fitMerged for that."
  return finishFit({ ...task, plan: { tune: 'marglik', chosen: false, note } }, partial, undefined, [], work)
}

async function finishFit(task: FitTask, sums: FitSums, linear: LinearData | undefined, notes: readonly string[], work: WorkOptions): Promise<LaplacePosterior> {
  const { graph, evaluator, crew, options, host, network, plan } = task
  if (sums.examples === 0) throw new DataError('EMPTY_DATA', 'There are no examples to fit to.')
  const structured = structuredPosterior(sums.curvature, evaluator.slots, evaluator.theta, options.settings)
  const state: PosteriorState = {
    graph, evaluator, crew, options, host, structured, examples: sums.examples, loss: sums.loss, fitted: sums.curvature,
    mode: undefined, tuned: 'none', effectiveParameters: undefined, notes: [...network.notes, ...notes, ...(plan.note === undefined ? [] : [plan.note])],
  }
  if (plan.tune === 'none') return new LaplacePosterior(state)
  const request: TuneRequest = { tune: plan.tune, priorStructure: options.priorStructure, tuneNoise: options.tuneNoise }
  const data: TuneData = { validation: options.validation }
  work.onProgress?.({ stage: 'tune', done: 0 })
  return new LaplacePosterior(linear === undefined ? await tunePosterior(state, request, data, work) : await tuneWithLinearModel(state, request, linear, work))
}

/** Names what a partial fit belongs to. */
function partialKey({ graph, evaluator, options }: FitTask): string {
  const { likelihood, subset, structure, curvature, kfacApprox } = options
  return [graphDigest(graph), likelihood, subset, structure, curvature, kfacApprox, evaluator.precision, evaluator.network.output].join(' ')
}
