/** @file From complete sums to the posterior, tuned as planned. */
import type { PosteriorState } from '../answer/posterior-state.js'
import { checkRepresentable } from '../answer/representable.js'
import type { WorkOptions } from '../budget/progress.js'
import type { NetworkCurvature } from '../curvature/curvature.js'
import { DataError } from '../errors/errors.js'
import type { FitSums } from '../parallel/batch-sums.js'
import { decomposeAhead } from '../parallel/decompositions.js'
import { structuredPosterior } from '../posterior/structured.js'
import type { LinearData } from '../sums/linear-data.js'
import type { Batch } from '../tensor/batch.js'
import type { BeyondFeatures } from './beyond-features.js'
import type { FitTask } from './fit-task.js'
import { answerByGate, withWholeCovariance } from './gate-fit.js'
import { type TuneData, tuneForAnswer, tunePosterior, type TuneRequest, tuneWithLinearModel } from './tune.js'
import { answerByHeldOutRows } from './validated-last-layer.js'

/** The sums of a fit, and the curvature that came of them. */
type NetworkSums = Omit<FitSums, 'curvature'> & { readonly curvature: NetworkCurvature }

/** What is there beside the sums when a fit ends. */
export interface AtEnd {
  /** What tuning by `linearized` needs. */
  readonly linear?: LinearData | undefined
  readonly notes: readonly string[]
  /** Rows that the network has not seen. */
  readonly heldOut?: Batch | undefined
  /** What the rows say of a last layer that its features cannot. */
  readonly beyond?: BeyondFeatures | undefined
}

/**
 * The posterior of complete sums, tuned as the task plans it.
 * @throws DataError EMPTY_DATA; NumericalError, CancelledError
 */
export async function finishFit(task: FitTask, sums: NetworkSums, { linear, notes, heldOut, beyond }: AtEnd,
  work: WorkOptions): Promise<PosteriorState> {
  const { options, plan } = task
  if (sums.examples === 0) throw new DataError('EMPTY_DATA', 'There are no examples to fit to.')
  const state = untuned(task, sums, notes)
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
  const answered = await answerByGate(tuned, linear, lastLayerReason(task, notes), work, beyond)
  return plan.tune === 'validated' && heldOut !== undefined
    ? answerByHeldOutRows(answered, linear, heldOut, work)
    : answered
}

/** The posterior of the settings that were given. */
function untuned({ graph, evaluator, pool, options, runtime, network, plan }: FitTask, sums: NetworkSums,
  notes: readonly string[]): PosteriorState {
  const structured = structuredPosterior(sums.curvature, evaluator.slots, evaluator.theta, options.settings)
  return {
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
}

/** What every prediction of all weights needs of a given prior is the fit's work, not the first prediction's. */
async function decomposeAtEnd({ structured, options, pool }: PosteriorState, work: WorkOptions): Promise<void> {
  if (options.subset !== 'all') return
  await decomposeAhead(structured, { pool, memoryLimit: options.memoryLimit, stage: 'tune' }, work)
}

/** Why a fit with no option set took the last layer. */
function lastLayerReason({ linear, options }: FitTask, notes: readonly string[]): string {
  if (options.linearModel === 'none') return 'The last layer, as the options say.'
  const why = 'refusal' in linear ? linear.refusal : notes[notes.length - 1] ?? ''
  return `The last layer alone, not all weights: ${why}`
}
