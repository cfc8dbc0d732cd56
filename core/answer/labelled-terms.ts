/** @file Labels of rows term by term, with what belongs to the terms that have one. */
import { checkLabels } from '../likelihood/labels.js'
import { type OutputLayout, termsOf } from '../likelihood/output-layout.js'
import { labelledTerms } from '../likelihood/position-labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import type { Likelihood } from '../options/words.js'
import { takeRows } from '../tensor/rows.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'

/** The terms that have a label. */
export interface LabelledTerms {
  readonly count: number
  /** As the likelihood takes them. */
  readonly labels: Float64Array
  /** The same as a tensor: count, or count x C. */
  readonly y: Tensor
  /** The rows of numbers of all terms that have a label. */
  of(values: Float64Array, columns: number): Float64Array
  /** As `of`, for N x ... of all terms. */
  rows(values: Tensor): Tensor
}

/** The labels of some rows. @throws ShapeError, DataError */
export function labelled(y: Tensor, likelihood: Likelihood, examples: number, layout: OutputLayout): LabelledTerms {
  const { values } = checkLabels(y, likelihood, examples, layout)
  const width = likelihoodModel(likelihood).targetWidth(layout.outputs)
  const kept = labelledTerms(values, width)
  const of = (all: Float64Array,
    columns: number): Float64Array => (kept === undefined ? all : takeRows(all, kept, columns))
  const labels = of(values, width)
  const count = kept?.length ?? examples * termsOf(layout)
  return {
    count,
    labels,
    y: float64(width === 1 ? [count] : [count, width], labels),
    of,
    rows: tensor => {
      const [, ...rest] = tensor.shape
      return kept === undefined
        ? tensor
        : float64([count, ...rest], of(toFloat64(tensor), rest.reduce((size, extent) => size * extent, 1)))
    },
  }
}
