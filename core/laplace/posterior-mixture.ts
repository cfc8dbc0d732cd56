/**
 * @file Several posteriors that predict as one, sum_k w_k p_k: those of several networks, or of snapshots of one
 * (Eschenhagen, Daxberger, Hennig and Kristiadi 2021, "Mixtures of Laplace approximations").
 */
import { networkOutputs } from '../answer/functional-variance.js'
import type { InputGradients } from '../answer/input-gradients.js'
import { labelled, type LabelledTerms } from '../answer/labelled-terms.js'
import { mixedIntervals } from '../answer/mixed-intervals.js'
import { mixedCovariance, mixedPrediction, weightedMean } from '../answer/mixed-prediction.js'
import { COMPARE_OPTIONS, type CompareOptions, type ConformalOptions, PREDICT_OPTIONS,
  type PredictOptions } from '../answer/posterior-options.js'
import { intervalRequest, predictTerms, withIntervals } from '../answer/predict.js'
import { laidOut } from '../answer/prediction-layout.js'
import type { Prediction } from '../answer/prediction.js'
import type { SampleOptions } from '../answer/sampling.js'
import type { WorkOptions } from '../budget/progress.js'
import { type Calibration, type CalibrationSummary, summarizeCalibration } from '../conformal/calibration.js'
import { demand, demandFields, listOf } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { knownOptions } from '../errors/suggest.js'
import { choicesOf } from '../fit/reward-fit.js'
import { inOwnLayout, type OutputLayout } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { checkScored } from '../metrics/scored-prediction.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { whole } from '../options/option-values.js'
import type { Likelihood } from '../options/words.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { randomGenerator } from '../tensor/random.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'
import { answersOf, type Comparison, comparisonOf, pairedOutliers } from './compare.js'
import { heldOutCalibration, scoringOf } from './conformalize.js'
import { LaplacePosterior } from './laplace-posterior.js'
import type { Answers } from './outlier-reports.js'

/** A mixture of posteriors of one likelihood and as many outputs. It never changes. */
export class Mixture {
  readonly members: readonly LaplacePosterior[]
  /** w, one for each member; they sum to 1. */
  readonly weights: Float64Array
  /** For the library's own use. */
  readonly calibration: Calibration | undefined

  /**
   * @param weights one for each posterior, not negative, scaled to sum to 1; equal ones by default
   * @param calibration for the library's own use: it comes from `conformalize`
   * @throws OptionError BAD_OPTION for no posterior and wrong weights, BAD_COMBINATION for different likelihoods
   */
  constructor(members: readonly LaplacePosterior[], weights?: ArrayLike<number>, calibration?: Calibration) {
    demand(Array.isArray(members), 'members', 'a list of fitted posteriors', members)
    for (const member of members) demandFields('A member', 'a fitted posterior', member, ['likelihood', 'outputs'])
    if (weights !== undefined) listOf('weights', weights)
    this.members = [...members]
    this.weights = shares(weights, members.length)
    this.calibration = calibration
    const kinds = new Set(members.map(kindOf))
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
  /** How intervals and sets are calibrated; undefined where they are not. */
  get conformal(): CalibrationSummary | undefined {
    return this.calibration === undefined ? undefined : summarizeCalibration(this.calibration)
  }

  /**
   * Predictions for N rows (`mixedPrediction` says what each part is). Intervals and quantiles of numbers are those of
   * the mixture's distribution: of new observations, or of their mean (`noise` false); after `conformalize` those of
   * its calibration, and sets of classes.
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  async predict(x: Examples, options: PredictOptions = {}, work: WorkOptions = {}): Promise<Prediction> {
    return laidOut(await this.predictTerms(x, options, work), this.layout(x), this.likelihood, exampleCount(x))
  }

  /** Draws of the raw outputs, count x N x C: each of a member drawn by its weight. @throws as `predict` */
  functionalSamples(x: Examples, count: number, options: SampleOptions = {}, work: WorkOptions = {}): Promise<Tensor> {
    return this.drawn(count, options, (member, own) => member.functionalSamples(x, own, options, work))
  }

  /** Draws of predictions, count x N x C: probabilities, or means. @throws as `predict` */
  predictiveSamples(x: Examples, count: number, options: SampleOptions = {}, work: WorkOptions = {}): Promise<Tensor> {
    return this.drawn(count, options, (member, own) => member.predictiveSamples(x, own, options, work))
  }

  /** The mean of the outputs of the members' plain networks, N x C. @throws ShapeError, DataError, CancelledError */
  async forward(x: Examples, work: WorkOptions = {}): Promise<Tensor> {
    const own = await this.each(({ state, programs }) => networkOutputs(state, programs, x, work))
    return inOwnLayout(this.layout(x), weightedMean(own, this.weights) ?? own[0], [exampleCount(x)])
  }

  /** Means (N x C) and covariances of the mixture: N x C x C, or (N C) x (N C) with `joint`. @throws as `forward` */
  async functionalVariance(x: Examples, options: { readonly joint?: boolean | undefined } = {},
    work: WorkOptions = {}): Promise<{ mean: Tensor, covariance: Tensor }> {
    const own = await this.each(member => member.functionalVariance(x, options, work))
    const [first] = own
    return { mean: weightedMean(own.map(({ mean }) => mean), this.weights) ?? first.mean,
      covariance: mixedCovariance(own, ({ covariance }) => covariance, this.weights) ?? first.covariance }
  }

  /**
   * Gradients of mean, variance and (link probit) probabilities of the mixture with respect to each row's input: with
   * v = sum w_k (v_k + (m_k - m)^2) that of v is sum w_k (dv_k + 2 (m_k - m)(dm_k - dm)).
   * @throws OptionError BAD_COMBINATION; GraphError NOT_DIFFERENTIABLE; ShapeError, DataError, CancelledError
   */
  async inputGradients(x: Examples, work: WorkOptions = {}): Promise<InputGradients> {
    const { weights } = this
    const own = await this.each(member => member.inputGradients(x, work))
    const outputs = await this.each(({ state, programs }) => networkOutputs(state, programs, x, work))
    const slope = weightedMean(own.map(({ mean }) => mean), weights) ?? own[0].mean
    const centre = weightedMean(outputs, weights) ?? outputs[0]
    const width = slope.data.length / Math.max(1, centre.data.length)
    const variance = new Float64Array(slope.data.length)
    own.forEach((gradients, k) => {
      for (let i = 0; i < variance.length; i++) {
        const at = Math.floor(i / width)
        const distance = Number(outputs[k].data[at]) - Number(centre.data[at])
        const moved = Number(gradients.mean.data[i]) - Number(slope.data[i])
        variance[i] += weights[k] * (Number(gradients.variance.data[i]) + 2 * distance * moved)
      }
    })
    return { mean: slope, variance: float64(slope.shape, variance),
      probabilities: weightedMean(own.map(({ probabilities }) => probabilities), weights) }
  }

  /**
   * The mixture with its intervals or sets of classes calibrated by rows that neither the networks nor the fits have
   * seen: those of new rows hold the truth with the probability of their level (Vovk et al. 2005).
   * @throws OptionError for options, and where x and y are missing; ShapeError, DataError
   */
  async conformalize(x: Examples | undefined, y: Tensor | undefined, options: ConformalOptions = {},
    work: WorkOptions = {}): Promise<Mixture> {
    const scoring = scoringOf(this.likelihood, this.members[0].seed, options)
    if (x === undefined || y === undefined) {
      throw new OptionError('BAD_OPTION',
        'A mixture is calibrated by rows that its members have not seen: conformalize(x, y). Training rows predicted '
          + 'without themselves are of one posterior.', { option: x === undefined ? 'x' : 'y' })
    }
    const prediction = await this.predictTerms(x, { uncertainty: false }, work)
    return new Mixture(this.members, this.weights, heldOutCalibration(prediction, this.labelled(x, y), scoring))
  }

  /**
   * The members' networks together, with a temperature, and this mixture side by side on rows that none of them has
   * seen. The networks predict as a mixture too: the mean of their probabilities, or their means with their own noise.
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  async compare(x: Examples, y: Tensor, options: CompareOptions = {}, work: WorkOptions = {}): Promise<Comparison> {
    knownOptions('compare', options, COMPARE_OPTIONS)
    if (this.likelihood === 'reward_modeling') {
      const [{ pairs }] = this.members.map(({ state }) => choicesOf(state))
      const choices = this.members.map(({ state }) => new LaplacePosterior(choicesOf(state).choices))
      return new Mixture(choices, this.weights).compare(pairs(x), y, pairedOutliers(options, pairs), work)
    }
    const likelihood = checkScored(this.likelihood)
    const terms = this.labelled(x, y)
    const { outliers } = options
    const [answers, others] = [await this.answers(x, work), outliers && await this.answers(outliers, work)]
    return comparisonOf(likelihood, terms, answers, others, undefined)
  }

  private async predictTerms(x: Examples, options: PredictOptions, work: WorkOptions): Promise<Prediction> {
    knownOptions('predict of a mixture', options, PREDICT_OPTIONS)
    const { level: _level, quantiles: _quantiles, noise: _noise, ...others } = options
    const request = intervalRequest({ conformal: this.calibration, likelihood: this.likelihood,
      ownAnswer: this.members.some(({ choice }) => choice !== undefined) }, options)
    const own = await this.each(({ state, programs }) => predictTerms(state, programs, x, others, work))
    const mixed = mixedPrediction(this.likelihood, own, this.weights)
    return withIntervals(mixed, note => mixedIntervals(mixed, own, this.weights, request, note))
  }

  private async answers(x: Examples, work: WorkOptions): Promise<Answers> {
    const own = await this.each(({ state, programs }) => answersOf(state, programs, x, work))
    const prediction = mixedPrediction(this.likelihood, own.map(answer => answer.prediction), this.weights)
    return { rows: exampleCount(x), f: this.ensemble(own.map(({ f }) => f)), prediction, sigmaNoise: own[0].sigmaNoise,
      members: own.map((answer, k) => ({ ...answer, weight: this.weights[k] })) }
  }

  /** Logits of the mean of the networks' probabilities; of numbers the mean of their outputs. */
  private ensemble(f: readonly Tensor[]): Tensor {
    const { likelihood, weights } = this
    const model = likelihoodModel(likelihood)
    if (!hasLogits(likelihood)) return weightedMean(f, weights) ?? f[0]
    const p = weightedMean(
      f.map(logits => float64(logits.shape, model.inverseLink(toFloat64(logits), logits.shape[0], logits.shape[1]))),
      weights,
    ) ??
      f[0]
    const log = (value: number): number => Math.log(Math.max(value, SMALLEST))
    return float64(p.shape,
      toFloat64(p).map(value => log(value) - (likelihood === 'classification' ? 0 : log(1 - value))))
  }

  private labelled(x: Examples, y: Tensor): LabelledTerms {
    return labelled(y, this.likelihood, exampleCount(x), this.layout(x))
  }

  private layout(x: Examples): OutputLayout {
    return this.members[0].programs(x).evaluator.network
  }

  /** One member after another: each may use all threads. */
  private async each<T>(ask: (member: LaplacePosterior) => Promise<T>): Promise<T[]> {
    const answers: T[] = []
    for (const member of this.members) answers.push(await ask(member))
    return answers
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
}

/** Probabilities of 0 have a logarithm too. */
const SMALLEST = 1e-300

/** What all members of a mixture have in common. */
function kindOf({ likelihood, outputs, positions }: LaplacePosterior): string {
  const places = positions.length === 0 ? '' : ` at ${positions.join(' x ')} positions`
  return `${likelihood} of ${outputs} outputs${places}`
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
