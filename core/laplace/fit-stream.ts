/** @file A fit to data that arrive piece by piece. */
import { formatBytes } from '../budget/memory.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { NetworkCurvature } from '../curvature/curvature.js'
import { DataError, NumericalError, OptionError, ResourceError, StateError } from '../errors/errors.js'
import { balancedWeights } from '../likelihood/class-weights.js'
import { checkLabels } from '../likelihood/labels.js'
import { leftOutNote } from '../likelihood/position-labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { joinExamples } from '../network/batches.js'
import { networkInputs } from '../network/input-rows.js'
import type { FactoredStructure } from '../options/posterior-choice.js'
import type { Likelihood } from '../options/words.js'
import type { FitSums } from '../parallel/batch-sums.js'
import { decomposeAhead } from '../parallel/decompositions.js'
import { withSharedProducts } from '../parallel/runtime.js'
import { structuredPosterior } from '../posterior/structured.js'
import type { LinearData } from '../sums/linear-data.js'
import type { Batch } from '../tensor/batch.js'
import { demandRows, exampleCount, type Examples, examplesBytes } from '../tensor/examples.js'
import { areWhole, checkWeights, repeated } from '../tensor/sample-weights.js'
import type { Tensor } from '../tensor/tensor.js'
import { accumulationFor } from './accumulation-for.js'
import { factoredCurvature } from './factored-curvature.js'
import type { FitTask, LinearTask } from './fit-task.js'
import type { FitWork } from './fit-work.js'
import { answerByGate, priorFromLinearModel, type RegressionNoise, regressionNoise,
  withWholeCovariance } from './gate-fit.js'
import { FEWEST_HELD_OUT, heldOutRows, rowSplitter } from './held-out-rows.js'
import { sumsHessian } from './hessian-eigenpairs.js'
import { LaplacePosterior } from './laplace-posterior.js'
import type { TrainingRows } from './linear-fit-result.js'
import { fitLowRank, forecastLinearModel, tooLarge } from './low-rank-fit.js'
import { fitWithNoiseCovariance } from './noise-covariance-fit.js'
import type { PosteriorState } from './posterior-state.js'
import { checkRepresentable } from './representable.js'
import { type SeenRows, seenRows, shareNotes } from './seen-rows.js'
import { taskForRows } from './task-for-rows.js'
import { type TuneData, tuneForAnswer, tunePosterior, type TuneRequest, tuneWithLinearModel } from './tune.js'
import { answerByHeldOutRows } from './validated-last-layer.js'
import { warned } from './warned.js'

/** A fit to data that arrive piece by piece. After an error it cannot be continued. */
export interface FitStream {
  /** Adds examples; returns how many there are. */
  add(x: Examples, y: Tensor, work?: FitWork): Promise<number>
  finish(work?: WorkOptions): Promise<LaplacePosterior>
}

/** Starts a fit to data that arrive piece by piece. Programs are compiled for the first examples' size. */
export function startStream(whole: FitTask): FitStream {
  // The first examples settle the shape of the input.
  let fit: RunningFit | undefined
  let failed = false
  const { validation, seed, likelihood } = whole.options
  const splitter = typeof validation === 'number' ? rowSplitter(validation, seed) : undefined
  let seen: SeenRows | undefined
  const start = (task: FitTask): RunningFit => {
    // Held-out rows that cannot be used are refused before anything is computed.
    if (typeof validation === 'object') heldOutRows(validation, task.evaluator, likelihood)
    if (validation !== undefined) seen = seenRows(likelihood, typeof validation === 'object' ? validation : undefined)
    return startFit(task)
  }
  let heldOut = 0
  const addBatch = async (x: Examples, y: Tensor, { sampleWeight, ...work }: FitWork): Promise<number> => {
    demandRows(x, y)
    fit ??= start(await taskForRows(whole, x, y))
    const given = checkWeights(sampleWeight, exampleCount(x))
    if (given !== undefined && splitter !== undefined) throw weightsOfShare()
    const parts = splitter?.split({ x, y }) ?? { fitted: { x, y }, heldOut: 0 }
    heldOut += parts.heldOut
    if (parts.fitted === undefined) return heldOut + fit.examples()
    const repeats = given !== undefined && fit.keepsRows
    if (repeats && !areWhole(given)) throw weightsOfSums()
    const fitted = repeats ? repeated(parts.fitted, given) : parts.fitted
    if (exampleCount(fitted.x) === 0 && repeats) return heldOut + fit.examples()
    const examples = await fit.add(fitted.x, fitted.y, work, repeats ? undefined : given)
    seen?.watch(fitted)
    return heldOut + examples
  }
  return {
    async add(x, y, work = {}) {
      if (failed) throw new StateError('NOT_FITTED', 'This fit has failed before and cannot be continued; start again.')
      try {
        return await addBatch(x, y, work)
      } catch (error) {
        failed = true
        throw error
      }
    },
    finish: async (work = {}) => {
      const rows = typeof validation === 'object' ? validation : splitter?.heldOut()
      if (splitter !== undefined) checkShare(rows, heldOut, validation)
      const state = await withSharedProducts(whole.runtime, whole.options.threads,
        () => (fit ?? start(whole)).finish(rows, work))
      const notes = rows === undefined ? [] : [...seen?.notes(rows) ?? [], ...shareNotes(validation, state.choice?.r)]
      return new LaplacePosterior(warned({ ...state, notes: [...notes, ...state.notes] }))
    },
  }
}

function weightsOfShare(): OptionError {
  return new OptionError('BAD_COMBINATION',
    'Rows with weights (sampleWeight) are not held out by a share (option validation): give the held-out rows '
      + 'themselves, validation: { x, y }.', { option: 'validation' })
}

function weightsOfSums(): OptionError {
  return new OptionError('BAD_COMBINATION',
    'The rows of this fit are kept for their linear model, where a weight (sampleWeight) is a whole number: '
      + "how often the row is there. For other weights name a structure ('kron', 'full' or 'diag') and give the prior "
      + "precision, or tune it by 'marglik' or 'grid'.", { option: 'tune' })
}

/** @throws OptionError BAD_OPTION where a share of the rows is too few of them */
function checkShare(rows: Batch | undefined, heldOut: number, share: unknown): void {
  if (rows !== undefined && heldOut >= FEWEST_HELD_OUT) return
  throw new OptionError('BAD_OPTION',
    `A share of ${
      String(share)
    } of the rows (option validation) holds out ${heldOut} of them; at least ${FEWEST_HELD_OUT} are needed, `
      + 'and some fifty make a choice that lasts. Use a larger share, or leave validation out.', {
    option: 'validation',
    value: share,
  })
}

/** A fit that has its programs. */
interface RunningFit {
  /** Whether rows are kept, and not only summed: their weights must then be whole numbers. */
  readonly keepsRows: boolean
  /** @param weights how often each row counts, of a fit that does not keep them */
  add(x: Examples, y: Tensor, work: WorkOptions, weights?: Float64Array): Promise<number>
  /** How many examples there are. */
  examples(): number
  /** @param heldOut rows that the network has not seen, where there are any */
  finish(heldOut: Batch | undefined, work: WorkOptions): Promise<PosteriorState>
}

/** Rows are kept for the linear model over all weights where it is possible, else they are summed at once. */
function startFit(task: FitTask, notes: string[] = []): RunningFit {
  if (task.options.tuneCovariance) return covarianceFit(task, notes)
  if (task.options.factored !== undefined) return factoredFit(task, task.options.factored, notes)
  if ('evaluator' in task.linear) {
    return task.options.linearModel === 'none' ? summedWithNoise(task, task.linear) : keptRows(task, task.linear, notes)
  }
  return startSums(task, notes)
}

/** Keeps the rows, which each covariance of the noises is fitted to. */
function covarianceFit(task: FitTask, notes: string[]): RunningFit {
  const kept: Batch[] = []
  let [examples, bytes] = [0, 0]
  return {
    keepsRows: true,
    async add(x, y) {
      bytes += examplesBytes(x)
      if (bytes > task.options.memoryLimit / 4) throw tooManyRows('full', task.options.memoryLimit)
      checkLabels(y, task.options.likelihood, exampleCount(x), task.network)
      kept.push({ x, y })
      examples += exampleCount(x)
      return examples
    },
    examples: () => examples,
    finish: (_heldOut, work) =>
      fitWithNoiseCovariance(task, kept, async (own, rows, quiet) => {
        const fit = startFit(own, [...notes])
        for (const { x, y } of rows) await fit.add(x, y, quiet)
        return fit.finish(undefined, quiet)
      }, work),
  }
}

/** Rows are kept beside the sums where the prior of all weights comes from their linear model. */
function startSums(task: FitTask, notes: string[]): RunningFit {
  return task.plan.tune === 'auto' && task.options.subset === 'all'
    ? summedAndKept(task, notes)
    : summedRows(task, notes)
}

/** Sums loss and diagonal, and keeps the rows for a curvature that is known by some of its own. */
function factoredFit(task: FitTask, wanted: FactoredStructure, notes: string[]): RunningFit {
  const { options } = task
  const summed = { ...task, options: sumsHessian(task) ? { ...options, structure: 'full' as const } : options }
  const accumulation = accumulationFor(summed, false, notes)
  const kept: Batch[] = []
  let [examples, bytes] = [0, 0]
  return {
    keepsRows: true,
    async add(x, y, work) {
      bytes += examplesBytes(x)
      if (bytes > task.options.memoryLimit / 4) throw tooManyRows(wanted.of, task.options.memoryLimit)
      examples = await accumulation.add(x, y, work)
      kept.push({ x, y })
      return examples
    },
    examples: () => examples,
    finish: async (heldOut, work) => {
      const sums = await accumulation.sums()
      if (sums.examples === 0) throw new DataError('EMPTY_DATA', 'There are no examples to fit to.')
      const curvature = await factoredCurvature(task, wanted, rowsOf(kept, task, task.options.likelihood),
        sums.curvature, work)
      return finishFit(task, { ...sums, curvature }, undefined, notes, heldOut, work)
    },
  }
}

function tooManyRows(structure: string, limit: number): ResourceError {
  return new ResourceError('OUT_OF_MEMORY',
    `Structure '${structure}' goes over the rows more than once, and they need more than a quarter of the limit of `
      + `${formatBytes(limit)} (option memoryLimit). Raise it, or use structure 'kron' or 'diag'.`, { limit })
}

/** Why a fit with no option set took the last layer. */
function lastLayerReason({ linear, options }: FitTask, notes: readonly string[]): string {
  if (options.linearModel === 'none') return 'The last layer, as the options say.'
  const why = 'refusal' in linear ? linear.refusal : notes[notes.length - 1] ?? ''
  return `The last layer alone, not all weights: ${why}`
}

/** Sums the curvature of all weights, and keeps the rows for their linear model, which gives the prior. */
function summedAndKept(task: FitTask, notes: string[]): RunningFit {
  const untuned: FitTask = { ...task, plan: { tune: 'none', chosen: true } }
  const sums = summedRows(untuned, notes)
  const kept: Batch[] = []
  return {
    keepsRows: true,
    async add(x, y, work) {
      const examples = await sums.add(x, y, work)
      kept.push({ x, y })
      return examples
    },
    examples: sums.examples,
    finish: async (heldOut, work) =>
      priorFromLinearModel(await sums.finish(heldOut, work), rowsOf(kept, task, task.options.likelihood), work),
  }
}

/**
 * Sums the curvature of the last layer of a regression, and keeps rows while they are few: all weights say its noise.
 */
function summedWithNoise(task: FitTask, linear: LinearTask): RunningFit {
  const { options } = task
  let kept: Batch[] | undefined = []
  let bytes = 0
  const noise = async (work: WorkOptions): Promise<RegressionNoise | undefined> =>
    kept === undefined || kept.length === 0
      ? undefined
      : regressionNoise(linear.evaluator, options, rowsOf(kept, linear, options.likelihood), work)
  const sums = summedRows(task, [], noise)
  return {
    keepsRows: true,
    async add(x, y, work) {
      const examples = await sums.add(x, y, work)
      bytes += examplesBytes(x)
      kept = bytes > options.memoryLimit / 8 ? undefined : kept?.concat({ x, y })
      return examples
    },
    examples: sums.examples,
    finish: sums.finish,
  }
}

/** Sums the curvature, batch by batch; `noise` is what all weights say of a regression's. */
function summedRows(task: FitTask, notes: string[],
  noise?: (work: WorkOptions) => Promise<RegressionNoise | undefined>): RunningFit {
  const keepFeatures = task.plan.tune === 'linearized' ||
    ((task.plan.tune === 'auto' || task.plan.tune === 'validated') && task.options.subset === 'last_layer')
  const accumulation = accumulationFor(task, keepFeatures, notes)
  let examples = 0
  return {
    keepsRows: keepFeatures,
    add: async (x, y, work, weights) => (examples = await accumulation.add(x, y, work, weights)),
    examples: () => examples,
    finish: async (heldOut, work) => {
      const [sums, data] = [await accumulation.sums(), await accumulation.linearData()]
      return finishFit(task, sums, data, notes, heldOut, work, await noise?.(work))
    },
  }
}

/**
 * Keeps the rows until all are there: only then is it known whether the linear model is small enough. Rows beyond a
 * part of the memory limit are summed instead.
 */
function keptRows(task: FitTask, linear: LinearTask, notes: string[]): RunningFit {
  let kept: Batch[] = []
  let [examples, bytes] = [0, 0]
  let summed: RunningFit | undefined
  const { evaluator, options } = { ...task, evaluator: linear.evaluator }
  const giveUp = async (reason: string, work: WorkOptions): Promise<RunningFit> => {
    notes.push(reason)
    const alone = task.fallback()
    const fallback = alone === undefined ? startSums(task, notes) : startFit(alone, notes)
    for (const { x, y } of kept) await fallback.add(x, y, work)
    kept = []
    return fallback
  }
  return {
    keepsRows: true,
    async add(x, y, work) {
      if (summed !== undefined) return summed.add(x, y, work)
      throwIfCancelled(work.signal)
      const { network } = evaluator
      const note = (sentence: string | undefined): void => {
        if (sentence !== undefined && !notes.includes(sentence)) notes.push(sentence)
      }
      const rows = networkInputs(x, network, evaluator.precision, note)
      const { values } = checkLabels(y, options.likelihood, exampleCount(x), network)
      note(leftOutNote(values, network, likelihoodModel(options.likelihood).targetWidth(network.outputs)))
      kept.push({ x, y })
      examples += exampleCount(x)
      bytes += [...rows.values()].reduce((sum, { data }) => sum + data.byteLength, 0)
      if (bytes > options.memoryLimit / 8 && options.linearModel !== 'required') {
        summed = await giveUp('There are more rows than can be kept for the linear model over all weights.', work)
      }
      return examples
    },
    examples: () => examples,
    async finish(heldOut, work) {
      if (summed !== undefined) return summed.finish(heldOut, work)
      if (examples === 0) throw new DataError('EMPTY_DATA', 'There are no examples to fit to.')
      const forecast = forecastLinearModel(evaluator, options, examples)
      if (forecast === undefined) {
        return (await giveUp(tooLarge(evaluator, options, examples), work)).finish(heldOut, work)
      }
      try {
        const rows = rowsOf(kept, linear, options.likelihood)
        return await fitLowRank(task, linear, rows, { forecast, heldOut, notes }, work)
      } catch (error) {
        if (!(error instanceof NumericalError) || options.linearModel === 'required') throw error
        // The default never ends in an error on data that a last layer can be fitted to.
        const reason = `The linear model over all weights failed: ${error.message}`
        return (await giveUp(reason, work)).finish(heldOut, work)
      }
    },
  }
}

/** All kept rows together, as the network takes them. */
function rowsOf(kept: readonly Batch[], { evaluator }: Pick<LinearTask, 'evaluator'>,
  likelihood: Likelihood): TrainingRows {
  const { network, precision } = evaluator
  const parts = kept.map(({ x, y }) => ({
    x: networkInputs(x, network, precision, () => undefined),
    labels: checkLabels(y, likelihood, exampleCount(x), network).values,
    examples: exampleCount(x),
  }))
  if (parts.length === 1) return parts[0]
  const examples = parts.reduce((sum, part) => sum + part.examples, 0)
  const labels = new Float64Array(parts.reduce((sum, part) => sum + part.labels.length, 0))
  let at = 0
  for (const part of parts) {
    labels.set(part.labels, at)
    at += part.labels.length
  }
  return { x: joinExamples(parts.map(({ x }) => x), network.inputs), labels, examples }
}

function weightsOfBatches(): DataError {
  return new DataError('BAD_ARRAY',
    'The weights of rows that come in batches (sampleWeight) belong into each batch: { x, y, sampleWeight }.', {
    array: 'sampleWeight',
  })
}

/** @throws DataError BAD_ARRAY for examples without labels */
function batchesIn(x: Examples | AsyncIterable<Batch> | Iterable<Batch>): AsyncIterable<Batch> | Iterable<Batch> {
  const given: unknown = x
  const isBatch = (item: unknown): boolean => typeof item === 'object' && item !== null && 'x' in item
  const iterates = typeof given === 'object' && given !== null && !('data' in given) && !ArrayBuffer.isView(given)
    && (Symbol.iterator in given || Symbol.asyncIterator in given)
  if (iterates && !(Array.isArray(given) && !given.every(isBatch))) return x as Iterable<Batch>
  throw new DataError('BAD_ARRAY', 'y is missing: fit takes x and y, or an iterable of batches { x, y }.', {
    array: 'y',
  })
}

/** The task with the weights of its classes, where all labels are there to count them. */
function balanced(task: FitTask, { data }: Tensor): FitTask {
  const { options, network } = task
  if (options.classWeight !== 'balanced') return task
  return { ...task, options: { ...options, classWeight: balancedWeights(data, Math.max(2, network.outputs)) } }
}

/**
 * The posterior of all the data: x and y, or batches of them.
 * @throws ShapeError, DataError, ResourceError, NumericalError, CancelledError
 */
export async function fitAll(task: FitTask, x: Examples | AsyncIterable<Batch> | Iterable<Batch>, y: Tensor | undefined,
  { sampleWeight, ...work }: FitWork): Promise<LaplacePosterior> {
  if (y !== undefined) demandRows(x, y)
  const stream = startStream(y === undefined ? task : balanced(task, y))
  if (y !== undefined) await stream.add(x as Examples, y, { ...work, sampleWeight })
  else if (sampleWeight !== undefined) throw weightsOfBatches()
  else for await (const batch of batchesIn(x)) await stream.add(batch.x, batch.y, { ...work, ...batch })
  return stream.finish(work)
}

/** What every prediction of all weights needs of a given prior is the fit's work, not the first prediction's. */
async function decomposeAtEnd({ structured, options, pool }: PosteriorState, work: WorkOptions): Promise<void> {
  if (options.subset !== 'all') return
  await decomposeAhead(structured, { pool, memoryLimit: options.memoryLimit, stage: 'tune' }, work)
}

/**
 * The posterior of complete sums, tuned as the task plans it; `linear` is what tuning by `linearized` needs.
 * @throws DataError EMPTY_DATA; NumericalError, CancelledError
 */
export async function finishFit(task: FitTask,
  sums: Omit<FitSums, 'curvature'> & { readonly curvature: NetworkCurvature }, linear: LinearData | undefined,
  notes: readonly string[], heldOut: Batch | undefined, work: WorkOptions,
  noise?: RegressionNoise): Promise<PosteriorState> {
  const { graph, evaluator, pool, options, runtime, network, plan } = task
  if (sums.examples === 0) throw new DataError('EMPTY_DATA', 'There are no examples to fit to.')
  const structured = structuredPosterior(sums.curvature, evaluator.slots, evaluator.theta, options.settings)
  const state: PosteriorState = {
    graph,
    evaluator,
    pool,
    options,
    runtime,
    structured,
    examples: sums.examples,
    loss: sums.loss,
    fitted: sums.curvature,
    mode: undefined,
    tuned: 'none',
    effectiveParameters: undefined,
    choice: undefined,
    trainingVariances: undefined,
    leftOut: undefined,
    conformal: undefined,
    training: sums.agreement === undefined ? undefined : { agreement: sums.agreement, posterior: undefined },
    notes: [...network.notes, ...notes, ...(plan.note === undefined ? [] : [plan.note])],
  }
  checkRepresentable(state)
  if (plan.tune === 'none') {
    await decomposeAtEnd(state, work)
    return state
  }
  const request: TuneRequest = { tune: plan.tune, priorStructure: options.priorStructure, tuneNoise: options.tuneNoise }
  const data: TuneData = { validation: heldOut }
  work.onProgress?.({ stage: 'tune', done: 0 })
  if (linear === undefined) return tunePosterior(state, request, data, work)
  if (plan.tune === 'linearized') return tuneWithLinearModel(state, request, linear, work)
  const tuned = await tuneForAnswer(withWholeCovariance(state, linear), { ...request, tune: 'linearized' }, linear,
    work)
  const answered = await answerByGate(tuned, linear, lastLayerReason(task, notes), work, noise)
  return plan.tune === 'validated' && heldOut !== undefined
    ? answerByHeldOutRows(answered, linear, heldOut, work)
    : answered
}
