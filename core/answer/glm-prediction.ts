/** @file The prediction of the linearised network: a Gaussian over the outputs, and what link and answer make of it. */
import type { WorkOptions } from '../budget/progress.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { narrowed, type VarianceKind } from '../posterior/variance-kind.js'
import { decompose, type UncertaintyParts } from '../prediction/decomposition.js'
import { LINK_SAMPLES, linkNeeds, predictiveProbabilities } from '../prediction/link.js'
import { type Mixture, mixture } from '../prediction/mixture.js'
import { monteCarloNeeds } from '../prediction/monte-carlo.js'
import type { Examples } from '../tensor/examples.js'
import { float64 } from '../tensor/tensor.js'
import { assemble } from './assemble.js'
import { gaussianMean, jointGaussian, type OutputGaussian, outputGaussian,
  type PredictionContext } from './output-gaussian.js'
import type { Prediction, PredictionRequest } from './prediction.js'

/** Up to this many outputs the covariances for the decomposition cost little beside the variances, or the row sums. */
const FEW_OUTPUTS = 32
const FEW_SUMMED_OUTPUTS = 200

/** Its numbers, as plain data. */
export interface GlmNumbers extends Gaussian {
  readonly of: 'glm'
  /** The covariance of all rows together, where it is asked for. */
  readonly joint: Float64Array | undefined
  readonly probabilities: Float64Array | undefined
}

/**
 * The numbers of the linearised network's prediction.
 * @throws OptionError BAD_COMBINATION for a link that the likelihood does not have
 */
export async function glmNumbers(context: PredictionContext, x: Examples, request: PredictionRequest,
  work: WorkOptions): Promise<GlmNumbers> {
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

/** The prediction that is made of the numbers. */
export function assembledGlm(gaussian: GlmNumbers, request: PredictionRequest, notes: readonly string[]): Prediction {
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
