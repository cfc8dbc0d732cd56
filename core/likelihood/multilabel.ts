/** @file Independent Bernoulli likelihoods, one logit per label. */
import type { LikelihoodModel } from './likelihood.js'
import { bernoulli } from './sigmoid.js'

/** One logit per label; y is N x C of 0 and 1. */
export const multilabel: LikelihoodModel = bernoulli('multilabel')
