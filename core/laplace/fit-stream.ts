/** @file A fit to data that arrive piece by piece. */
import type { WorkOptions } from '../budget/progress.js'
import { DataError, StateError } from '../errors/errors.js'
import type { FitSums } from '../parallel/worker.js'
import { structuredPosterior } from '../posterior/structured.js'
import { type Accumulation, startAccumulation } from '../sums/accumulation.js'
import type { LinearData } from '../sums/linear-data.js'
import type { Batch } from '../tensor/batch.js'
import type { Tensor } from '../tensor/tensor.js'
import { type FitTask, settle } from './fit-task.js'
import { LaplacePosterior } from './laplace-posterior.js'
import type { PosteriorState } from './posterior-state.js'
import { type TuneData, tunePosterior, type TuneRequest, tuneWithLinearModel } from './tune.js'

/** A fit to data that arrive piece by piece. After an error it cannot be continued. */
export interface FitStream {
  /** Adds examples; returns how many there are. */
  add(x: Tensor, y: Tensor, work?: WorkOptions): Promise<number>
  finish(work?: WorkOptions): Promise<LaplacePosterior>
}

/** The sums of a task, at zero; each sentence about the data is added to `notes` once. */
export function accumulationFor({ evaluator, pool, options }: FitTask, keepFeatures: boolean,
  notes: string[]): Accumulation {
  return startAccumulation(evaluator, pool, options, keepFeatures, sentence => {
    if (!notes.includes(sentence)) notes.push(sentence)
  })
}

/** Starts a fit to data that arrive piece by piece. Programs are compiled for the first examples' size. */
export function startStream(whole: FitTask): FitStream {
  const notes: string[] = []
  const begin = (task: FitTask): { task: FitTask, accumulation: Accumulation } => ({ task,
    accumulation: accumulationFor(task, task.plan.tune === 'linearized', notes) })
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

/**
 * The posterior of all the data: x and y, or batches of them.
 * @throws ShapeError, DataError, ResourceError, NumericalError, CancelledError
 */
export async function fitAll(task: FitTask, x: Tensor | AsyncIterable<Batch> | Iterable<Batch>, y: Tensor | undefined,
  work: WorkOptions): Promise<LaplacePosterior> {
  const stream = startStream(task)
  if ('data' in x) {
    if (y === undefined) {
      throw new DataError('BAD_ARRAY', 'y is missing: fit takes x and y, or an iterable of batches { x, y }.', {
        array: 'y',
      })
    }
    await stream.add(x, y, work)
  } else {
    for await (const batch of x) await stream.add(batch.x, batch.y, work)
  }
  return stream.finish(work)
}

/**
 * The posterior of complete sums, tuned as the task plans it; `linear` is what tuning by `linearized` needs.
 * @throws DataError EMPTY_DATA; NumericalError, CancelledError
 */
export async function finishFit(task: FitTask, sums: FitSums, linear: LinearData | undefined, notes: readonly string[],
  work: WorkOptions): Promise<LaplacePosterior> {
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
    notes: [...network.notes, ...notes, ...(plan.note === undefined ? [] : [plan.note])],
  }
  if (plan.tune === 'none') return new LaplacePosterior(state)
  const request: TuneRequest = { tune: plan.tune, priorStructure: options.priorStructure, tuneNoise: options.tuneNoise }
  const data: TuneData = { validation: options.validation }
  work.onProgress?.({ stage: 'tune', done: 0 })
  return new LaplacePosterior(
    linear === undefined
      ? await tunePosterior(state, request, data, work)
      : await tuneWithLinearModel(state, request, linear, work),
  )
}
