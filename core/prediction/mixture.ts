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

/** A Gaussian over the outputs that has a share in the answer. */
interface Share {
  readonly weight: number
  /** N x C. */
  readonly f: Float64Array
  /** The factor of the variance in the link. */
  readonly scale: number
}

/** What has a share beside the network: the linear model, and the outputs halfway. @param f the network's, N x C */
function sharesOf({ linearWeight, varianceScale, halfwayWeight = 0, halfwayScale = 0 }: Answer, f: Float64Array,
  linear: Float64Array): Share[] {
  const model = { weight: linearWeight, f: linear, scale: varianceScale }
  if (halfwayWeight === 0) return [model]
  return [model, { weight: halfwayWeight, f: f.map((value, i) => (value + linear[i]) / 2), scale: halfwayScale }]
}

/** p = networkWeight p_network + halfwayWeight link((f + f_lin)/2, halfwayScale S) + linearWeight link(f_lin, s S). */
export function mixture(likelihood: LikelihoodModel, answer: Answer, inputs: MixtureInputs): Mixture {
  const { f, linear, covariance, kind, examples, outputs } = inputs
  const { link, networkWeight, networkTemperature = 1 } = answer
  const scaled = networkTemperature === 1 ? f : f.map(value => value / networkTemperature)
  const network = likelihood.inverseLink(scaled, examples, outputs)
  const shares = sharesOf(answer, scaled, linear)
  const probabilities = network.map(p => networkWeight * p)
  for (const { weight, f: mean, scale } of shares) {
    scaledProbabilities(link, likelihood, { f: mean, variance: covariance, examples, outputs }, scale, kind)
      .forEach((p, i) => {
        probabilities[i] += weight * p
      })
  }
  return {
    probabilities,
    parts: seed => {
      const own = narrowed(covariance, kind, monteCarloNeeds(likelihood), outputs)
      const total = entropies(likelihood, probabilities, outputs)
      const aleatoric = entropies(likelihood, network, outputs).map(value => networkWeight * value)
      for (const { weight, f: mean, scale } of shares) {
        const variance = own.map(value => scale * value)
        monteCarlo(likelihood, { f: mean, variance, examples, outputs }, { samples: SAMPLES, seed }).expectedEntropy
          .forEach((value, i) => {
            aleatoric[i] += weight * value
          })
      }
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
