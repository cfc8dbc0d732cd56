/** @file A fit to data that arrive piece by piece. */
import type { WorkOptions } from '../budget/progress.js'
import { DataError, OptionError, StateError } from '../errors/errors.js'
import type { FitTask } from '../fit/fit-task.js'
import type { FitWork } from '../fit/fit-work.js'
import { FEWEST_HELD_OUT, heldOutRows, rowSplitter } from '../fit/held-out-rows.js'
import { type RunningFit, startFit } from '../fit/running-fit.js'
import { type SeenRows, seenRows, shareNotes } from '../fit/seen-rows.js'
import { taskForRows } from '../fit/task-for-rows.js'
import { balancedWeights } from '../likelihood/class-weights.js'
import { withSharedProducts } from '../parallel/runtime.js'
import type { Batch } from '../tensor/batch.js'
import { demandRows, exampleCount, type Examples } from '../tensor/examples.js'
import { areWhole, checkWeights, countWeighted, repeated, withWeighted } from '../tensor/sample-weights.js'
import type { Tensor } from '../tensor/tensor.js'
import { LaplacePosterior } from './laplace-posterior.js'
import { warned } from './warned.js'

/** A fit to data that arrive piece by piece. After an error it cannot be continued. */
export interface FitStream {
  /** Adds examples; returns how many there are. */
  add(x: Examples, y: Tensor, work?: FitWork): Promise<number>
  finish(work?: WorkOptions): Promise<LaplacePosterior>
}

/**
 * Starts a fit to data that arrive piece by piece. Programs are compiled for the first examples' size.
 * Its methods throw ShapeError, DataError, ResourceError, NumericalError, CancelledError; StateError after any of them.
 */
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
  let weighted = 0
  const addBatch = async (x: Examples, y: Tensor, { sampleWeight, ...work }: FitWork): Promise<number> => {
    demandRows(x, y)
    // Batches that a filter has emptied change nothing.
    if (exampleCount(x) === 0 && y.shape[0] === 0) return heldOut + (fit?.examples() ?? 0)
    fit ??= start(await taskForRows(whole, x, y, work))
    const given = checkWeights(sampleWeight, exampleCount(x))
    if (given !== undefined && splitter !== undefined) throw weightsOfShare()
    weighted += countWeighted(given)
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
      return new LaplacePosterior(warned({ ...state, ...withWeighted(weighted), notes: [...notes, ...state.notes] }))
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
