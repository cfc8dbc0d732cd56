/** @file The posterior of partial fits that were added up. */
import type { PosteriorState } from '../answer/posterior-state.js'
import type { WorkOptions } from '../budget/progress.js'
import { fitsSlots } from '../curvature/sizes.js'
import { OptionError, StateError, UntrustedInputError } from '../errors/errors.js'
import { noAgreement } from '../likelihood/agreement.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { demandPartialFit, keyDifference, type PartialFit } from '../sums/partial-fit.js'
import type { Batch } from '../tensor/batch.js'
import { inFull } from '../tensor/sample-weights.js'
import { finishFit } from './finish-fit.js'
import { type FitTask, partialKey, settle, taskOfKey, withColumns } from './fit-task.js'
import { heldOutRows } from './held-out-rows.js'
import { withLogarithm } from './probability-outputs.js'
import { tunePosterior } from './tune.js'
import type { TuningPlan } from './tuning-plan.js'

/**
 * The posterior of sums over all the data; `rows` are the training data once more, for tuning that reads them.
 * @throws OptionError BAD_COMBINATION, StateError DIGEST_MISMATCH; ShapeError, DataError, CancelledError
 */
export async function fitMerged(prepared: FitTask, partial: PartialFit, rows: Batch | undefined,
  work: WorkOptions): Promise<PosteriorState> {
  demandPartialFit(partial)
  const data = rows === undefined ? undefined : inFull(rows, 'data')
  const task = withColumns(taskOf(taskOfKey(prepared, partial.key), partial), partial.columns ?? [])
  checkSums(task, partial)
  const notes = partial.notes ?? []
  const { plan, options } = task
  const { validation } = options
  if (typeof validation === 'number') {
    throw new OptionError('BAD_COMBINATION',
      'Partial fits have summed all of their rows, so that none can be held out (validation as a share): '
        + 'give fitMerged the held-out rows.', { option: 'validation' })
  }
  if (validation !== undefined) heldOutRows(validation, task.evaluator, options.likelihood)
  const settled = data === undefined ? task : settle(task, data.x, data.y)
  if (plan.tune === 'none' || !needsRows(task)) return finishFit(settled, partial, { notes, heldOut: validation }, work)
  if (data !== undefined) {
    const untuned: FitTask = { ...settled, plan: { ...plan, tune: 'none' } }
    const state = await finishFit(untuned, partial, { notes }, work)
    const request = { tune: plan.tune, priorStructure: options.priorStructure, tuneNoise: options.tuneNoise }
    return tunePosterior(state, request, { data, validation }, work)
  }
  if (plan.tune === 'linearized') {
    throw new OptionError('BAD_COMBINATION',
      "Tuning 'linearized' goes over the training data once more: give them here too, or tune by 'marglik'.", {
      option: 'tune',
    })
  }
  if (plan.tune === 'validated') {
    const note =
      "The prior precision was chosen by 'grid', because 'validated' also goes over the training data: give them to " +
      'fitMerged.'
    return finishFit({ ...task, plan: { tune: 'grid', chosen: false, note } }, partial, { notes, heldOut: validation },
      work)
  }
  return finishFit({ ...task, plan: withoutRows(task) }, partial, { notes }, work)
}

/**
 * The task that a partial fit belongs to: its rows may have shown that the outputs are probabilities.
 * @throws StateError DIGEST_MISMATCH
 */
function taskOf(task: FitTask, { key }: PartialFit): FitTask {
  if (key === partialKey(task)) return task
  const logarithm = hasLogits(task.options.likelihood) ? withLogarithm(task) : task
  if (key === partialKey(logarithm)) return logarithm
  throw new StateError('DIGEST_MISMATCH',
    `The partial fit does not belong to what is fitted here: ${keyDifference(key, partialKey(task))}.`, {
    expected: partialKey(task),
    actual: key,
  })
}

/** Sums whose key was written by somebody else may be of any size. @throws UntrustedInputError */
function checkSums({ evaluator: { slots, network }, options: { likelihood } }: FitTask,
  { curvature, agreement }: PartialFit): void {
  if (fitsSlots(curvature, slots) &&
    (agreement === undefined || agreement.outputs === noAgreement(likelihood, network.outputs)?.outputs)) return
  throw new UntrustedInputError('The partial fit is damaged: its sums do not belong to the parameters of the network.',
    {
      format: 'partial',
      path: 'curvature',
    })
}

/**
 * What is left without the rows. The marginal likelihood at the network's weights makes overfitted classifiers far too
 * unsure, so that a prior precision of 1 does less harm; a regression needs a noise, and only this gives one from sums.
 */
function withoutRows({ options }: FitTask): TuningPlan {
  const advice = 'tuning goes over the training data once more; give them here too, or the prior precision.'
  return options.likelihood === 'regression'
    ? { tune: 'marglik', chosen: false,
      note:
        "Prior and noise were tuned by 'marglik', whose intervals are too narrow for an overfitted network: better " +
        advice }
    : { tune: 'none', chosen: false, note: `The prior precision is 1, not tuned: ${advice}` }
}

/** Whether tuning goes over the training data once more. */
function needsRows({ plan: { tune }, options: { subset } }: FitTask): boolean {
  return tune === 'linearized' || tune === 'auto' || (tune === 'validated' && subset === 'last_layer')
}
