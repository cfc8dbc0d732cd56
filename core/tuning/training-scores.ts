/** @file Network and posterior on the rows of the fit: accuracy or error, and negative log-likelihood. */
import type { Agreement } from '../likelihood/agreement.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { accuracy } from '../metrics/accuracy.js'
import { bernoulliDecisions, categoricalDecisions } from '../metrics/decisions.js'
import { gaussianNll, negativeLogNormal } from '../metrics/nll.js'
import { rmse } from '../metrics/rmse.js'
import { column } from '../tensor/column.js'
import { meanNll } from './gate.js'

/** Scores of classes or labels. */
export interface ClassScores {
  /** Mean negative log-likelihood of a label, in nats. */
  readonly nll: number
  /** Share of right answers. */
  readonly accuracy: number
}

/** Scores of a regression. */
export interface TargetScores {
  /** Mean negative log-likelihood of a target, noise included. */
  readonly nll: number
  /** Root mean squared error, over rows and outputs: of outputs on several scales the largest decides it. */
  readonly rmse: number
  /** Of several outputs, each alone. */
  readonly rmseByOutput?: readonly number[]
}

/** Scores on rows of the fit. */
export type TrainingScores = ClassScores | TargetScores

/** What a fit keeps of its rows. */
export interface TrainingRecord {
  /** The network with all rows. */
  readonly agreement: Agreement
  /** The posterior with them, or with the rows that its choice comes from; undefined where it was not worked out. */
  readonly posterior: TrainingScores | undefined
}

/** Network and posterior on the rows of the fit. */
export interface TrainingSummary {
  readonly rows: number
  readonly network: TrainingScores
  readonly posterior: TrainingScores | undefined
  /** Of the linear model, on rows that it has not seen. */
  readonly leaveOneOutNll: number | undefined
}

/** Scores of probabilities, N x C. */
export function classScores(likelihood: LikelihoodModel, p: Float64Array, labels: Float64Array,
  outputs: number): ClassScores {
  const decisions = likelihood.name === 'classification'
    ? categoricalDecisions(p, labels, outputs)
    : bernoulliDecisions(p, labels)
  return { nll: meanNll(likelihood, p, labels, outputs), accuracy: accuracy(decisions) }
}

/** Scores of Gaussian predictions: means and variances with noise, N x C. */
export function targetScores(mean: Float64Array, variance: Float64Array, labels: Float64Array,
  outputs: number): TargetScores {
  return { nll: gaussianNll(mean, variance, labels), rmse: rmse(mean, labels),
    ...byOutput(Array.from({ length: outputs }, (_, c) => rmse(column(mean, c, outputs), column(labels, c, outputs)))) }
}

function byOutput(errors: readonly number[]): Pick<TargetScores, 'rmseByOutput'> {
  return errors.length === 1 ? {} : { rmseByOutput: errors }
}

/**
 * Scores of the network on all rows.
 * @param loss the likelihood's loss, summed over the rows
 * @param noise sigma of every output, C
 * @param likelihood where the network says the noise itself: its loss is the whole negative log-likelihood
 */
export function networkScores(agreement: Agreement, loss: number, noise: Float64Array,
  likelihood?: LikelihoodModel): TrainingScores {
  const { examples, outputs } = agreement
  switch (agreement.kind) {
    case 'classes':
      return { nll: loss / examples, accuracy: agreement.right / examples }
    case 'labels': {
      const { counts } = agreement
      const right = counts.reduce((sum, count, i) => sum + (i % 4 === 0 || i % 4 === 3 ? count : 0), 0)
      return { nll: loss / (examples * outputs), accuracy: right / (examples * outputs) }
    }
    case 'targets': {
      const { residuals } = agreement
      const squares = residuals.reduce((sum, value) => sum + value, 0)
      const nll = likelihood?.observation !== undefined
        ? (loss - likelihood.logNormaliser(1, examples, noise.length)) / (examples * outputs)
        : residuals.reduce((sum, value, c) => sum + negativeLogNormal(value / examples, noise[c] ** 2), 0) / outputs
      return { nll, rmse: Math.sqrt(squares / (examples * outputs)),
        ...byOutput(Array.from(residuals, square => Math.sqrt(square / examples))) }
    }
  }
}
