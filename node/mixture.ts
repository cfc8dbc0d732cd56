/** @file A mixture of posteriors at the public border: arrays in, ndarrays out. */
import type { ConformalOptions } from '../core/answer/posterior-options.js'
import { demand } from '../core/errors/demand.js'
import { optionsObject } from '../core/errors/suggest.js'
import { Mixture as CoreMixture } from '../core/laplace/posterior-mixture.js'
import type { Likelihood } from '../core/options/words.js'
import { type ArrayInput, type ExamplesInput, toExamples, toTensor } from './arrays.js'
import { coreWork } from './core-arguments.js'
import type { WorkOptions } from './options.js'
import { Posterior } from './posterior.js'
import { Predictor } from './predictor.js'
import { attended } from './runtime/attended.js'

/** Posteriors of several networks, or of snapshots of one, that predict as one: sum_k w_k p_k. */
export class Mixture<L extends Likelihood = Likelihood> extends Predictor<L, CoreMixture> {
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
    super(new CoreMixture(members.map(member => member.core), weights))
  }

  private static of<L extends Likelihood>(core: CoreMixture): Mixture<L> {
    return Object.create(Mixture.prototype, { core: { value: core, enumerable: true } }) as Mixture<L>
  }

  /** One for each member; they sum to 1. */
  get weights(): Float64Array {
    return this.core.weights
  }

  /**
   * The mixture with intervals or sets of classes calibrated by rows that its members have not seen: those of new rows
   * hold the truth with the probability of their level (Vovk et al. 2005).
   * @throws OptionError for options, and where x and y are missing; ShapeError, DataError, CancelledError
   */
  async conformalize(x: ExamplesInput, y: ArrayInput, given: ConformalOptions & WorkOptions = {}): Promise<Mixture<L>> {
    const { signal, onProgress, ...options } = optionsObject('conformalize', given)
    const work = coreWork('conformalize', { signal, onProgress })
    return Mixture.of<L>(
      await attended(this.core, work).conformalize(x as unknown === undefined ? undefined : toExamples(x, 'x'),
        y as unknown === undefined ? undefined : toTensor(y, 'y'), options, work),
    )
  }
}
