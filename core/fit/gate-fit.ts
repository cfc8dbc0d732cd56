/** @file How much of the answer a last layer's linear model gets. */
import { withoutEachExample } from '../answer/left-out-examples.js'
import { outputDeltas } from '../answer/output-noise.js'
import { type PosteriorState, withScores } from '../answer/posterior-state.js'
import type { WorkOptions } from '../budget/progress.js'
import { isSum } from '../curvature/curvature.js'
import { lastLayerTimes } from '../curvature/last-layer.js'
import { NumericalError } from '../errors/errors.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { leaveOneOut, type LeftOut, sortedMeanVariances } from '../linear-model/leave-one-out.js'
import { decomposeAhead } from '../parallel/decompositions.js'
import { predictiveProbabilities } from '../prediction/link.js'
import { differenceLink, mixture, scaledProbabilities } from '../prediction/mixture.js'
import { zeroSumOfIndependent } from '../prediction/zero-sum.js'
import type { LinearData } from '../sums/linear-data.js'
import type { Choice } from '../tuning/choice.js'
import { explainLastLayerGate } from '../tuning/explain.js'
import { type Gate, lastLayerGate } from '../tuning/gate.js'
import { leftOutProbabilities } from '../tuning/left-out-probabilities.js'
import { classScores, type TrainingScores } from '../tuning/training-scores.js'
import type { BeyondFeatures } from './beyond-features.js'
import { regressionAnswer, withNoise } from './last-layer-noise.js'
import { answerOf } from './linear-fit-result.js'
import { MOST_COVARIANCES, type SampledRows, sampleRows, SMALLEST_REST } from './sampled-rows.js'

/** Weights of a last layer, and multiplications of one curvature, up to which its whole covariance is affordable. */
const MOST_WHOLE_WEIGHTS = 1200
const MOST_WHOLE_MULTIPLICATIONS = 1e10
/** Rows of many outputs that are left out at once: a dozen numbers for each of their outputs are held. */
const ROWS_AT_ONCE = 512

/**
 * The state whose last layer gets its whole covariance where no structure was named and the layer is small. The
 * Kronecker one is not exact even for a linear model: its leave-one-out scores are too good, and prior and gate with
 * them.
 */
export function withWholeCovariance(state: PosteriorState, { examples }: LinearData): PosteriorState {
  const { options, structured } = state
  const size = structured.mean.length
  const small = size <= MOST_WHOLE_WEIGHTS && examples * size * size <= MOST_WHOLE_MULTIPLICATIONS
  return options.structureOpen && small ? { ...state, options: { ...options, structure: 'full' } } : state
}

/**
 * The state of a last-layer posterior at its linear model's mode, with the gate's answer.
 * @param reason why it is the last layer
 * @param beyond what the features cannot say
 */
export async function answerByGate(tuned: PosteriorState, data: LinearData, reason: string, work: WorkOptions,
  beyond: BeyondFeatures = {}): Promise<PosteriorState> {
  const { noise } = beyond
  const state = noise === undefined ? tuned : withNoise(tuned, data, noise)
  const { pool, options: { memoryLimit } } = state
  try {
    await decomposeAhead(state.structured, { pool, memoryLimit, stage: 'tune' }, work)
    return gated(state, data, reason, beyond)
  } catch (error) {
    if (!(error instanceof NumericalError)) throw error
    // An approximate structure can claim more of a direction for one row than all rows together have.
    const note =
      `No row can be left out of a posterior of structure ${state.structured.structure} here (${error.message}), `
      + "so that the prior is tuned by 'linearized' and the network answers with its own mean."
    return { ...state, notes: [...state.notes, note] }
  }
}

function gated(state: PosteriorState, data: LinearData, reason: string,
  { noise, errorRate }: BeyondFeatures): PosteriorState {
  const { mode, structured, evaluator, options } = state
  if (mode === undefined) return state
  const { outputs } = evaluator.network
  const rows = sampleRows(data, outputs, likelihoodModel(options.likelihood).targetWidth(outputs), state)
  const { examples } = rows
  const own = (weights: Float64Array): Float64Array =>
    lastLayerTimes(structured.slots, rows.features, examples, weights)
  const f = own(structured.mean)
  const linear = own(mode.weights)
  const byExample = rows.sizes !== undefined && isSum(structured.curvature) && outputs <= MOST_COVARIANCES
    ? withoutEachExample(structured, structured.curvature, { ...rows, sizes: rows.sizes }, linear, options)
    : undefined
  if (options.likelihood === 'regression') {
    const covariance = structured.lastLayerVariance(rows.features, examples, 'covariance')
    return regressionAnswer(state, data, { rows, f, linear, covariance, byExample }, reason, noise)
  }
  const { probabilities, variances, posterior, sets } = outputs > MOST_COVARIANCES
    ? scoresByVariance(state, rows, linear)
    : scoresByCovariance(state, rows, f, linear, byExample)
  const gate = lastLayerGate(rows, f, probabilities, errorRate)
  const { varianceScale, ratio, networkNll, leftOutNll, leaveOneOutNll } = gate
  const choice: Choice = {
    ...answerOf(gate),
    subset: 'last_layer',
    structure: structured.structure,
    reason,
    explanation: explainLastLayerGate(gate, examples),
    delta: outputDeltas(state),
    sigmaNoise: undefined,
    r: ratio,
    s: varianceScale,
    networkNll,
    leaveOneOutNll: leftOutNll,
    leaveOneOut: leaveOneOutNll,
    rows: examples,
  }
  return { ...withScores(state, posterior(gate)), tuned: 'auto', choice, trainingVariances: variances,
    leftOut: sets(gate) }
}

/** What the rows say, each predicted from all the others and with itself. */
interface RowScores {
  /** Left out, with the variance times a factor: N x C. */
  probabilities(scale: number): Float64Array
  /** Mean over the outputs of each row's leave-one-out variance, ascending. */
  readonly variances: Float64Array
  /** The answer's scores on the rows; undefined where their covariances are not affordable. */
  posterior(gate: Gate): TrainingScores | undefined
  /** Scores of sets of classes; undefined likewise. */
  sets(gate: Gate): ReturnType<typeof leftOutProbabilities>
}

function scoresByCovariance({ structured }: PosteriorState, rows: SampledRows, f: Float64Array, linear: Float64Array,
  byExample: LeftOut | undefined): RowScores {
  const { examples, outputs, likelihood, labels } = rows
  const covariance = structured.lastLayerVariance(rows.features, examples, 'covariance')
  const leftOut = byExample ?? leaveOneOut(rows, linear, covariance)
  return {
    probabilities: scale =>
      scaledProbabilities(differenceLink(likelihood, outputs), likelihood, { f: leftOut.f, variance: leftOut.covariance,
        examples, outputs }, scale),
    variances: sortedMeanVariances(leftOut.covariance, examples, outputs),
    posterior: gate => {
      const { probabilities } = mixture(likelihood, gate, { f, linear, covariance, kind: 'covariance', examples,
        outputs })
      return classScores(likelihood, probabilities, labels, outputs)
    },
    sets: gate => leftOutProbabilities(rows, leftOut, gate),
  }
}

/**
 * With many classes the probability of each is small, so that Lambda and the covariance of the outputs are nearly
 * diagonal: every output is left out on its own, s / (1 - lambda s), where whole matrices would cost C^3 a row.
 */
function scoresByVariance(state: PosteriorState, rows: SampledRows, linear: Float64Array): RowScores {
  const { examples, outputs, likelihood } = rows
  const [width, targets] = [rows.features.length / examples, rows.labels.length / examples]
  const f = new Float64Array(examples * outputs)
  const variance = new Float64Array(examples * outputs)
  for (let from = 0; from < examples; from += ROWS_AT_ONCE) {
    const to = Math.min(examples, from + ROWS_AT_ONCE)
    const some = { ...rows, examples: to - from, features: rows.features.subarray(from * width, to * width),
      labels: rows.labels.subarray(from * targets, to * targets) }
    const own = leftOutByVariance(state, some, linear.subarray(from * outputs, to * outputs))
    f.set(own.f, from * outputs)
    variance.set(own.variance, from * outputs)
  }
  const counted = likelihood.name === 'classification' ? zeroSumOfIndependent(variance, outputs) : variance
  const means = new Float64Array(examples)
  for (let i = 0; i < variance.length; i++) means[Math.floor(i / outputs)] += variance[i] / outputs
  return {
    probabilities: scale =>
      predictiveProbabilities('probit', likelihood, { f, variance: counted.map(value => scale * value), examples,
        outputs }),
    variances: means.sort(),
    posterior: () => undefined,
    sets: () => undefined,
  }
}

/** Outputs and variances of some rows, each left out. */
function leftOutByVariance({ structured }: PosteriorState, rows: SampledRows,
  linear: Float64Array): { readonly f: Float64Array, readonly variance: Float64Array } {
  const { examples, outputs, likelihood, labels } = rows
  const own = structured.lastLayerVariance(rows.features, examples, 'diagonal')
  const lambda = likelihood.hessianDiagonal(linear, examples, outputs)
  const residual = likelihood.residual(linear, labels, examples, outputs)
  const variance = own.map((value, i) => value / Math.max(SMALLEST_REST, 1 - lambda[i] * value))
  return { f: linear.map((value, i) => value + variance[i] * residual[i]), variance }
}
