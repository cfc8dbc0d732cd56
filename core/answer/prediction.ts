/** @file What a prediction consists of, and how it is put together. */
import type { WorkOptions } from '../budget/progress.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { Observation, ObservationMoments } from '../likelihood/observation.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Link } from '../options/words.js'
import { narrowed, type VarianceKind } from '../posterior/variance-kind.js'
import type { Answer } from '../prediction/answer.js'
import { decompose, entropy, type UncertaintyParts } from '../prediction/decomposition.js'
import { LINK_SAMPLES, linkNeeds, predictiveProbabilities } from '../prediction/link.js'
import { type Mixture, mixture } from '../prediction/mixture.js'
import { monteCarloNeeds } from '../prediction/monte-carlo.js'
import { noveltyOf } from '../prediction/novelty.js'
import type { Examples } from '../tensor/examples.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'
import type { IntervalKind } from './interval-kind.js'
import { gaussianMean, jointGaussian, type OutputGaussian, outputGaussian,
  type PredictionContext } from './output-gaussian.js'
import { outputSamples } from './sampling.js'

/** A prediction for N rows. */
export interface Prediction {
  /** Outputs of the network, N x C: logits, means, means and log variances, or log rates. */
  readonly mean: Tensor
  /** Their variances, N x C, without observation noise. */
  readonly variance: Tensor
  /** N x C (binary: N x 1); absent for likelihoods of numbers. */
  readonly probabilities?: Tensor
  /**
   * Classification: N, expected entropy in nats; binary and multilabel: N x C; regression: N x C, sigma^2; poisson,
   * heteroscedastic: N x K, the expected variance of a new observation. Worked out when it is first read.
   */
  readonly aleatoric?: Tensor
  /**
   * Classification: N, mutual information in nats; binary and multilabel: N x C; regression, poisson, heteroscedastic:
   * N x K, the variance of the mean of a new observation.
   */
  readonly epistemic?: Tensor
  /** Poisson (rates), heteroscedastic: the mean of a new observation, N x K; of regression it is `mean`. */
  readonly predictiveMean?: Tensor
  /**
   * The variance of a new observation. Regression: variance + sigma^2, N x C; poisson, heteroscedastic: aleatoric +
   * epistemic, N x K.
   */
  readonly predictiveVariance?: Tensor
  /** N x C x C, or (N C) x (N C) with `joint`; when asked for. */
  readonly covariance?: Tensor
  /** The covariance of a new observation, where the noises of a regression are correlated; beside `covariance`. */
  readonly predictiveCovariance?: Tensor
  /**
   * How unlike the training rows a row is, N: the share of training rows whose leave-one-out variance is at least as
   * large as the row's (a p-value: small means unlike). Where the posterior was fitted by `auto` or `validated`.
   */
  readonly novelty?: Tensor
  /** What `novelty` is the p-value of: the mean variance of the outputs, N. */
  readonly noveltyScore?: Tensor
  /** The probability of intervals or sets; where a level was asked for. */
  readonly level?: number
  /**
   * Where the width of intervals, quantiles and sets comes from: `conformal` rows held out, with a guarantee; the
   * `jackknife` of the training rows, approximate; the `gaussian` predictive distribution, or that of counts
   * (`poisson`); or, without observation noise, the `credible` distribution of the function.
   */
  readonly interval?: IntervalKind
  /** Numbers, with a level: the ends of the intervals, N x K. */
  readonly lower?: Tensor
  readonly upper?: Tensor
  /** Classes, with a level: 1 for every class in the set, N x C (binary: N x 2). */
  readonly sets?: Tensor
  /** Numbers: N x K x Q, for the Q probabilities that were asked for. */
  readonly quantiles?: Tensor
  /** Of the draws, where there were any. */
  readonly seed?: number
  readonly notes: readonly string[]
}

/** What a prediction is asked for, with every default said. */
export interface PredictionRequest {
  readonly likelihood: LikelihoodModel
  /** Undefined: the answer's own where there is one, else probit. */
  readonly link: Link | undefined
  /** How network and linear model make the answer together; undefined: the posterior's mean and covariance alone. */
  readonly answer: Answer | undefined
  /** Leave-one-out variances of the training rows, ascending. */
  readonly trainingVariances: Float64Array | undefined
  /** sigma of every output, C. */
  readonly sigmaNoise: Float64Array
  /** The covariance of the noises, C x C, where they are correlated. */
  readonly noiseCovariance: Float64Array | undefined
  readonly seed: number
  readonly samples: number | undefined
  readonly joint: boolean
  readonly covariance: boolean
  readonly uncertainty: boolean
}

/** Draws of sampled weights, where none are asked for. */
const WEIGHT_SAMPLES = 100
/** Up to this many outputs the covariances for the decomposition cost little beside the variances, or the row sums. */
const FEW_OUTPUTS = 32
const FEW_SUMMED_OUTPUTS = 200

/** The numbers of a prediction, as plain data: what costs time and is not put off until somebody reads it. */
export type PredictionNumbers = GlmNumbers | DrawnNumbers

/** Of the linearised network. */
interface GlmNumbers extends Gaussian {
  readonly of: 'glm'
  /** The covariance of all rows together, where it is asked for. */
  readonly joint: Float64Array | undefined
  readonly probabilities: Float64Array | undefined
}

/** Of draws of the weights. */
interface DrawnNumbers {
  readonly of: 'draws'
  readonly examples: number
  readonly outputs: number
  readonly mean: Float64Array
  readonly variance: Float64Array
  readonly probabilities?: Float64Array
  /** The probabilities of each draw, count x N x C. */
  readonly drawn?: Float64Array
  readonly observed?: ObservationMoments
}

/** The prediction that is made of its numbers; its decomposition is worked out when it is first read. */
export function assembled(numbers: PredictionNumbers, request: PredictionRequest,
  notes: readonly string[]): Prediction {
  return numbers.of === 'glm' ? assembledGlm(numbers, request, notes) : assembledDraws(numbers, request, notes)
}

/**
 * The numbers of the linearised network's prediction.
 * @throws OptionError BAD_COMBINATION for a link that the likelihood does not have
 */
export async function glmNumbers(context: PredictionContext, x: Examples, request: PredictionRequest,
  work: WorkOptions): Promise<PredictionNumbers> {
  const { likelihood, joint } = request
  const { outputs } = context.evaluator.network
  const all = joint ? await jointGaussian(context, x, work) : undefined
  const kind = all === undefined ? varianceKind(request, outputs) : 'covariance'
  const own = all === undefined ? await outputGaussian(context, x, kind, work) : blocksOf(all, outputs)
  const gaussian: Gaussian = { ...own, kind, outputs, mean: gaussianMean(context, own),
    variances: narrowed(own.variance, kind, 'diagonal', outputs) }
  const probabilities = hasLogits(likelihood.name)
    ? mixtureOf(request, gaussian)?.probabilities ?? linkProbabilities(request, gaussian)
    : undefined
  return { of: 'glm', ...gaussian, joint: all?.variance, probabilities }
}

function assembledGlm(gaussian: GlmNumbers, request: PredictionRequest, notes: readonly string[]): Prediction {
  const { likelihood, sigmaNoise, seed } = request
  const { examples, outputs, kind, variance, variances, probabilities, joint } = gaussian
  const logits = hasLogits(likelihood.name)
  const decomposable = likelihood.outputsAlone !== true &&
    (kind === 'covariance' || monteCarloNeeds(likelihood) === 'diagonal' || !logits)
  const parts = (): UncertaintyParts =>
    mixtureOf(request, gaussian)?.parts(seed) ??
      decompose(likelihood, { f: gaussian.mean, examples, outputs,
        variance: monteCarloNeeds(likelihood) === 'covariance' ? variance : variances }, sigmaNoise, seed)
  const covariance = joint !== undefined ?
    float64([examples * outputs, examples * outputs], joint)
    : request.covariance
    ? float64([examples, outputs, outputs], variance)
    : undefined
  const f = likelihood.name === 'regression' ? gaussian.mean : gaussian.f
  return assemble({ f, variance: variances, examples, outputs, probabilities, covariance,
    parts: request.uncertainty && decomposable ? parts : undefined, request, notes,
    seeded: request.link === 'mc' || (request.uncertainty && logits) })
}

/** The Gaussian over the outputs of a batch. */
interface Gaussian extends OutputGaussian {
  readonly outputs: number
  /** What `variance` holds. */
  readonly kind: VarianceKind
  /** N x C. */
  readonly mean: Float64Array
  readonly variances: Float64Array
}

function linkProbabilities({ link = 'probit', likelihood, samples, seed }: PredictionRequest,
  { mean, variance, kind, examples, outputs }: Gaussian): Float64Array {
  const needs = linkNeeds(link, likelihood)
  const forLink = narrowed(variance, kind, needs === 'none' ? 'diagonal' : needs, outputs)
  return predictiveProbabilities(link, likelihood, { f: mean, variance: forLink, examples, outputs }, {
    samples: samples ?? LINK_SAMPLES,
    seed,
  })
}

/** The mixture of network and linear model, where there is such an answer. */
function mixtureOf({ answer, likelihood, link }: PredictionRequest,
  { f, linear, variance, kind, examples, outputs }: Gaussian): Mixture | undefined {
  if (link !== undefined || answer === undefined || !hasLogits(likelihood.name)) return undefined
  // Temperature scaling alone needs no linear model.
  if (linear === undefined && answer.linearWeight !== 0) return undefined
  return mixture(likelihood, answer, { f, linear: linear ?? f, covariance: variance, kind, examples, outputs })
}

/** What must be computed: for the link, for what was asked for, and for the decomposition where it is cheap. */
function varianceKind({ likelihood, link, answer, covariance, uncertainty }: PredictionRequest,
  outputs: number): VarianceKind {
  const needs = linkNeeds(link ?? answer?.link ?? 'probit', likelihood)
  const least = needs === 'none' ? 'diagonal' : needs
  const most = least === 'sums' ? FEW_SUMMED_OUTPUTS : FEW_OUTPUTS
  const decomposition = uncertainty && likelihood.name === 'classification' && outputs <= most
  return covariance || decomposition ? 'covariance' : least
}

/** The covariance of each example from that of all together. */
function blocksOf({ variance, examples, ...means }: OutputGaussian, outputs: number): OutputGaussian {
  const count = examples * outputs
  const blocks = new Float64Array(count * outputs)
  for (let i = 0; i < count; i++) {
    const from = i * count + Math.floor(i / outputs) * outputs
    blocks.set(variance.subarray(from, from + outputs), i * outputs)
  }
  return { ...means, examples, variance: blocks }
}

/** The numbers of a prediction with weights drawn from the posterior: averages over the draws. */
export async function drawnNumbers(context: PredictionContext, x: Examples, request: PredictionRequest,
  work: WorkOptions): Promise<PredictionNumbers> {
  const { likelihood, seed } = request
  const count = request.samples ?? WEIGHT_SAMPLES
  const samples = await outputSamples(context, x, count, seed, 'nn', work)
  const [, examples, outputs] = samples.shape
  const draws = toFloat64(samples)
  const numbers = { of: 'draws', examples, outputs, ...moments(draws, count, examples * outputs) } as const
  if (likelihood.outputsAlone === true || likelihood.name === 'regression') return numbers
  const { observation } = likelihood
  if (observation !== undefined) {
    return { ...numbers, observed: observedDraws(observation, draws, count, examples, outputs) }
  }
  const drawn = likelihood.inverseLink(draws, count * examples, outputs)
  return { ...numbers, drawn, probabilities: moments(drawn, count, examples * outputs).mean }
}

function assembledDraws(numbers: DrawnNumbers, request: PredictionRequest, notes: readonly string[]): Prediction {
  const { likelihood, sigmaNoise, seed } = request
  const { mean: f, variance, examples, outputs, observed, drawn, probabilities } = numbers
  const parts = (): UncertaintyParts => {
    if (observed !== undefined) return partsOf(observed)
    return drawn === undefined || probabilities === undefined
      ? decompose(likelihood, { f, variance, examples, outputs }, sigmaNoise, seed)
      : decomposeDraws(likelihood, drawn, probabilities, drawn.length / probabilities.length, examples, outputs)
  }
  return assemble({ f, variance, examples, outputs, probabilities, covariance: undefined,
    ...(observed === undefined ? {} : { observed }), request, notes, seeded: true,
    parts: request.uncertainty && likelihood.outputsAlone !== true ? parts : undefined })
}

/** Moments of a new observation over draws of the outputs, count x N x C. */
function observedDraws(observation: Observation, draws: Float64Array, count: number, examples: number,
  outputs: number): ObservationMoments {
  const means = observation.means(draws, count * examples, outputs)
  const size = means.length / count
  const { mean, variance: epistemic } = moments(means, count, size)
  return { mean, epistemic,
    aleatoric: moments(observation.variances(draws, count * examples, outputs), count, size).mean }
}

function partsOf({ aleatoric, epistemic }: ObservationMoments): UncertaintyParts {
  return { total: aleatoric.map((value, i) => value + epistemic[i]), aleatoric, epistemic }
}

/** Mean and variance (divided by count - 1) over draws, count x size. */
function moments(draws: Float64Array, count: number, size: number): { mean: Float64Array, variance: Float64Array } {
  const mean = new Float64Array(size)
  const variance = new Float64Array(size)
  for (let i = 0; i < draws.length; i++) mean[i % size] += draws[i] / count
  for (let i = 0; i < draws.length; i++) variance[i % size] += (draws[i] - mean[i % size]) ** 2 / Math.max(1, count - 1)
  return { mean, variance }
}

function decomposeDraws(likelihood: LikelihoodModel, p: Float64Array, mean: Float64Array, count: number,
  examples: number, outputs: number): UncertaintyParts {
  const classes = likelihood.name === 'classification'
  const cells = classes ? examples : examples * outputs
  const entropyOf = (values: Float64Array, cell: number): number => (classes
    ? entropy(values.subarray(cell * outputs, (cell + 1) * outputs))
    : entropy([values[cell], 1 - values[cell]]))
  const total = Float64Array.from({ length: cells }, (_, cell) => entropyOf(mean, cell))
  const aleatoric = new Float64Array(cells)
  for (let s = 0; s < count; s++) {
    const draw = p.subarray(s * examples * outputs, (s + 1) * examples * outputs)
    for (let cell = 0; cell < cells; cell++) aleatoric[cell] += entropyOf(draw, cell) / count
  }
  return { total, aleatoric, epistemic: total.map((value, i) => Math.max(0, value - aleatoric[i])) }
}

interface Pieces {
  readonly f: Float64Array
  readonly variance: Float64Array
  readonly examples: number
  readonly outputs: number
  readonly probabilities: Float64Array | undefined
  readonly covariance: Tensor | undefined
  /** Of a new observation, where it was worked out by draws. */
  readonly observed?: ObservationMoments
  /** Works out the decomposition; it costs more than the prediction, so it waits until somebody reads it. */
  readonly parts: (() => UncertaintyParts) | undefined
  readonly request: PredictionRequest
  readonly notes: readonly string[]
  readonly seeded: boolean
}

function assemble(
  { f, variance, examples, outputs, probabilities, covariance, observed, parts, request, notes, seeded }: Pieces,
): Prediction {
  const rows = [examples, outputs]
  const { likelihood, sigmaNoise, seed } = request
  const ofObservation = observed ?? likelihood.observation?.moments(f, variance, examples, outputs)
  const targets = [examples, likelihood.observation === undefined ? outputs : likelihood.targetWidth(outputs)]
  let known: UncertaintyParts | undefined
  const read = (key: 'aleatoric' | 'epistemic', work: () => UncertaintyParts): Tensor => {
    known ??= work()
    return float64(likelihood.name === 'classification' ? [examples] : targets, known[key])
  }
  const prediction: Prediction = {
    mean: float64(rows, f),
    variance: float64(rows, variance),
    ...(probabilities === undefined ? {} : { probabilities: float64(rows, probabilities) }),
    ...(likelihood.name === 'regression'
      ? { predictiveVariance: float64(rows, variance.map((v, i) => v + sigmaNoise[i % outputs] ** 2)) }
      : {}),
    ...(ofObservation === undefined ? {} : observedFields(ofObservation, targets)),
    ...noveltyFields(variance, examples, request),
    ...(covariance === undefined ? {} : { covariance, ...withNoise(covariance, request) }),
    ...(seeded ? { seed } : {}),
    notes,
  }
  if (parts === undefined) return prediction
  return Object.defineProperties(prediction, {
    aleatoric: { enumerable: true, get: () => read('aleatoric', parts) },
    epistemic: { enumerable: true, get: () => read('epistemic', parts) },
  })
}

/** The covariance of a new observation, N x C x C. */
function withNoise({ shape, data }: Tensor,
  { noiseCovariance, joint }: PredictionRequest): Pick<Prediction, 'predictiveCovariance'> {
  if (noiseCovariance === undefined || joint) return {}
  return {
    predictiveCovariance: float64(shape,
      Float64Array.from(data, (value: number, i: number) => value + noiseCovariance[i % noiseCovariance.length])),
  }
}

/** Mean and variance of a new observation, N x K. */
function observedFields({ mean, aleatoric, epistemic }: ObservationMoments,
  shape: readonly number[]): Pick<Prediction, 'predictiveMean' | 'predictiveVariance'> {
  return { predictiveMean: float64(shape, mean),
    predictiveVariance: float64(shape, aleatoric.map((value, i) => value + epistemic[i])) }
}

/** The score of every row, and its p-value among the training rows' scores, N. */
function noveltyFields(variance: Float64Array, examples: number,
  { trainingVariances, likelihood, sigmaNoise }: PredictionRequest): Pick<Prediction, 'novelty' | 'noveltyScore'> {
  if (trainingVariances === undefined) return {}
  const scale = likelihood.name === 'regression' ? sigmaNoise : undefined
  const { score, pValue } = noveltyOf(variance, examples, trainingVariances, scale)
  return { novelty: float64([examples], pValue), noveltyScore: float64([examples], score) }
}
