/** @file A mixture of posteriors at the public border: arrays in, ndarrays out. */
import type { ConformalOptions, PredictOptions } from '../core/answer/posterior-options.js'
import type { SampleOptions } from '../core/answer/sampling.js'
import type { CalibrationSummary } from '../core/conformal/calibration.js'
import { demand } from '../core/errors/demand.js'
import { optionsObject } from '../core/errors/suggest.js'
import type { Comparison } from '../core/laplace/compare.js'
import { Mixture as CoreMixture } from '../core/laplace/posterior-mixture.js'
import type { Likelihood } from '../core/options/words.js'
import { drawn, gradientArrays, ndarraysOf } from './answers.js'
import { type ArrayInput, type ExamplesInput, toExamples, toNdArray, toTensor } from './arrays.js'
import { coreWork, toOutliers } from './core-arguments.js'
import type { WorkOptions } from './options.js'
import { Posterior } from './posterior.js'
import type { Array64, Prediction } from './prediction.js'

/** Posteriors of several networks, or of snapshots of one, that predict as one: sum_k w_k p_k. */
export class Mixture<L extends Likelihood = Likelihood> {
  /** The same mixture with tensors instead of ndarrays. */
  readonly core: CoreMixture

  /**
   * @param members posteriors of one likelihood and as many outputs
   * @param weights one for each, not negative, scaled to sum to 1; equal ones by default
   * @throws OptionError BAD_OPTION, BAD_COMBINATION
   * @example
   * const { probabilities } = await new Mixture([posterior, another]).predict(x)
   */
  constructor(members: readonly Posterior<L>[], weights?: ArrayLike<number>) {
    demand(Array.isArray(members) && members.every(member => member instanceof Posterior), 'members',
      'a list of fitted posteriors', members)
    this.core = new CoreMixture(members.map(member => member.core), weights)
  }

  private static of<L extends Likelihood>(core: CoreMixture): Mixture<L> {
    return Object.create(Mixture.prototype, { core: { value: core, enumerable: true } }) as Mixture<L>
  }

  get likelihood(): L {
    return this.core.likelihood as L
  }
  /** They sum to 1. */
  get weights(): Float64Array {
    return this.core.weights
  }
  get conformal(): CalibrationSummary | undefined {
    return this.core.conformal
  }

  /** Draws of the raw outputs, count x N x C: each of a member drawn by its weight. */
  async functionalSamples(x: ExamplesInput, count: number, given: SampleOptions & WorkOptions = {}): Promise<Array64> {
    return drawn(this.core, 'functionalSamples', x, count, given)
  }

  /** Draws of predictions, count x N x C: probabilities, or means. */
  async predictiveSamples(x: ExamplesInput, count: number, given: SampleOptions & WorkOptions = {}): Promise<Array64> {
    return drawn(this.core, 'predictiveSamples', x, count, given)
  }

  /** Moments, probabilities, intervals, quantiles and sets of the mixture; see the core's `Mixture`. */
  async predict(x: ExamplesInput, given: PredictOptions & WorkOptions = {}): Promise<Prediction<L>> {
    const { signal, onProgress, ...options } = optionsObject('predict', given)
    return ndarraysOf<L>(
      await this.core.predict(toExamples(x, 'x'), options, coreWork('predict', { signal, onProgress })),
    )
  }

  /** The mixture with intervals or sets of classes calibrated by rows that its members have not seen. */
  async conformalize(x: ExamplesInput, y: ArrayInput, given: ConformalOptions & WorkOptions = {}): Promise<Mixture<L>> {
    const { signal, onProgress, ...options } = optionsObject('conformalize', given)
    return Mixture.of<L>(
      await this.core.conformalize(x as unknown === undefined ? undefined : toExamples(x, 'x'),
        y as unknown === undefined ? undefined : toTensor(y, 'y'), options,
        coreWork('conformalize', { signal, onProgress })),
    )
  }

  /** The networks together, with a temperature, and this mixture side by side on rows that none of them has seen. */
  async compare(x: ExamplesInput, y: ArrayInput,
    given: { readonly outliers?: ExamplesInput | undefined } & WorkOptions = {}): Promise<Comparison> {
    const { signal, onProgress, outliers, ...options } = optionsObject('compare', given)
    return this.core.compare(toExamples(x, 'x'), toTensor(y, 'y'), { ...options, ...toOutliers(outliers) },
      coreWork('compare', { signal, onProgress }))
  }

  /** Gradients of mean, variance and (link probit; classes) probabilities with respect to each row's input. */
  async inputGradients(x: ExamplesInput,
    work: WorkOptions = {}): Promise<{ mean: Array64, variance: Array64, probabilities: Array64 | undefined }> {
    return gradientArrays(await this.core.inputGradients(toExamples(x, 'x'), coreWork('inputGradients', work)))
  }

  /** Means and covariances of the outputs: N x C x C, or (N C) x (N C) with `joint`. */
  async functionalVariance(x: ExamplesInput,
    given: { readonly joint?: boolean | undefined } & WorkOptions = {}
  ): Promise<
    { mean: Array64, covariance: Array64 }
  > {
    const { joint, ...work } = optionsObject('functionalVariance', given)
    const { mean, covariance } = await this.core.functionalVariance(toExamples(x, 'x'), { joint },
      coreWork('functionalVariance', work))
    return { mean: toNdArray(mean), covariance: toNdArray(covariance) }
  }

  /** The mean of the outputs of the members' plain networks. */
  async forward(x: ExamplesInput, work: WorkOptions = {}): Promise<Array64> {
    return toNdArray(await this.core.forward(toExamples(x, 'x'), coreWork('forward', work)))
  }
}
