/**
 * @file What a fit does with rows as they come: sums them, keeps them for what goes over them more than once, or both.
 */
import type { PosteriorState } from '../answer/posterior-state.js'
import { formatBytes } from '../budget/memory.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { DataError, NumericalError, ResourceError } from '../errors/errors.js'
import { checkLabels } from '../likelihood/labels.js'
import { leftOutNote } from '../likelihood/position-labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { networkInputs } from '../network/input-rows.js'
import type { FactoredStructure } from '../options/posterior-choice.js'
import type { FitSums } from '../parallel/batch-sums.js'
import type { Batch } from '../tensor/batch.js'
import { exampleCount, type Examples, examplesBytes } from '../tensor/examples.js'
import type { Tensor } from '../tensor/tensor.js'
import { accumulationFor } from './accumulation-for.js'
import type { BeyondFeatures } from './beyond-features.js'
import { factoredCurvature } from './factored-curvature.js'
import { finishFit } from './finish-fit.js'
import type { FitTask, LinearTask } from './fit-task.js'
import { rowsOf } from './kept-rows.js'
import { regressionNoise } from './last-layer-noise.js'
import { alwaysTooLarge, forecastLinearModel, tooLarge } from './linear-fit-cost.js'
import type { TrainingRows } from './linear-fit-result.js'
import { fitLinearState } from './linear-fit-state.js'
import { sumsMatrix } from './low-rank-way.js'
import { fitWithNoiseCovariance } from './noise-covariance-fit.js'
import { priorFromLinearModel } from './prior-from-linear-model.js'
import { checkDraws, drawSpace, sampledFit } from './sampled-curvature.js'
import { type UntrainedError, untrainedError } from './untrained-error.js'

/** A fit that has its programs. */
export interface RunningFit {
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
export function startFit(task: FitTask, notes: string[] = []): RunningFit {
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

/**
 * Rows are kept beside the sums where the prior of all weights comes from their linear model, and a sample of them
 * where they say more of a last layer than its features do.
 */
function startSums(task: FitTask, notes: string[]): RunningFit {
  const { options: { subset }, plan: { tune } } = task
  if (tune === 'auto' && subset === 'all') return summedAndKept(task, notes)
  const asked = subset === 'last_layer' && (tune === 'auto' || tune === 'validated') ? untrainedError(task) : undefined
  return asked === undefined ? summedRows(task, notes) : summedAndAsked(task, notes, asked)
}

/** Sums the curvature of a last layer, and asks its rows how often an untrained network is wrong. */
function summedAndAsked(task: FitTask, notes: string[], asked: UntrainedError): RunningFit {
  const sums = summedRows(task, notes, async work => ({ errorRate: await asked.rate(work) }))
  return {
    ...sums,
    async add(x, y, work, weights) {
      const examples = await sums.add(x, y, work, weights)
      asked.watch({ x, y })
      return examples
    },
  }
}

/** Sums loss and diagonal, and keeps the rows for a curvature that is known by some of its own. */
function factoredFit(task: FitTask, wanted: FactoredStructure, notes: string[]): RunningFit {
  const { options } = task
  if (wanted.of === 'samples') checkDraws(task, wanted.samples, 1)
  const summed = { ...task, options: sumsMatrix(task) ? { ...options, structure: 'full' as const } : options }
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
      const rows = rowsOf(kept, task, task.options.likelihood)
      if (wanted.of === 'samples') return finishSamples(task, wanted.samples, rows, sums, notes, work)
      const curvature = await factoredCurvature(task, wanted, rows, sums.curvature, notes, work)
      return finishFit(task, { ...sums, curvature }, { notes, heldOut }, work)
    },
  }
}

/** Draws of the weights, whose prior is found with them. */
async function finishSamples(task: FitTask, samples: number, rows: TrainingRows, sums: FitSums,
  notes: readonly string[], work: WorkOptions): Promise<PosteriorState> {
  const { options, plan, evaluator } = task
  const space = await drawSpace(task, rows, samples, work)
  try {
    const { curvature, settings, notes: own } = await sampledFit(task, samples, space, {
      likelihood: likelihoodModel(options.likelihood, options),
      loss: sums.loss,
      examples: sums.agreement?.examples ?? sums.examples,
      outputs: evaluator.network.outputs,
    }, work)
    const state = await finishFit({ ...task, options: { ...options, settings }, plan: { ...plan, tune: 'none' } }, {
      ...sums,
      curvature,
    }, { notes: [...notes, ...own] }, work)
    return { ...state, options, tuned: plan.tune }
  } finally {
    await space.dispose()
  }
}

function tooManyRows(structure: string, limit: number): ResourceError {
  return new ResourceError('OUT_OF_MEMORY',
    `Structure '${structure}' goes over the rows more than once, and they need more than a quarter of the limit of `
      + `${formatBytes(limit)} (option memoryLimit). Raise it, or use structure 'kron' or 'diag'.`, { limit })
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
  const sums = summedRows(task, [], async work =>
    kept === undefined || kept.length === 0
      ? {}
      : { noise: await regressionNoise(linear.evaluator, options, rowsOf(kept, linear, options.likelihood), work) })
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

/** Sums the curvature, batch by batch; `beyond` asks the rows what a last layer's features cannot say. */
function summedRows(task: FitTask, notes: string[],
  beyond?: (work: WorkOptions) => Promise<BeyondFeatures>): RunningFit {
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
      return finishFit(task, sums, { linear: data, notes, heldOut, beyond: await beyond?.(work) }, work)
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
      if (options.linearModel === 'required') return examples
      if (alwaysTooLarge(evaluator, options, examples)) {
        summed = await giveUp(tooLarge(evaluator, options, examples), work)
      } else if (bytes > options.memoryLimit / 8) {
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
        return await fitLinearState(task, linear, rows, { forecast, heldOut, notes }, work)
      } catch (error) {
        if (!(error instanceof NumericalError) || options.linearModel === 'required') throw error
        // The default never ends in an error on data that a last layer can be fitted to.
        const reason = `The linear model over all weights failed: ${error.message}`
        return (await giveUp(reason, work)).finish(heldOut, work)
      }
    },
  }
}
