/** @file How well each kind of doubt tells rows that are no data from rows of data. */
import type { WorkOptions } from '../../core/budget/progress.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { type OutlierScores, outlierScores } from '../../core/metrics/index.js'
import type { Likelihood } from '../../core/options/words.js'
import type { Examples } from '../../core/tensor/examples.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { scaledProbabilities } from '../../core/tuning/temperature.js'
import { bestClass } from '../output/predictions.js'

/** AUROC and false positive rate of one kind of doubt. */
export interface OutlierReport extends OutlierScores {
  /** Whose doubt it is. */
  readonly of: 'network' | 'temperature' | 'posterior' | 'novelty'
}

/**
 * The reports of every kind of doubt that there is: one less the confidence of network, temperature scaling and
 * posterior (regression: the posterior's predictive variance), and the novelty score.
 * @param temperature T; undefined where there is none
 */
export async function outlierReports(posterior: LaplacePosterior, data: Examples, others: Examples,
  temperature: number | undefined, work: WorkOptions): Promise<OutlierReport[]> {
  const { likelihood } = posterior
  const kinds = [await doubtsOf(posterior, data, temperature, work),
    await doubtsOf(posterior, others, temperature, work)]
  const names = ['network', 'temperature', 'posterior', 'novelty'] as const
  return names.flatMap(of => {
    const [ofData, ofOthers] = kinds.map(doubts => doubts[of])
    return ofData === undefined || ofOthers === undefined || (of === 'network' && likelihood === 'regression')
      ? []
      : [{ of, ...outlierScores(ofData, ofOthers) }]
  })
}

type Doubts = Readonly<Record<OutlierReport['of'], ArrayLike<number> | undefined>>

async function doubtsOf(posterior: LaplacePosterior, x: Examples, temperature: number | undefined,
  work: WorkOptions): Promise<Doubts> {
  const { likelihood } = posterior
  const { probabilities, predictiveVariance, noveltyScore } = await posterior.predict(x, { uncertainty: false }, work)
  const novelty = noveltyScore?.data
  if (likelihood === 'regression') {
    const variance = predictiveVariance
    return { network: undefined, temperature: undefined, novelty,
      posterior: variance === undefined ? undefined : rowMeans(variance, value => value) }
  }
  const f = await posterior.forward(x, work)
  const at = (t: number): number[] => doubt(scaledProbabilities(likelihood, f, t), likelihood)
  return { network: at(1), temperature: temperature === undefined ? undefined : at(temperature), novelty,
    posterior: probabilities === undefined ? undefined : doubt(probabilities, likelihood) }
}

/** One less the confidence in the answer of a row; the mean over labels where there are several. */
function doubt(probabilities: Tensor, likelihood: Likelihood): number[] {
  if (likelihood !== 'classification') return rowMeans(probabilities, p => 1 - Math.max(p, 1 - p))
  const [n, classes] = probabilities.shape
  return Array.from({ length: n }, (_, row) => 1 - probabilities.data[row * classes + bestClass(probabilities, row)])
}

function rowMeans({ shape, data }: Tensor, of: (value: number) => number): number[] {
  const width = data.length / Math.max(1, shape[0])
  return Array.from({ length: shape[0] }, (_, row) => {
    let sum = 0
    for (let c = 0; c < width; c++) sum += of(data[row * width + c])
    return sum / width
  })
}
