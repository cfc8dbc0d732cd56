/** @file The terms of a linear model's rows: an example of one term is one row, one of several positions is several. */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { labelledTerms } from '../likelihood/position-labels.js'
import { takeRows } from '../tensor/rows.js'
import type { LeftOut } from './leave-one-out.js'
import type { LabelledRows } from './linear-problem.js'

/** The terms that have a label, one a row. */
export interface TermRows {
  readonly rows: LabelledRows
  /** Of numbers N x (T C) those of the rows, M x C. */
  values(all: Float64Array): Float64Array
  /** Of covariances N x (T C) x (T C) those of each row, M x C x C. */
  covariances(all: Float64Array): Float64Array
  /** Both of what was left out. */
  leftOut(all: LeftOut): LeftOut
}

/**
 * The terms of N examples.
 * @param term the likelihood of one
 * @param labels N x T x width, NaN where a term is left out
 */
export function termRows(term: LikelihoodModel, terms: number, outputs: number, labels: Float64Array,
  examples: number): TermRows {
  const width = term.targetWidth(outputs)
  const kept = labelledTerms(labels, width)
  const of = (all: Float64Array, columns: number): Float64Array =>
    kept === undefined ? all : takeRows(all, kept, columns)
  const covariances = (all: Float64Array): Float64Array =>
    of(terms === 1 ? all : diagonalBlocks(all, examples, terms, outputs), outputs * outputs)
  const values = (all: Float64Array): Float64Array => of(all, outputs)
  return {
    rows: { likelihood: term, outputs, labels: of(labels, width), examples: kept?.length ?? examples * terms },
    values,
    covariances,
    leftOut: ({ f, covariance }) => ({ f: values(f), covariance: covariances(covariance) }),
  }
}

/** The C x C blocks on the diagonal of each (T C) x (T C) matrix. */
function diagonalBlocks(all: Float64Array, examples: number, terms: number, outputs: number): Float64Array {
  const result = new Float64Array(examples * terms * outputs * outputs)
  const wide = terms * outputs
  for (let row = 0; row < examples * wide; row++) {
    const from = row * wide + Math.floor((row % wide) / outputs) * outputs
    result.set(all.subarray(from, from + outputs), row * outputs)
  }
  return result
}
