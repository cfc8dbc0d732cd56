/** @file A mixture of posteriors at the public border: arrays in, ndarrays out. */
import type { SampleOptions } from '../core/answer/sampling.js'
import { demand } from '../core/errors/demand.js'
import { optionsObject } from '../core/errors/suggest.js'
import { Mixture as CoreMixture, type MixtureOptions } from '../core/laplace/posterior-mixture.js'
import type { Likelihood } from '../core/options/words.js'
import { drawn, ndarraysOf } from './answers.js'
import { type ExamplesInput, toExamples } from './arrays.js'
import { coreWork } from './core-arguments.js'
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

  get likelihood(): L {
    return this.core.likelihood as L
  }
  /** They sum to 1. */
  get weights(): Float64Array {
    return this.core.weights
  }

  /** Draws of the raw outputs, count x N x C: each of a member drawn by its weight. */
  async functionalSamples(x: ExamplesInput, count: number, given: SampleOptions & WorkOptions = {}): Promise<Array64> {
    return drawn(this.core, 'functionalSamples', x, count, given)
  }

  /** Draws of predictions, count x N x C: probabilities, or means. */
  async predictiveSamples(x: ExamplesInput, count: number, given: SampleOptions & WorkOptions = {}): Promise<Array64> {
    return drawn(this.core, 'predictiveSamples', x, count, given)
  }

  /** Moments, probabilities, intervals and quantiles of the mixture; see the core's `Mixture`. */
  async predict(x: ExamplesInput, given: MixtureOptions & WorkOptions = {}): Promise<Prediction<L>> {
    const { signal, onProgress, ...options } = optionsObject('predict', given)
    return ndarraysOf<L>(
      await this.core.predict(toExamples(x, 'x'), options, coreWork('predict', { signal, onProgress })),
    )
  }
}
