/** @file The demo's comparison: the network alone, and two posteriors of it, on digits and on what is none. */
import type { Graph } from '../../core/graph/graph.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { laplace } from '../../core/laplace/laplace.js'
import { auroc, type Metrics, metrics } from '../../core/metrics/index.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { bestClass } from '../output/predictions.js'
import { type Digits, noise, rotated } from './digits.js'

/** Seed of the pictures of noise. */
export const SEED = 1

/** What a predictor says of pictures that the network was not made for. */
export interface OutOfDistribution {
  readonly name: string
  /** Mean confidence in the answers. */
  readonly confidence: number
  /** How well confidence tells unseen digits from them: 1 always, 0.5 by chance. */
  readonly auroc: number
  /** The answer given most often, and how often. */
  readonly favourite: number
  readonly favoured: number
}

/** One way to predict, and how well it does. */
export interface Predictor {
  readonly name: string
  /** Probabilities for pictures: N x 10. */
  readonly predict: (x: Tensor) => Promise<Tensor>
  /** Its probabilities for the unseen digits. */
  readonly probabilities: Tensor
  readonly scores: Metrics
  /** Mean confidence in answers about the unseen digits. */
  readonly confidence: number
  readonly outOfDistribution: readonly OutOfDistribution[]
}

/** The network alone, the default here, and laplace-torch's way of tuning, all on the same pictures. */
export async function comparePredictors(network: Graph, posterior: LaplacePosterior, training: Digits,
  unseen: Digits): Promise<Predictor[]> {
  const marglik = await laplace(network, { likelihood: 'classification', tune: 'marglik' }).fit(training.x, training.y)
  const probabilitiesOf = (source: LaplacePosterior, link: 'probit' | 'map') => async (x: Tensor): Promise<Tensor> => {
    const { probabilities } = await source.predict(x, { link, uncertainty: false })
    return probabilities ?? x
  }
  const others = { 'noise': noise(unseen.x.shape[0], SEED), 'digits turned by 90°': rotated(unseen.x) }
  return Promise.all([
    predictor('the network alone', probabilitiesOf(posterior, 'map'), unseen, others),
    predictor('posterior, tuned by linearized', probabilitiesOf(posterior, 'probit'), unseen, others),
    predictor('posterior, tuned by marglik', probabilitiesOf(marglik, 'probit'), unseen, others),
  ])
}

async function predictor(name: string, predict: Predictor['predict'], unseen: Digits,
  others: Readonly<Record<string, Tensor>>): Promise<Predictor> {
  const probabilities = await predict(unseen.x)
  const sure = confidences(probabilities)
  const judged = Object.entries(others).map(async ([other, x]) => {
    const answers = await predict(x)
    const unsure = confidences(answers)
    return { name: other, confidence: mean(unsure),
      auroc: auroc([...sure, ...unsure], [...sure.map(() => 1), ...unsure.map(() => 0)]), ...favouriteOf(answers) }
  })
  return { name, predict, probabilities, scores: metrics('classification', unseen.y, { probabilities }),
    confidence: mean(sure), outOfDistribution: await Promise.all(judged) }
}

/** The class that is answered most often. */
function favouriteOf(probabilities: Tensor): Pick<OutOfDistribution, 'favourite' | 'favoured'> {
  const counts = new Float64Array(probabilities.shape[1])
  for (let row = 0; row < probabilities.shape[0]; row++) counts[bestClass(probabilities, row)]++
  const favoured = Math.max(...counts)
  return { favourite: counts.indexOf(favoured), favoured }
}

/** Probability of the answer given, for every row. */
export function confidences(probabilities: Tensor): number[] {
  return Array.from({ length: probabilities.shape[0] },
    (_, row) => probabilities.data[row * probabilities.shape[1] + bestClass(probabilities, row)])
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
