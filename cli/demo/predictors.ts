/** @file The demo's comparison: the network alone, and three posteriors of it, on digits and on what is none. */
import type { Graph } from '../../core/graph/graph.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { laplace } from '../../core/laplace/laplace.js'
import { auroc, type Metrics, metrics } from '../../core/metrics/index.js'
import type { LaplaceOptions } from '../../core/options/laplace-options.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { scaledProbabilities } from '../../core/tuning/temperature.js'
import { bestClass } from '../../node/prediction-columns.js'
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

/** Probabilities, and the novelty of each row where the predictor has one. */
export interface Answers {
  readonly probabilities: Tensor
  readonly novelty: Tensor | undefined
}

/** One way to predict, and how well it does. */
export interface Predictor {
  readonly name: string
  /** Answers for pictures: probabilities N x 10, novelty N. */
  readonly predict: (x: Tensor) => Promise<Answers>
  /** Its probabilities for the unseen digits. */
  readonly probabilities: Tensor
  readonly scores: Metrics
  /** Mean confidence in answers about the unseen digits. */
  readonly confidence: number
  readonly outOfDistribution: readonly OutOfDistribution[]
}

/** How well the novelty of rows tells pictures that are no digits. */
export interface NoveltyScores {
  readonly name: string
  /** The share of the pictures whose p-value is at most `FLAGGED`. */
  readonly flagged: number
  /** How well the p-value tells unseen digits from them; undefined for the unseen digits themselves. */
  readonly auroc: number | undefined
}

/** Pictures with a p-value up to this are called unlike the training rows: of digits like them one in twenty is. */
export const FLAGGED = 0.05

/** What the demo compares. */
export interface DemoComparison {
  readonly predictors: readonly Predictor[]
  readonly novelty: readonly NoveltyScores[]
}

/** Names of the rows, as the README has them. */
const NAMES = { network: 'the network alone', all: 'all weights', lastLayer: 'last layer',
  marglik: 'last layer, tuned by marglik' } as const

/** The network alone, the default here, the last layer, and laplace-torch's way of tuning, all on the same pictures. */
export async function comparePredictors(network: Graph, posterior: LaplacePosterior, training: Digits,
  unseen: Digits): Promise<DemoComparison> {
  const fitted = (options: Partial<LaplaceOptions>): Promise<LaplacePosterior> =>
    laplace(network, { likelihood: 'classification', ...options }).fit(training.x, training.y)
  const lastLayer = await fitted({ subset: 'last_layer' })
  const marglik = await fitted({ subset: 'last_layer', tune: 'marglik' })
  const answers = (source: LaplacePosterior) => async (x: Tensor): Promise<Answers> => {
    const { probabilities, novelty } = await source.predict(x, { uncertainty: false })
    return { probabilities: probabilities ?? x, novelty }
  }
  const alone = async (x: Tensor): Promise<Answers> => ({
    probabilities: scaledProbabilities('classification', await posterior.forward(x), 1),
    novelty: undefined,
  })
  const others = { 'noise': noise(unseen.x.shape[0], SEED), 'digits turned by 90°': rotated(unseen.x) }
  const ways = { [NAMES.network]: alone, [NAMES.all]: answers(posterior), [NAMES.lastLayer]: answers(lastLayer),
    [NAMES.marglik]: answers(marglik) }
  const predictors: Predictor[] = []
  for (const [name, predict] of Object.entries(ways)) predictors.push(await predictor(name, predict, unseen, others))
  return { predictors, novelty: await noveltyScores(posterior, { 'unseen digits': unseen.x, ...others }) }
}

async function noveltyScores(posterior: LaplacePosterior,
  pictures: Readonly<Record<string, Tensor>>): Promise<NoveltyScores[]> {
  const kinds: { readonly name: string, readonly p: number[] }[] = []
  for (const [name, x] of Object.entries(pictures)) {
    const { novelty } = await posterior.predict(x, { uncertainty: false })
    kinds.push({ name, p: Array.from(novelty?.data ?? []) })
  }
  const [digits] = kinds
  return kinds.map(({ name, p }, i) => ({
    name,
    flagged: mean(p.map(value => (value <= FLAGGED ? 1 : 0))),
    auroc: i === 0 ? undefined : auroc([...digits.p, ...p], [...digits.p.map(() => 1), ...p.map(() => 0)]),
  }))
}

async function predictor(name: string, predict: Predictor['predict'], unseen: Digits,
  others: Readonly<Record<string, Tensor>>): Promise<Predictor> {
  const { probabilities } = await predict(unseen.x)
  const sure = confidences(probabilities)
  const judged = Object.entries(others).map(async ([other, x]) => {
    const { probabilities: answers } = await predict(x)
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
