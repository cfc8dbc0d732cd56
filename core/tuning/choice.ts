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
  readonly networkNll: number
  /** T of temperature scaling on these rows, and its NLL there; undefined for regression. */
  readonly temperature: number | undefined
  readonly temperatureNll: number | undefined
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
