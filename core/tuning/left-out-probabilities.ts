/** @file What the training rows, each predicted without itself, say of sets of classes. */
import { type LeftOutClasses, leftOutClasses } from '../conformal/calibration.js'
import type { LeftOut } from '../linear-model/leave-one-out.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import type { Answer } from '../prediction/answer.js'
import { scaledProbabilities } from '../prediction/mixture.js'

/**
 * Of the linear model alone, with the answer's link and variance: the network's part of the answer has seen the rows,
 * and with it sets would be too small. Undefined for multilabel, which has no sets.
 */
export function leftOutProbabilities({ likelihood, labels, examples, outputs }: LabelledRows,
  { f, covariance }: LeftOut, { link, varianceScale }: Pick<Answer, 'link' | 'varianceScale'>
): LeftOutClasses | undefined {
  if (likelihood.name === 'multilabel') return undefined
  const p = scaledProbabilities(link, likelihood, { f, variance: covariance, examples, outputs }, varianceScale)
  if (likelihood.name === 'classification') return leftOutClasses(p, labels, outputs)
  return leftOutClasses(Float64Array.from({ length: 2 * examples }, (_, i) => (i % 2 === 1
    ? p[(i - 1) / 2]
    : 1 - p[i / 2])), labels, 2)
}
