/**
 * @file The joint choice by held-out rows for a last layer: over its linear models, each at its own mode (see
 * core/tuning/validated.ts).
 */
import { withHeldOutScores } from '../answer/held-out-answer.js'
import { hasTunedNoises, outputDeltas, withOutputNoise } from '../answer/output-noise.js'
import { noiseOf, type PosteriorState } from '../answer/posterior-state.js'
import { breathe, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { lastLayerTimes } from '../curvature/last-layer.js'
import { termsOf } from '../likelihood/output-layout.js'
import { labelledTerms } from '../likelihood/position-labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import { structuredPosterior } from '../posterior/structured.js'
import { batchWithin } from '../programs/batch-size.js'
import type { LinearData } from '../sums/linear-data.js'
import type { Batch } from '../tensor/batch.js'
import { exampleCount, exampleRange } from '../tensor/examples.js'
import { takeRows } from '../tensor/rows.js'
import { rows as rowsFrom } from '../tensor/tensor.js'
import type { Choice } from '../tuning/choice.js'
import type { Gain } from '../tuning/gain.js'
import { linearModel } from '../tuning/linear-model.js'
import { linearizedAt, type LinearizedFit } from '../tuning/linearized.js'
import { chooseNoise } from '../tuning/validated-noise.js'
import { candidatesAt, chooseFound, DELTA_STEPS, foundOrNot, type HeldOutOutputs, steppedDelta,
  type ValidatedCandidate } from '../tuning/validated.js'
import { answerByGate } from './gate-fit.js'
import { FEWEST_HELD_OUT, heldOutRows } from './held-out-rows.js'
import type { TrainingRows } from './linear-fit-result.js'

/** Numbers that the covariances of the held-out rows may hold together. */
const COVARIANCE_NUMBERS = 1 << 26

/** Held-out rows with their features, M x D. */
interface FeatureRows extends HeldOutOutputs {
  readonly features: Float64Array
}

/**
 * The state of a last layer that the gate has answered, with prior, link, s and weights (regression: noise and weights)
 * chosen by held-out rows.
 * @param linear features and labels of the training rows
 * @throws NumericalError NO_CONVERGENCE; ShapeError, DataError, CancelledError
 */
export async function answerByHeldOutRows(state: PosteriorState, linear: LinearData, heldOut: Batch,
  work: WorkOptions): Promise<PosteriorState> {
  const { options, evaluator, choice } = state
  if (choice === undefined) return state
  const { outputs } = evaluator.network
  const { batch, note } = affordable(heldOut, outputs * outputs * termsOf(evaluator.network), outputs)
  const noted: PosteriorState = note === undefined ? state : { ...state, notes: [...state.notes, note] }
  if (options.calibrate !== undefined) return withHeldOutScores(noted, batch, undefined, work)
  const rows = await featureRows(noted, heldOutRows(batch, evaluator, options.likelihood), work)
  const { state: chosen, gain } = options.likelihood === 'regression'
    ? chosenNoise(noted, choice, rows, linear)
    : await chosenAnswer(noted, choice, rows, linear, work)
  return withHeldOutScores(chosen, batch, gain, work)
}

/** As many held-out rows as have covariances that are affordable: all, but for networks of very many classes. */
function affordable({ x, y }: Batch, numbers: number,
  outputs: number): { readonly batch: Batch, readonly note?: string } {
  const count = Math.max(FEWEST_HELD_OUT, Math.floor(COVARIANCE_NUMBERS / numbers))
  if (exampleCount(x) <= count) return { batch: { x, y } }
  return { batch: { x: exampleRange(x, 0, count), y: rowsFrom(y, 0, count) },
    note: `Of ${
      exampleCount(x)
    } held-out rows the first ${count} were used: the covariances of ${outputs} classes are large.` }
}

async function featureRows({ evaluator, structured, options }: PosteriorState, { x, labels, examples }: TrainingRows,
  work: WorkOptions): Promise<FeatureRows> {
  const { network } = evaluator
  const { outputs } = network
  const parts: Float64Array[] = []
  const size = batchWithin(evaluator, outputs, 'outputs', options, examples)
  await forEachBatch(examples, size, 'tune', work, async (from, to) => {
    const { features } = await evaluator.features(sliceExamples(x, network.inputs, from, to))
    parts.push(Float64Array.from(features))
  })
  const features = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    features.set(part, at)
    at += part.length
  }
  const likelihood = likelihoodModel(options.likelihood)
  const width = likelihood.targetWidth(outputs)
  const kept = labelledTerms(labels, width)
  const rows = kept?.length ?? labels.length / width
  const own = kept === undefined ? features : takeRows(features, kept, features.length / (labels.length / width))
  return { likelihood, labels: kept === undefined ? labels : takeRows(labels, kept, width), examples: rows, outputs,
    features: own, f: lastLayerTimes(structured.slots, own, rows, structured.mean) }
}

/** The posterior of one linear mode. */
function posteriorAt({ structured }: PosteriorState,
  { curvature, settings }: LinearizedFit): PosteriorState['structured'] {
  return structuredPosterior(curvature, structured.slots, structured.mean, settings)
}

/** A state with what held-out rows chose, and what that gains. */
interface ChosenState {
  readonly state: PosteriorState
  readonly gain: Gain | undefined
}

async function chosenAnswer(state: PosteriorState, byTraining: Choice, rows: FeatureRows, linear: LinearData,
  work: WorkOptions): Promise<ChosenState> {
  const { structured, options, mode } = state
  const { priorPrecision } = structured.settings
  if (mode === undefined || typeof priorPrecision !== 'number') return { state, gain: undefined }
  const model = linearModel(rows.likelihood, structured.slots, linear)
  const at = (step: number): Promise<LinearizedFit> =>
    linearizedAt(model, options, { ...structured.settings, priorPrecision: steppedDelta(priorPrecision, step) },
      mode.weights, work)
  const candidates: ValidatedCandidate[] = []
  for (const [done, step] of DELTA_STEPS.entries()) {
    await breathe()
    throwIfCancelled(work.signal)
    work.onProgress?.({ stage: 'tune', done, total: DELTA_STEPS.length })
    const fit = await foundOrNot(() => at(step))
    if (fit === undefined) continue
    const f = lastLayerTimes(structured.slots, rows.features, rows.examples, fit.mode)
    const covariance = posteriorAt(state, fit).lastLayerVariance(rows.features, rows.examples, 'covariance')
    candidates.push(...candidatesAt(rows, step, f, covariance, byTraining))
  }
  const { chosen, found } = await chooseFound(rows, candidates, byTraining, work, async step => {
    if (step === 0) return state
    const fit = await at(step)
    return answerByGate({ ...state, structured: posteriorAt(state, fit), mode: { weights: fit.mode, loss: fit.loss },
      effectiveParameters: fit.effectiveParameters }, linear, byTraining.reason, work)
  })
  const { step: _, gain, ...answer } = chosen
  // What is halfway belongs to the answer of the training rows; another has only two parts.
  const choice: Choice = { ...(found.choice ?? byTraining), halfwayWeight: undefined, halfwayScale: undefined,
    ...answer, s: answer.varianceScale }
  return { state: { ...found, choice }, gain }
}

/** Noise an output and the weights of the mean; the prior stays. */
function chosenNoise(state: PosteriorState, byTraining: Choice, rows: FeatureRows, data: LinearData): ChosenState {
  const { structured, options, mode } = state
  if (mode === undefined) return { state, gain: undefined }
  const { slots, settings } = structured
  const { examples, outputs, features } = rows
  const linear = lastLayerTimes(slots, features, examples, mode.weights)
  const variances = structured.lastLayerVariance(features, examples, 'diagonal')
  const column = (values: Float64Array, c: number): Float64Array =>
    Float64Array.from({ length: examples }, (_, n) => values[n * outputs + c])
  const sigma = noiseOf(state)
  const tuned = Array.from(sigma, value => ({ delta: 1, sigma: value }))
  const own = tuned.map((_, c) => ({ f: column(linear, c), variance: column(variances, c) }))
  const { outputs: chosen, linearWeight, gain } = chooseNoise(rows, { outputs: tuned,
    linearWeight: byTraining.linearWeight }, c => own[c], options.tuneNoise ? 'noise' : 'none')
  const sigmas = chosen.map(one => one.sigma)
  const common = Math.sqrt(sigmas.reduce((sum, value) => sum + value * value, 0) / outputs)
  const noisy = hasTunedNoises(state)
    ? withOutputNoise(state, data, { sigma: sigmas, delta: outputDeltas(state) })
    : common === settings.sigmaNoise || options.outputNoise !== undefined
    ? state
    : { ...state, structured: structured.withSettings({ sigmaNoise: common }) }
  return { gain,
    state: { ...noisy, choice: { ...byTraining, sigmaNoise: sigmas, networkWeight: 1 - linearWeight, linearWeight } } }
}
