/** @file What the outputs of an exported posterior are, in words. */
import type { GraphOutput } from '../../core/prediction-graph/prediction-graph.js'

const level = (value: number): string => `${Number((100 * value).toPrecision(4))} %`

/** By output, for the level of intervals and sets. */
export const MEANINGS: Readonly<Record<GraphOutput, (level: number) => string>> = {
  mean: () => "the network's outputs: logits, means (and log variances), or log rates",
  variance: () => 'their variances under the posterior, without observation noise',
  covariance: () => "the covariance of each row's outputs",
  probabilities: () => 'calibrated probabilities',
  aleatoric: () =>
    'doubt that more data would not take away (nats; numbers: the expected variance of a new observation)',
  epistemic: () => 'doubt that more data would take away (nats; numbers: the variance of its mean)',
  predictive_mean: () => 'the mean of a new observation, in the units of the targets',
  predictive_covariance: () => 'the covariance of a new observation, noise included',
  predictive_variance: () => 'the variance of a new observation, noise included',
  lower: value => `the lower end of the ${level(value)} interval of a new observation`,
  upper: value => `the upper end of the ${level(value)} interval of a new observation`,
  sets: value => `true for every class in the set that holds the right one with a probability of ${level(value)}`,
  novelty: () => 'how unlike the training rows a row is: a p-value, small means unlike',
  novelty_score: () => 'what novelty is the p-value of: the mean variance of the outputs',
}
