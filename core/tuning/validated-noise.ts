/**
 * @file The joint choice of a regression by held-out rows: prior precision and noise of every output, and how much of
 * the mean is the linear model's. Few rows say little of a variance, so that the evidence of the training rows stays
 * the prior of both: normal in the logarithms, centred at what it says.
 */
import { negativeLogNormal } from '../metrics/nll.js'
import { type Gain, gainOf, isGain } from './gain.js'
import { steppedDelta } from './validated.js'

/** Held-out rows of a regression. */
export interface HeldOutTargets {
  readonly examples: number
  readonly outputs: number
  /** N x C. */
  readonly labels: Float64Array
  /** The network's means, N x C. */
  readonly f: Float64Array
}

/** Prior precision and noise of one output. */
export interface NoisePrior {
  readonly delta: number
  readonly sigma: number
}

/** What a linear model says of the held-out rows for one output: means and variances without noise, N each. */
export interface GaussianRows {
  readonly f: Float64Array
  readonly variance: Float64Array
}

/** The choice: one prior and noise an output, and the weights of the mean. */
export interface ValidatedNoise {
  readonly outputs: readonly NoisePrior[]
  readonly linearWeight: number
  /** Of the best candidate over what the training rows alone choose, in nats a label. */
  readonly gain: Gain
}

/** Steps k of delta 4^k; what a step costs in nats, times k^2. */
const STEPS: readonly number[] = [-2, -1, 0, 1, 2]
const STEP_COST = 2
/** Steps j of sigma 2^(j/4), and the standard deviation of log sigma that the evidence leaves. */
const NOISE_STEPS: readonly number[] = Array.from({ length: 33 }, (_, i) => i - 16)
const NOISE_SPREAD = 0.25
/** Downwards it is half of that: a few rows of noise with heavy tails look too quiet far more often than too loud. */
const QUIET_SPREAD = 0.125
/** Another weight of the linear model in the mean costs this times the square of the difference, in nats. */
const WEIGHT_COST = 4
const WEIGHTS: readonly number[] = Array.from({ length: 11 }, (_, i) => i / 10)

/** What held-out rows may change beside the weights of the mean. */
export type FreeParameters = 'both' | 'prior' | 'noise' | 'none'

interface Fitted extends NoisePrior {
  readonly rows: GaussianRows
}

interface Candidate extends Fitted {
  readonly cost: number
}

/** Of every output what it was chosen from, and the weight of the linear model in the mean. */
interface Weighted {
  readonly outputs: readonly Fitted[]
  readonly weight: number
}

/**
 * Chooses by the held-out NLL with its costs, where that is better by more than a standard error; else what the
 * training rows say stays.
 * @param byTraining what the training rows say
 * @param rowsAt the linear model of an output under other hyper-parameters
 * @param free which of prior precision and noise may change
 */
export function chooseNoise(rows: HeldOutTargets, byTraining: Omit<ValidatedNoise, 'gain'>,
  rowsAt: (output: number, hyper: NoisePrior) => GaussianRows, free: FreeParameters = 'both'): ValidatedNoise {
  const { outputs: tuned, linearWeight } = byTraining
  const candidates = tuned.map((hyper, c) => candidatesOf(hyper, other => rowsAt(c, other), free))
  const scored = WEIGHTS.map(weight => {
    const best = candidates.map((own, c) => bestOf(own, rows, c, weight))
    return { weight, outputs: best.map(({ candidate }) => candidate),
      score: best.reduce((sum, one) => sum + one.score, 0) + WEIGHT_COST * (weight - linearWeight) ** 2 }
  })
  const chosen = scored.reduce((least, one) => (one.score < least.score ? one : least))
  const own = { weight: linearWeight, outputs: tuned.map((hyper, c) => ({ ...hyper, rows: rowsAt(c, hyper) })) }
  const gain = gainOver(rows, chosen, own)
  const { outputs, weight } = isGain(gain) ? chosen : own
  return { outputs: outputs.map(({ delta, sigma }) => ({ delta, sigma })), linearWeight: weight, gain }
}

/** What the choice gains over what the training rows say, a label; its error by rows. */
function gainOver(rows: HeldOutTargets, chosen: Weighted, own: Weighted): Gain {
  const gains = new Float64Array(rows.examples)
  chosen.outputs.forEach((candidate, c) => {
    const [after, before] = [rowLosses(rows, c, candidate, chosen.weight),
      rowLosses(rows, c, own.outputs[c], own.weight)]
    for (let n = 0; n < rows.examples; n++) gains[n] += (before[n] - after[n]) / rows.outputs
  })
  return gainOf(gains)
}

function candidatesOf(tuned: NoisePrior, rowsAt: (hyper: NoisePrior) => GaussianRows,
  free: FreeParameters): Candidate[] {
  return (free === 'noise' || free === 'none' ? [0] : STEPS).flatMap(step =>
    (free === 'prior' || free === 'none' ? [0] : NOISE_STEPS).map(j => {
      const scale = 2 ** (j / 4)
      const hyper = { delta: steppedDelta(tuned.delta, step), sigma: tuned.sigma * scale }
      return { ...hyper, rows: rowsAt(hyper),
        cost: STEP_COST * step ** 2 + (Math.log(scale) / (scale < 1 ? QUIET_SPREAD : NOISE_SPREAD)) ** 2 / 2 }
    })
  )
}

function bestOf(candidates: readonly Candidate[], rows: HeldOutTargets, output: number,
  weight: number): { readonly score: number, readonly candidate: Candidate } {
  const scored = candidates.map(candidate => ({ candidate,
    score: candidate.cost + rowLosses(rows, output, candidate, weight).reduce((sum, loss) => sum + loss, 0) })
  )
  return scored.reduce((least, one) => (one.score < least.score ? one : least))
}

/** -log N(y; (1 - w) f + w f_lin, variance + sigma^2) of every row. */
function rowLosses({ labels, f, examples, outputs }: HeldOutTargets, output: number, { sigma, rows }: Fitted,
  weight: number): Float64Array {
  return Float64Array.from({ length: examples }, (_, n) => {
    const at = n * outputs + output
    const residual = labels[at] - (1 - weight) * f[at] - weight * rows.f[n]
    const variance = rows.variance[n] + sigma * sigma
    return negativeLogNormal(residual * residual, variance)
  })
}
