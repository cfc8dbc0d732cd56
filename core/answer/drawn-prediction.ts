/** @file The prediction with weights drawn from the posterior: averages over the draws. */
import type { WorkOptions } from '../budget/progress.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { Observation, ObservationMoments } from '../likelihood/observation.js'
import { decompose, entropy, type UncertaintyParts } from '../prediction/decomposition.js'
import type { Examples } from '../tensor/examples.js'
import { toFloat64 } from '../tensor/tensor.js'
import { assemble } from './assemble.js'
import type { PredictionContext } from './output-gaussian.js'
import type { Prediction, PredictionRequest } from './prediction.js'
import { outputSamples } from './sampling.js'

/** Draws of sampled weights, where none are asked for. */
const WEIGHT_SAMPLES = 100

/** Its numbers, as plain data. */
export interface DrawnNumbers {
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

/** The numbers of a prediction with weights drawn from the posterior: averages over the draws. */
export async function drawnNumbers(context: PredictionContext, x: Examples, request: PredictionRequest,
  work: WorkOptions): Promise<DrawnNumbers> {
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

/** The prediction that is made of the numbers. */
export function assembledDraws(numbers: DrawnNumbers, request: PredictionRequest,
  notes: readonly string[]): Prediction {
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

/** Entropies of the mean and of each draw: N, or N x C of labels on their own. */
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
