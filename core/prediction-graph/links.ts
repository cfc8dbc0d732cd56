/** @file The links as nodes, from the Gaussian over outputs to probabilities: the formulas of prediction/. */
import { OptionError } from '../errors/errors.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { Link } from '../options/words.js'
import { randomGenerator } from '../tensor/random.js'
import type { Formulas } from './formulas.js'
import { asNetwork, type GraphPrecisions } from './graph-operations.js'
import type { OutputVariance } from './output-variance.js'

/** Outputs of N rows with their covariances, float64. */
export interface GaussianValues {
  readonly likelihood: LikelihoodModel
  /** C. */
  readonly outputs: number
  /** N x C. */
  readonly mean: string
  readonly variance: OutputVariance
}

/** The draws of link mc. */
export interface Draws {
  readonly samples: number
  readonly seed: number
}

/** Probabilities of logits. */
export function inverseLink(f: Formulas, likelihood: LikelihoodModel, logits: string): string {
  return likelihood.name === 'classification' ? f.softmax(logits) : f.apply('Sigmoid', logits)
}

/**
 * Predictive probabilities, N x C, in the network's precision. Links in which nothing cancels are worked out in it, the
 * others in float64.
 */
export function linkValues(precisions: GraphPrecisions, link: Link, gaussian: GaussianValues, draws: Draws): string {
  const { likelihood, mean, variance } = gaussian
  const own = (name: string): string => asNetwork(precisions, name)
  const shrunkBy = (variances: string): string =>
    shrunk(precisions.network, { ...gaussian, mean: own(mean) }, own(variances))
  if (link === 'map') return inverseLink(precisions.network, likelihood, own(mean))
  if (link === 'probit' || (likelihood.name !== 'classification' && link !== 'mc')) return shrunkBy(variance.variance())
  if (link === 'zero_sum') return shrunkBy(variance.centred())
  return own(doubleValues(precisions.double, link, gaussian, draws))
}

/** The links that sum what cancels, in float64. */
function doubleValues(f: Formulas, link: Exclude<Link, 'map' | 'probit' | 'zero_sum'>, gaussian: GaussianValues,
  draws: Draws): string {
  const { variance } = gaussian
  switch (link) {
    case 'mc':
      return drawnProbabilities(f, gaussian, draws).probabilities
    case 'mean_field_1':
      return pairwise(f, gaussian, sumOfPairs(f, variance.variance()))
    case 'mean_field_2':
      return pairwise(f, gaussian, differences(f, variance))
    case 'pairwise':
      return normalised(f, pairwise(f, gaussian, differences(f, variance)))
    case 'bridge':
    case 'bridge_norm':
      return bridge(f, gaussian, link === 'bridge_norm')
  }
}

/** The inverse link of f / sqrt(1 + pi/8 v). */
function shrunk(f: Formulas, { likelihood, mean }: GaussianValues, variances: string): string {
  return inverseLink(f, likelihood, f.div(mean, spread(f, variances)))
}

/** sqrt(1 + pi/8 v). */
function spread(f: Formulas, variances: string): string {
  return f.apply('Sqrt', f.add(f.mul(variances, Math.PI / 8), 1))
}

/** v_c + v_d, N x C x C. */
function sumOfPairs(f: Formulas, variances: string): string {
  return f.add(f.unsqueeze(variances, [2]), f.unsqueeze(variances, [1]))
}

/** The variances of f_c - f_d, N x C x C. */
function differences(f: Formulas, variance: OutputVariance): string {
  return f.max(f.sub(sumOfPairs(f, variance.variance()), f.mul(variance.covariance(), 2)), 0)
}

/** p_c = 1 / sum_d exp((f_d - f_c) / sqrt(1 + pi/8 s_cd)). */
function pairwise(f: Formulas, { mean }: GaussianValues, spreads: string): string {
  const difference = f.sub(f.unsqueeze(mean, [1]), f.unsqueeze(mean, [2]))
  return f.div(1, f.reduce('ReduceSum', f.apply('Exp', f.div(difference, spread(f, spreads))), [2]))
}

function normalised(f: Formulas, values: string): string {
  return f.div(values, f.reduce('ReduceSum', values, [1], true))
}

/** The Laplace bridge: see prediction/bridge.ts. */
function bridge(f: Formulas, { outputs, mean, variance }: GaussianValues, scaled: boolean): string {
  const sums = variance.rowSums()
  const total = f.reduce('ReduceSum', sums, [1], true)
  const common = f.div(f.reduce('ReduceSum', mean, [1], true), total)
  const centred = f.sub(mean, f.mul(sums, common))
  const own = f.sub(variance.variance(), f.div(f.mul(sums, sums), total))
  const scale = scaled ? f.div(f.reduce('ReduceMean', own, [1], true), Math.sqrt(outputs / 2)) : undefined
  const mu = scale === undefined ? centred : f.div(centred, f.apply('Sqrt', scale))
  const S = scale === undefined ? own : f.div(own, scale)
  const low = f.reduce('ReduceMin', mu, [1], true)
  const high = f.reduce('ReduceMax', mu, [1], true)
  const inverseSum = f.reduce('ReduceSum', f.apply('Exp', f.sub(low, mu)), [1], true)
  const first = f.mul(f.apply('Exp', f.sub(low, high)), 1 - 2 / outputs)
  const second = f.mul(f.div(f.apply('Exp', f.sub(mu, high)), outputs * outputs), inverseSum)
  return normalised(f, f.div(f.add(first, second), S))
}

/** Averages over stored draws. */
export interface DrawnProbabilities {
  /** N x C. */
  readonly probabilities: string
  /** In nats: N x 1 for classification, else N x C. */
  readonly expectedEntropy: string
}

/** More outputs than this make a graph of too many nodes: their root is taken column by column. */
const MOST_ROOT_OUTPUTS = 64

/**
 * Averages of probabilities and of their entropies over draws of N(f, S) that are constants of the graph: those of
 * prediction/monte-carlo.ts.
 * @throws OptionError BAD_COMBINATION for more than 64 classes
 */
export function drawnProbabilities(f: Formulas, { likelihood, outputs, mean, variance }: GaussianValues,
  { samples, seed }: Draws): DrawnProbabilities {
  const classes = likelihood.name === 'classification'
  if (classes && outputs > MOST_ROOT_OUTPUTS) {
    throw new OptionError('BAD_COMBINATION',
      `Draws of ${outputs} correlated outputs make too large a graph; the most is ${MOST_ROOT_OUTPUTS}. Ask for ` +
        'another link, for example zero_sum, and leave out aleatoric and epistemic.', { option: 'link', outputs,
      limit: MOST_ROOT_OUTPUTS })
  }
  const normals = f.matrix(randomGenerator(seed).fillNormal(new Float64Array(samples * outputs)), [samples, outputs])
  const noise = classes
    ? f.matmul(normals, f.transpose(semidefiniteRoot(f, variance.covariance(), outputs), [0, 2, 1]))
    : f.mul(normals, f.unsqueeze(f.apply('Sqrt', f.max(variance.variance(), 0)), [1]))
  const logits = f.add(f.unsqueeze(mean, [1]), noise)
  const p = inverseLink(f, likelihood, logits)
  const average = (values: string): string => f.reduce('ReduceMean', values, [1])
  return { probabilities: average(p), expectedEntropy: average(entropies(f, likelihood, p)) }
}

/** The least number that a logarithm is taken of. */
const TINY = 1e-300

/** Entropy in nats of every distribution, its last axis one element; of labels, of every probability. */
export function entropies(f: Formulas, likelihood: LikelihoodModel, p: string): string {
  const part = (q: string): string => f.mul(q, f.apply('Log', f.max(q, TINY)))
  if (likelihood.name !== 'classification') return f.apply('Neg', f.add(part(p), part(f.sub(1, p))))
  return f.apply('Neg', f.reduce('ReduceSum', part(p), [-1], true))
}

/**
 * Lower-triangular L with L L' = S, N x C x C, column by column; a pivot that is zero up to rounding leaves zeros.
 */
function semidefiniteRoot(f: Formulas, covariance: string, outputs: number): string {
  const diagonal = f.mul(covariance,
    f.matrix(Float64Array.from({ length: outputs ** 2 }, (_, i) => Number(i % (outputs + 1) === 0)), [outputs,
      outputs]))
  const tolerance = f.mul(f.reduce('ReduceMax', diagonal, [1, 2], true), outputs * Number.EPSILON)
  let rest = covariance
  const columns = Array.from({ length: outputs }, (_, j) => {
    const column = f.gather(rest, [j], 2)
    const pivot = f.gather(column, [j], 1)
    const good = f.indicator('Greater', pivot, tolerance)
    // Where the pivot is no good it is 1, and the column is multiplied by 0.
    const safe = f.add(f.mul(pivot, good), f.sub(1, good))
    const below = f.matrix(Array.from({ length: outputs }, (_, i) => Number(i >= j)), [outputs, 1])
    const own = f.mul(f.mul(f.div(column, f.apply('Sqrt', safe)), good), below)
    if (j < outputs - 1) rest = f.sub(rest, f.matmul(own, f.transpose(own, [0, 2, 1])))
    return own
  })
  return f.concat(columns, 2)
}
