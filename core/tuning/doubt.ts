/**
 * @file How far a network is to be doubted on rows that it has not seen: x, the mean probability that goes to wrong
 * classes in rows left out. A network that has learnt its rows by heart says nothing of it itself. With two classes it
 * is what the linear model gives there. With more, the linear model is often unsure where the network is right: there
 * it is what the sum of both outputs gives, the network's brought to the size of the linear model's, so that a row
 * counts as far as its being left out speaks against the network. Unlike a share of wrong rows it does not jump from
 * row to row, and is above 0 where none is wrong.
 */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'

/** Whether a row has one of more than two classes. */
export function hasMoreClasses({ likelihood, outputs }: Pick<LabelledRows, 'likelihood' | 'outputs'>): boolean {
  return likelihood.name === 'classification' && outputs > 2
}

/**
 * x, from the outputs alone, without their variances.
 * @param f the network's outputs, N x C
 * @param leftOut the linear model's outputs of every row from all the others, N x C
 */
export function doubtOf(rows: LabelledRows, f: Float64Array, leftOut: Float64Array): number {
  const { likelihood, labels, examples, outputs } = rows
  const judged = hasMoreClasses(rows) ? sumOfEqualSizes(f, leftOut, outputs) : leftOut
  return wrongProbability(likelihood, likelihood.inverseLink(judged, examples, outputs), labels, outputs)
}

/** The mean probability of what did not happen: over rows, and for binary and multilabel over labels. */
function wrongProbability(likelihood: LikelihoodModel, p: Float64Array, labels: Float64Array, outputs: number): number {
  const right = likelihood.name === 'classification'
    ? labels.map((label, n) => p[n * outputs + label])
    : labels.map((label, i) => (label === 1 ? p[i] : 1 - p[i]))
  return 1 - right.reduce((sum, value) => sum + value, 0) / labels.length
}

/** Both outputs together, the first brought to the size of the second. */
function sumOfEqualSizes(f: Float64Array, reference: Float64Array, outputs: number): Float64Array {
  const own = meanSize(f, outputs)
  const factor = own === 0 ? 0 : meanSize(reference, outputs) / own
  return reference.map((value, i) => value + factor * f[i])
}

/** Mean absolute deviation of the outputs from the mean of their row, which softmax does not see. */
function meanSize(f: Float64Array, outputs: number): number {
  let sum = 0
  for (let from = 0; from < f.length; from += outputs) {
    const row = f.subarray(from, from + outputs)
    const mean = row.reduce((total, value) => total + value, 0) / outputs
    for (const value of row) sum += Math.abs(value - mean)
  }
  return sum / f.length
}
