/** @file Bernoulli likelihood of one logit: classes 0 and 1. */
import type { LikelihoodModel } from './likelihood.js'
import { bernoulli } from './sigmoid.js'

/** One logit; y is 0 or 1. */
export const binary: LikelihoodModel = bernoulli('binary')
