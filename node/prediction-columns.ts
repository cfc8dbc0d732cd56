/** @file The numbers of a prediction as columns of a table, with their names on the command line and in batches. */
import type { Prediction } from '../core/answer/prediction.js'
import type { Likelihood } from '../core/options/words.js'
import { float64, type Tensor } from '../core/tensor/tensor.js'

/** A prediction, and the probabilities of the quantiles that were asked for. */
export interface NumberedPrediction extends Prediction {
  readonly quantileProbabilities?: readonly number[] | undefined
}

/** One column; cells are numbers. */
export interface PredictionColumn {
  readonly name: string
  readonly at: (row: number) => number
}

/** Square roots of a tensor's entries. */
export function roots(value: Tensor): Tensor {
  return float64(value.shape, Float64Array.from(value.data, Math.sqrt))
}

/** The most probable class of a row. */
export function bestClass({ shape, data }: Tensor, row: number): number {
  const at = (c: number): number => data[row * shape[1] + c]
  let best = 0
  for (let c = 1; c < shape[1]; c++) if (at(c) > at(best)) best = c
  return best
}

/** Every number of a prediction, a row an example: mean, sd and, where there are, probabilities; the answer first. */
export function predictionColumns(prediction: NumberedPrediction, likelihood: Likelihood): PredictionColumn[] {
  const { mean, variance, probabilities, predictiveMean, predictiveVariance, aleatoric, epistemic, novelty,
    noveltyScore, lower, upper, sets } = prediction
  const spread = (name: string, value: Tensor | undefined): PredictionColumn[] => {
    if (value === undefined) return []
    const width = value.shape.length === 1 ? 1 : value.shape[1]
    return Array.from({ length: width },
      (_, c) => ({ name: width === 1 ? name : `${name}_${c}`, at: (row: number) => value.data[row * width + c] }))
  }
  const answer = likelihood === 'classification' && probabilities !== undefined
    ? [{ name: 'class', at: (row: number) => bestClass(probabilities, row) }]
    : []
  return [
    ...answer,
    ...spread('probability', probabilities),
    ...spread('predictive_mean', predictiveMean),
    ...spread('mean', mean),
    ...spread('sd', roots(variance)),
    ...spread('predictive_sd', predictiveVariance === undefined ? undefined : roots(predictiveVariance)),
    ...(likelihood === 'regression' ? [] : [...spread('aleatoric', aleatoric), ...spread('epistemic', epistemic)]),
    ...spread('lower', lower),
    ...spread('upper', upper),
    ...quantileColumns(prediction),
    ...spread('in_set', sets),
    ...spread('novelty', novelty),
    ...spread('novelty_score', noveltyScore),
  ]
}

/** A column for every quantile of every output. */
export function quantileColumns({ quantiles, quantileProbabilities }: NumberedPrediction): PredictionColumn[] {
  if (quantiles === undefined) return []
  const [, outputs, count] = quantiles.shape
  return Array.from({ length: outputs * count }, (_, i) => {
    const [c, q] = [Math.floor(i / count), i % count]
    const name = `quantile_${quantileProbabilities?.[q] ?? q}`
    return { name: outputs === 1 ? name : `${name}_${c}`,
      at: (row: number) => quantiles.data[(row * outputs + c) * count + q] }
  })
}
