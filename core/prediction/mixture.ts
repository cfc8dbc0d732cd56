/** @file The answer of network and linear model together: a mixture of their probabilities. */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { Link } from '../options/words.js'
import { narrowed, type VarianceKind } from '../posterior/variance-kind.js'
import type { Answer } from './answer.js'
import { entropy, type UncertaintyParts } from './decomposition.js'
import type { GaussianOutputs } from './gaussian-outputs.js'
import { linkNeeds, predictiveProbabilities } from './link.js'
import { monteCarlo, monteCarloNeeds } from './monte-carlo.js'

/** Draws behind the decomposition. */
const SAMPLES = 1000

/** The link that does not count what the likelihood ignores. */
export function differenceLink(likelihood: LikelihoodModel, outputs: number): Link {
  if (likelihood.name !== 'classification') return 'probit'
  return outputs === 2 ? 'pairwise' : 'zero_sum'
}

/** Probabilities of a link with the variances of a kind (or what the link needs of them) times `scale`. */
export function scaledProbabilities(link: Link, likelihood: LikelihoodModel, gaussian: GaussianOutputs, scale: number,
  kind: VarianceKind = 'covariance'): Float64Array {
  const { f, variance, examples, outputs } = gaussian
  const wanted = linkNeeds(link, likelihood)
  if (scale === 0 || wanted === 'none') return likelihood.inverseLink(f, examples, outputs)
  const needs = narrowed(variance, kind, wanted, outputs)
  const scaled = scale === 1 ? needs : needs.map(value => scale * value)
  return predictiveProbabilities(link, likelihood, { ...gaussian, variance: scaled })
}

/** Outputs of network and linear model, N x C, and the covariances of the latter. */
export interface MixtureInputs {
  readonly f: Float64Array
  readonly linear: Float64Array
  /** Of the kind. */
  readonly covariance: Float64Array
  readonly kind: VarianceKind
  readonly examples: number
  readonly outputs: number
}

/** The probabilities of a mixture, N x C, and their decomposition by seeded draws. */
export interface Mixture {
  readonly probabilities: Float64Array
  parts(seed: number): UncertaintyParts
}

/** p = networkWeight p_network + linearWeight link(f_lin, s S). */
export function mixture(likelihood: LikelihoodModel, answer: Answer, inputs: MixtureInputs): Mixture {
  const { f, linear, covariance, kind, examples, outputs } = inputs
  const { link, varianceScale, networkWeight, linearWeight, networkTemperature = 1 } = answer
  const scaled = networkTemperature === 1 ? f : f.map(value => value / networkTemperature)
  const network = likelihood.inverseLink(scaled, examples, outputs)
  const own = scaledProbabilities(link, likelihood, { f: linear, variance: covariance, examples, outputs },
    varianceScale, kind)
  const probabilities = network.map((p, i) => networkWeight * p + linearWeight * own[i])
  return {
    probabilities,
    parts: seed => {
      const own = narrowed(covariance, kind, monteCarloNeeds(likelihood), outputs).map(value => varianceScale * value)
      const { expectedEntropy } = monteCarlo(likelihood, { f: linear, variance: own, examples, outputs }, {
        samples: SAMPLES,
        seed,
      })
      const total = entropies(likelihood, probabilities, outputs)
      const plain = entropies(likelihood, network, outputs)
      const aleatoric = expectedEntropy.map((value, i) => networkWeight * plain[i] + linearWeight * value)
      return { total, aleatoric, epistemic: total.map((value, i) => Math.max(0, value - aleatoric[i])) }
    },
  }
}

/** Entropies in nats: of every row (classification), or of every label. */
function entropies(likelihood: LikelihoodModel, p: Float64Array, outputs: number): Float64Array {
  if (likelihood.name !== 'classification') return p.map(value => entropy([value, 1 - value]))
  return Float64Array.from({ length: p.length / outputs },
    (_, n) => entropy(p.subarray(n * outputs, (n + 1) * outputs)))
}
