/** @file What a fit with no option set chose, why, and how its answer is put together. */
import type { Structure, Subset } from '../options/words.js'
import type { Answer } from '../prediction/answer.js'

/** The leave-one-out NLL of the linear model with its variance multiplied by `scale`. */
export interface LeaveOneOutScore {
  readonly scale: number
  readonly nll: number
}

/** Mean negative log-likelihoods of held-out rows (and labels, or outputs). */
export interface HeldOutScores {
  readonly rows: number
  /** Of the answer. */
  readonly nll: number
  /** Of the network; regression: with the answer's noise. */
  readonly networkNll: number
  /** Of the answer that the training rows alone choose; undefined with `calibrate`. */
  readonly trainingNll: number | undefined
  /**
   * What the best answer that was found gains over that, and the standard error: it was taken where the gain is larger.
   */
  readonly gain: number | undefined
  readonly gainError: number | undefined
  /** T of temperature scaling on these rows, and its NLL there; undefined for regression. */
  readonly temperature: number | undefined
  readonly temperatureNll: number | undefined
  /** Regression: of the network's means with the noise of every output that fits these rows best. */
  readonly noiseNll: number | undefined
}

/** What was chosen. */
export interface Choice extends Answer {
  readonly subset: Subset
  readonly structure: Structure
  /** In a few words: why this posterior. */
  readonly reason: string
  /** In sentences for someone who meets the library for the first time: what the training rows say of the network. */
  readonly explanation: string
  /** The prior precision; one an output for a regression of several. */
  readonly delta: readonly number[]
  /** Standard deviation of the noise, one an output; regression. */
  readonly sigmaNoise: readonly number[] | undefined
  /**
   * The network's error on its training rows over the linear model's leave-one-out error: NLL of classes, root mean
   * square of a regression.
   */
  readonly r: number | undefined
  /** s. */
  readonly s: number
  readonly networkNll: number
  readonly leaveOneOutNll: number
  readonly leaveOneOut: readonly LeaveOneOutScore[]
  /** Rows that all this comes from: all, or a seeded sample of them. */
  readonly rows: number
  /** What held-out rows said, where there were any. */
  readonly heldOut?: HeldOutScores | undefined
}

/** Held-out scores as plain values, null where there is none. */
export function plainScores(
  { rows, nll, networkNll, trainingNll, gain, gainError, temperature, temperatureNll, noiseNll }: HeldOutScores,
): Record<string, number | null> {
  return { rows, nll, networkNll, trainingNll: trainingNll ?? null, gain: gain ?? null, gainError: gainError ?? null,
    temperature: temperature ?? null, temperatureNll: temperatureNll ?? null, noiseNll: noiseNll ?? null }
}
