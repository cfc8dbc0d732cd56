/** @file The calibration that a posterior keeps, and what training rows predicted without themselves say of it. */
import { adaptiveDraws, adaptiveScores } from './adaptive-scores.js'
import type { RegressionScores, SetScores } from './conformal-scores.js'

/** How classes are scored: adaptive prediction sets, or the least ambiguous ones. */
export const SET_SCORES = ['aps', 'lac'] as const

/** One of `SET_SCORES`. */
export type SetScore = (typeof SET_SCORES)[number]

/** What a posterior's intervals or sets are made from. */
export interface Calibration {
  /** Scores of a regression or of classes, by their kind. */
  readonly scores: RegressionScores | SetScores
  /** True where they come from training rows, each predicted without itself: coverage is expected and not proved. */
  readonly approximate: boolean
}

/** Training rows of a regression, each predicted without itself. */
export interface LeftOutResiduals {
  readonly kind: 'residuals'
  /** For each output |y - mu_-i| / sd_-i of N rows, rising; the noise is part of sd. */
  readonly scores: readonly Float64Array[]
}

/** Training rows of classes, each predicted without itself. */
export interface LeftOutClasses {
  readonly kind: 'classes'
  /** The probability of each row's class, N. */
  readonly own: Float64Array
  /** The probability of the classes that are expected before it, N: the adaptive score less its own part. */
  readonly before: Float64Array
}

/** What a fit keeps for a calibration without held-out rows. */
export type LeftOutScores = LeftOutResiduals | LeftOutClasses

/** How a posterior is calibrated, in plain values. */
export interface CalibrationSummary {
  /** `split`: by rows held out; `jackknife`: by training rows, each predicted without itself, which is approximate. */
  readonly kind: 'split' | 'jackknife'
  readonly score: 'residual' | SetScore
  /** Number of rows. */
  readonly rows: number
}

/** What there is to say of a calibration. */
export function summarizeCalibration({ scores, approximate }: Calibration): CalibrationSummary {
  return { kind: approximate ? 'jackknife' : 'split', score: scoreName(scores), rows: scores.n }
}

function scoreName({ kind }: Calibration['scores']): CalibrationSummary['score'] {
  if (kind === 'adaptive') return 'aps'
  return kind === 'threshold' ? 'lac' : 'residual'
}

/** What is kept of probabilities (N x C, C from 2) of rows predicted without themselves. */
export function leftOutClasses(probabilities: Float64Array, labels: Float64Array, outputs: number): LeftOutClasses {
  const before = Float64Array.from(labels,
    (label, n) => adaptiveScores(probabilities.subarray(n * outputs, (n + 1) * outputs), 0)[label])
  return { kind: 'classes', before, own: Float64Array.from(labels, (label, n) => probabilities[n * outputs + label]) }
}

/** The scores of what was kept: those that `calibrateSets` would give for the same probabilities and classes. */
export function leftOutSetScores({ own, before }: LeftOutClasses, score: SetScore, randomised: boolean,
  seed: number): SetScores {
  const n = own.length
  if (score === 'lac') return { kind: 'threshold', n, scores: own.map(p => 1 - p).sort() }
  const draw = adaptiveDraws({ randomised, seed }, 0)
  return { kind: 'adaptive', n, scores: own.map((p, i) => before[i] + draw() * p).sort(), randomised, seed }
}
