/**
 * @file Rewards learnt from choices (Bradley and Terry 1952): the logit of a pair is the difference of its rewards, so
 * that a fit is one of labels 0 and 1; what is predicted is the reward itself.
 */
import type { LikelihoodModel } from './likelihood.js'
import { bernoulli } from './sigmoid.js'

/** What a fitted posterior of rewards knows of its likelihood. */
export const reward: LikelihoodModel = {
  ...bernoulli('reward_modeling'),
  inverseLink: f => Float64Array.from(f),
  outputsAlone: true,
}
