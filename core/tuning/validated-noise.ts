/**
 * @file The joint choice of a regression by held-out rows: prior precision and noise of every output, and how much of
 * the mean is the linear model's. Few rows say little of a variance, so that the evidence of the training rows stays
 * the prior of both: normal in the logarithms, centred at what it says.
 */
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
}

/** Steps k of delta 4^k; what a step costs in nats, times k^2. */
const STEPS: readonly number[] = [-1, 0, 1]
const STEP_COST = 2
/** Steps j of sigma 2^(j/4), and the standard deviation of log sigma that the evidence leaves. */
const NOISE_STEPS: readonly number[] = Array.from({ length: 17 }, (_, i) => i - 8)
const NOISE_SPREAD = 0.25
/** Downwards it is half of that: a few rows of noise with heavy tails look too quiet far more often than too loud. */
const QUIET_SPREAD = 0.125
/** Half of the mean is the linear model's by default; each nat of another weight counts (w - 1/2)^2 times this. */
const WEIGHT_COST = 4
const DEFAULT_WEIGHT = 0.5
const WEIGHTS: readonly number[] = Array.from({ length: 11 }, (_, i) => i / 10)

/** What held-out rows may change beside the weights of the mean. */
export type FreeParameters = 'both' | 'prior' | 'noise' | 'none'

interface Fitted extends NoisePrior {
  readonly rows: GaussianRows
}

interface Candidate extends Fitted {
  readonly cost: number
}

/**
 * Chooses by the held-out NLL with its costs.
 * @param tuned what the training rows say, an output each
 * @param rowsAt the linear model of an output under other hyper-parameters
 * @param free which of prior precision and noise may change
 */
export function chooseNoise(rows: HeldOutTargets, tuned: readonly NoisePrior[],
  rowsAt: (output: number, hyper: NoisePrior) => GaussianRows, free: FreeParameters = 'both'): ValidatedNoise {
  const candidates = tuned.map((hyper, c) => candidatesOf(hyper, other => rowsAt(c, other), free))
  let best: { readonly score: number, readonly weight: number, readonly chosen: readonly Candidate[] } | undefined
  for (const weight of WEIGHTS) {
    const chosen = candidates.map((own, c) => bestOf(own, rows, c, weight))
    const score = chosen.reduce((sum, one) => sum + one.score, 0) + WEIGHT_COST * (weight - DEFAULT_WEIGHT) ** 2
    if (best === undefined || score < best.score) {
      best = { score, weight, chosen: chosen.map(({ candidate }) => candidate) }
    }
  }
  const byTraining = tuned.map((hyper, c) => ({ ...hyper, rows: rowsAt(c, hyper) }))
  if (best === undefined || !isBetter(rows, best.chosen, best.weight, byTraining)) {
    return { outputs: tuned.map(({ delta, sigma }) => ({ delta, sigma })), linearWeight: DEFAULT_WEIGHT }
  }
  return { outputs: best.chosen.map(({ delta, sigma }) => ({ delta, sigma })), linearWeight: best.weight }
}

/**
 * Whether the choice improves the held-out rows by more than a standard error of the improvement: one outlier among a
 * dozen rows must not change what all training rows say.
 */
function isBetter(rows: HeldOutTargets, chosen: readonly Fitted[], weight: number,
  byTraining: readonly Fitted[]): boolean {
  const { examples } = rows
  const gains = new Float64Array(examples)
  chosen.forEach((candidate, c) => {
    const [after, before] = [rowLosses(rows, c, candidate, weight), rowLosses(rows, c, byTraining[c], DEFAULT_WEIGHT)]
    for (let n = 0; n < examples; n++) gains[n] += before[n] - after[n]
  })
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / examples
  const squares = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0)
  return mean > Math.sqrt(squares / (Math.max(1, examples - 1) * examples))
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
    return 0.5 * (Math.log(2 * Math.PI * variance) + residual * residual / variance)
  })
}
