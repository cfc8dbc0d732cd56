/** @file How well each kind of doubt tells rows that are no data from rows of data. */
import type { Prediction } from '../answer/prediction.js'
import { type OutlierScores, outlierScores } from '../metrics/outlier-scores.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Likelihood } from '../options/words.js'
import { type Tensor, toFloat64 } from '../tensor/tensor.js'
import { scaledProbabilities } from '../tuning/temperature.js'

const KINDS = ['network', 'temperature', 'posterior', 'novelty'] as const

/** AUROC and false positive rate of one kind of doubt. */
export interface OutlierReport extends OutlierScores {
  /** Whose doubt it is. */
  readonly of: typeof KINDS[number]
}

/** What network and posterior say of some rows, term by term. */
export interface Answers {
  readonly rows: number
  /** Outputs of the network: (N T) x C. */
  readonly f: Tensor
  readonly prediction: Prediction
  /** sigma of every output, C. */
  readonly sigmaNoise: Float64Array
  /** Of a mixture what its members say, with weights that sum to 1. */
  readonly members?: readonly (Answers & { readonly weight: number })[]
}

/**
 * The reports of every kind of doubt that there is: one less the confidence of network, temperature scaling and
 * posterior (numbers: the posterior's predictive variance), and the novelty score. Where a row has several labels,
 * outputs or positions, its doubt is their mean.
 * @param temperature T; undefined where there is none
 * @throws DataError BAD_LABELS, NOT_FINITE
 */
export function outlierReports(likelihood: Likelihood, ofData: Answers, ofOthers: Answers,
  temperature: number | undefined): OutlierReport[] {
  const [data, others] = [ofData, ofOthers].map(answers => doubts(likelihood, answers, temperature))
  return KINDS.flatMap(of => {
    const [known, other] = [data[of], others[of]]
    return known === undefined || other === undefined ? [] : [{ of, ...outlierScores(known, other) }]
  })
}

/** Of every row: one less its confidence, or its variance; higher means less like data. */
export type Doubts = Readonly<Partial<Record<OutlierReport['of'], Float64Array>>>

/** Every kind of doubt that there is, a number a row. */
export function doubts(likelihood: Likelihood, { rows, f, prediction }: Answers,
  temperature: number | undefined): Doubts {
  const { probabilities, predictiveVariance, noveltyScore } = prediction
  const novelty = noveltyScore === undefined ? {} : { novelty: rowMeans(toFloat64(noveltyScore), rows) }
  if (!hasLogits(likelihood)) {
    return predictiveVariance === undefined
      ? novelty
      : { posterior: rowMeans(toFloat64(predictiveVariance), rows), ...novelty }
  }
  const of = (p: Tensor): Float64Array => rowMeans(unsure(likelihood, p), rows)
  return {
    network: of(scaledProbabilities(likelihood, f, 1)),
    ...(temperature === undefined ? {} : { temperature: of(scaledProbabilities(likelihood, f, temperature)) }),
    ...(probabilities === undefined ? {} : { posterior: of(probabilities) }),
    ...novelty,
  }
}

/** One less the confidence: of every term with classes, of every label otherwise. */
function unsure(likelihood: Likelihood, { shape, data }: Tensor): Float64Array {
  if (likelihood !== 'classification') return Float64Array.from(data, p => 1 - Math.max(p, 1 - p))
  const [terms, classes] = shape
  return Float64Array.from({ length: terms }, (_, term) => {
    let confidence = 0
    for (let c = 0; c < classes; c++) confidence = Math.max(confidence, data[term * classes + c])
    return 1 - confidence
  })
}

function rowMeans(values: Float64Array, rows: number): Float64Array {
  const width = values.length / rows
  return Float64Array.from({ length: rows },
    (_, row) => values.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value, 0) / width)
}
