/**
 * @file Several posteriors that predict as one, sum_k w_k p_k: those of several networks, or of snapshots of one
 * (Eschenhagen, Daxberger, Hennig and Kristiadi 2021, "Mixtures of Laplace approximations").
 */
import type { PredictOptions } from '../answer/posterior-options.js'
import type { Prediction } from '../answer/prediction.js'
import { openProbability } from '../answer/predictive-intervals.js'
import type { SampleOptions } from '../answer/sampling.js'
import type { WorkOptions } from '../budget/progress.js'
import { demand, demandFields, listOf } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { flag, knownOptions } from '../errors/suggest.js'
import { hasNumbers } from '../options/likelihood-kinds.js'
import { whole } from '../options/option-values.js'
import type { Likelihood } from '../options/words.js'
import { entropy } from '../prediction/decomposition.js'
import { mixtureQuantile } from '../prediction/mixture-quantiles.js'
import type { Examples } from '../tensor/examples.js'
import { randomGenerator } from '../tensor/random.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import type { LaplacePosterior } from './laplace-posterior.js'

/** The options of a mixture's prediction. */
export type MixtureOptions = Pick<PredictOptions,
  'link' | 'predictive' | 'samples' | 'seed' | 'uncertainty' | 'level' | 'quantiles' | 'noise'>

const KNOWN: readonly (keyof MixtureOptions)[] = ['link', 'predictive', 'samples', 'seed', 'uncertainty', 'level',
  'quantiles', 'noise']

/** A mixture of posteriors of one likelihood and as many outputs. It never changes. */
export class Mixture {
  readonly members: readonly LaplacePosterior[]
  /** w, one for each member; they sum to 1. */
  readonly weights: Float64Array

  /**
   * @param weights one for each posterior, not negative, scaled to sum to 1; equal ones by default
   * @throws OptionError BAD_OPTION for no posterior and wrong weights, BAD_COMBINATION for different likelihoods
   */
  constructor(members: readonly LaplacePosterior[], weights?: ArrayLike<number>) {
    demand(Array.isArray(members), 'members', 'a list of fitted posteriors', members)
    for (const member of members) demandFields('A member', 'a fitted posterior', member, ['likelihood', 'outputs'])
    if (weights !== undefined) listOf('weights', weights)
    this.members = [...members]
    this.weights = shares(weights, members.length)
    const kinds = new Set(members.map(({ likelihood, outputs }) => `${likelihood} of ${outputs} outputs`))
    if (kinds.size === 1) return
    throw kinds.size === 0
      ? new OptionError('BAD_OPTION', 'A mixture needs at least one posterior.', { option: 'members' })
      : new OptionError('BAD_COMBINATION',
        `The posteriors of a mixture have one likelihood and as many outputs; got ${[...kinds].sort().join(', ')}.`, {
        option: 'members',
      })
  }

  get likelihood(): Likelihood {
    return this.members[0].likelihood
  }

  /**
   * Predictions for N rows. Probabilities are the weighted means; their aleatoric part is the mean of the members', the
   * epistemic part what the entropy of the mixture has beyond it. Means and variances are the moments of the mixture:
   * the members' disagreement is part of the (epistemic) variance. Intervals and quantiles of a regression are those of
   * the mixture's distribution, sum_k w_k N(mean_k, variance_k): of new observations, or of the function (`noise`
   * false).
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  async predict(x: Examples, options: MixtureOptions = {}, work: WorkOptions = {}): Promise<Prediction> {
    knownOptions('predict of a mixture', options, KNOWN)
    const { level, quantiles, noise, ...others } = options
    flag('noise', noise, true)
    const request = this.intervals({ level, quantiles, noise })
    const own: Prediction[] = []
    for (const member of this.members) own.push(await member.predict(x, others, work))
    const mixed = mixedPrediction(this.likelihood, own, this.weights, options.uncertainty !== false)
    return request === undefined ? mixed : { ...mixed, ...mixedIntervals(own, this.weights, request) }
  }

  /** Draws of the raw outputs, count x N x C: each of a member drawn by its weight. @throws as `predict` */
  functionalSamples(x: Examples, count: number, options: SampleOptions = {}, work: WorkOptions = {}): Promise<Tensor> {
    return this.drawn(count, options, (member, own) => member.functionalSamples(x, own, options, work))
  }

  /** Draws of predictions, count x N x C: probabilities, or means. @throws as `predict` */
  predictiveSamples(x: Examples, count: number, options: SampleOptions = {}, work: WorkOptions = {}): Promise<Tensor> {
    return this.drawn(count, options, (member, own) => member.predictiveSamples(x, own, options, work))
  }

  private async drawn(count: number, { seed }: SampleOptions,
    draw: (member: LaplacePosterior, own: number) => Promise<Tensor>): Promise<Tensor> {
    const random = randomGenerator(seed ?? this.members[0].seed)
    const chosen = Array.from({ length: whole('count', count, 1) }, () => memberAt(this.weights, random.uniform()))
    const parts = await Promise.all(this.members.map((member, k) => {
      const own = chosen.filter(other => other === k).length
      return own === 0 ? undefined : draw(member, own)
    }))
    const [first] = parts.flatMap(part => (part === undefined ? [] : [part]))
    const width = first.data.length / first.shape[0]
    const data = new Float64Array(count * width)
    const taken = parts.map(() => 0)
    chosen.forEach((k, s) => {
      const from = taken[k]++ * width
      data.set(Float64Array.from(parts[k]?.data.subarray(from, from + width) ?? []), s * width)
    })
    return float64([count, ...first.shape.slice(1)], data)
  }

  /** What is asked of intervals. @throws OptionError BAD_OPTION, BAD_COMBINATION for what has none */
  private intervals({ level, quantiles, noise }: Pick<MixtureOptions, 'level' | 'quantiles' | 'noise'>):
    | MixedIntervals
    | undefined {
    const observed = flag('noise', noise, true)
    if (level === undefined && quantiles === undefined) return undefined
    if (this.likelihood === 'regression') {
      const wanted = typeof quantiles === 'number' ? [quantiles] : Array.from(quantiles ?? [])
      return { level: level === undefined ? undefined : openProbability('level', level), noise: observed,
        quantiles: wanted.map(p => openProbability('quantiles', p)) }
    }
    throw new OptionError('BAD_COMBINATION', hasNumbers(this.likelihood)
      ? `Intervals of a mixture are of regressions, whose members are Gaussian; of likelihood '${this.likelihood}' `
        + 'take draws, or predict by one posterior.'
      : 'Sets of classes are of one posterior with a calibration (conformalize); a mixture has probabilities.', {
      option: level === undefined ? 'quantiles' : 'level',
    })
  }
}

/** What is asked of the intervals of a mixture. */
interface MixedIntervals {
  readonly level: number | undefined
  readonly quantiles: readonly number[]
  readonly noise: boolean
}

/** Of the distributions that the members' means and variances are those of. */
function mixedIntervals(own: readonly Prediction[], weights: Float64Array,
  { level, quantiles, noise }: MixedIntervals): Pick<Prediction,
  'interval' | 'level' | 'lower' | 'upper' | 'quantiles'> {
  const [{ mean: { shape, data: { length } } }] = own
  const spreads = own.map(({ variance, predictiveVariance }) => (noise ? predictiveVariance ?? variance : variance))
  const at = (p: number): Float64Array =>
    Float64Array.from({ length }, (_, i) =>
      mixtureQuantile(p, own.map(({ mean }) =>
        Number(mean.data[i])
      ), spreads.map(({ data }) => Math.sqrt(Number(data[i]))), weights))
  const columns = quantiles.map(at)
  return {
    interval: noise ? 'gaussian' : 'credible',
    ...(level === undefined
      ? {}
      : { level, lower: float64(shape, at((1 - level) / 2)), upper: float64(shape, at((1 + level) / 2)) }),
    ...(columns.length === 0 ?
      {} :
      {
        quantiles: float64([...shape, columns.length],
          Float64Array.from({ length: length * columns.length },
            (_, i) => columns[i % columns.length][Math.floor(i / columns.length)])),
      }),
  }
}

/** The member whose part of 0 to 1 has a number. */
function memberAt(weights: Float64Array, share: number): number {
  let sum = 0
  for (let k = 0; k < weights.length; k++) {
    sum += weights[k]
    if (share < sum) return k
  }
  return weights.length - 1
}

/** sum_k w_k p_k of predictions of the same rows. */
function mixedPrediction(likelihood: Likelihood, own: readonly Prediction[], weights: Float64Array,
  uncertainty: boolean): Prediction {
  const mean = (of: (prediction: Prediction) => Tensor | undefined): Tensor | undefined =>
    weightedMean(own.map(of), weights)
  const moments = (centre: (prediction: Prediction) => Tensor | undefined,
    spread: (prediction: Prediction) => Tensor | undefined): { centre: Tensor, spread: Tensor } | undefined => {
    const middle = mean(centre)
    const within = mean(spread)
    if (middle === undefined || within === undefined) return undefined
    const total = Float64Array.from(within.data)
    own.forEach((prediction, k) => {
      const { data } = centre(prediction) ?? middle
      for (let i = 0; i < total.length; i++) {
        total[i] += weights[k] * (Number(data[i]) - Number(middle.data[i])) ** 2
      }
    })
    return { centre: middle, spread: { ...within, data: total } }
  }
  const [first] = own
  const outputs = moments(({ mean: f }) => f, ({ variance }) => variance)
  const shown = { mean: outputs?.centre ?? first.mean, variance: outputs?.spread ?? first.variance,
    ...(first.seed === undefined ? {} : { seed: first.seed }), notes: [...new Set(own.flatMap(({ notes }) => notes))] }
  const aleatoric = uncertainty ? mean(prediction => prediction.aleatoric) : undefined
  if (hasNumbers(likelihood)) {
    const observed = moments(({ predictiveMean, mean: f }) => predictiveMean ?? f, ({ predictiveVariance }) =>
      predictiveVariance)
    if (observed === undefined) return shown
    return { ...shown, predictiveVariance: observed.spread,
      ...(first.predictiveMean === undefined ? {} : { predictiveMean: observed.centre }),
      ...(aleatoric === undefined ? {} : { aleatoric, epistemic: rest(observed.spread, aleatoric) }) }
  }
  const probabilities = mean(prediction => prediction.probabilities)
  if (probabilities === undefined) return shown
  return { ...shown, probabilities, ...(aleatoric === undefined
    ? {}
    : { aleatoric, epistemic: rest(totalEntropy(likelihood, probabilities, aleatoric), aleatoric) }) }
}

/** The entropy of the classes of every term, or of every label, in the shape of the aleatoric part. */
function totalEntropy(likelihood: Likelihood, probabilities: Tensor, { shape }: Tensor): Tensor {
  const p = Float64Array.from(probabilities.data)
  if (likelihood !== 'classification') return float64(shape, p.map(value => entropy([value, 1 - value])))
  const classes = p.length / shape.reduce((a, b) => a * b, 1)
  return float64(shape,
    Float64Array.from({ length: p.length / classes }, (_, n) => entropy(p.subarray(n * classes, (n + 1) * classes))))
}

/** What a part leaves; below 0 is rounding, and draws. */
function rest(total: Tensor, part: Tensor): Tensor {
  return float64(total.shape, Float64Array.from(total.data, (value, i) => Math.max(0, value - Number(part.data[i]))))
}

function weightedMean(values: readonly (Tensor | undefined)[], weights: Float64Array): Tensor | undefined {
  const present = values.flatMap(value => (value === undefined ? [] : [value]))
  if (present.length < values.length) return undefined
  const sum = new Float64Array(present[0].data.length)
  present.forEach(({ data }, k) => {
    for (let i = 0; i < sum.length; i++) sum[i] += weights[k] * Number(data[i])
  })
  return float64(present[0].shape, sum)
}

/** @throws OptionError BAD_OPTION */
function shares(weights: ArrayLike<number> | undefined, count: number): Float64Array {
  const values = weights === undefined ? new Float64Array(count).fill(1) : Float64Array.from(weights)
  const total = values.reduce((a, b) => a + b, 0)
  if (count === 0 || values.length === count && values.every(value => value >= 0) && total > 0 && total < Infinity) {
    return values.map(value => value / total)
  }
  throw new OptionError('BAD_OPTION',
    `The weights of a mixture are one number for each of its ${count} posteriors, not negative and not all 0.`, {
    option: 'weights',
  })
}
