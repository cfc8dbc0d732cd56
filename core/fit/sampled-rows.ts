/** @file The rows that leave-one-out scores of a last layer come from: all of them, or a seeded sample. */

import { exampleRows } from '../answer/left-out-examples.js'
import type { PosteriorState } from '../answer/posterior-state.js'
import { likelihoodModel } from '../likelihood/registry.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import type { LinearData } from '../sums/linear-data.js'
import { sampledRows, takeRows } from '../tensor/rows.js'

/** Numbers that the covariances of the sampled rows may hold together. */
const COVARIANCE_NUMBERS = 1 << 24
/** Outputs up to which a row's whole covariance is used. */
export const MOST_COVARIANCES = 200
/** The smallest part of an output's precision that is left without a row. */
export const SMALLEST_REST = 1e-3
/** Rows that leave-one-out scores come from; more say hardly more. */
const MOST_ROWS = 5000

/** The rows of a sample with their features. */
export interface SampledRows extends LabelledRows {
  readonly features: Float64Array
  /** Rows of each example, where an example has several. */
  readonly sizes?: Int32Array
}

/** All rows, or a seeded sample whose covariances are affordable. */
export function sampleRows(data: LinearData, outputs: number, width: number,
  { options, structured }: PosteriorState): SampledRows {
  const { features, labels, examples } = data
  const likelihood = likelihoodModel(options.likelihood, { labelSmoothing: options.labelSmoothing })
  if (data.sizes !== undefined) {
    const most = Math.floor(COVARIANCE_NUMBERS / (outputs * outputs))
    const rows = exampleRows(data, structured.size, width, most, options.seed)
    return { likelihood, outputs, examples: rows.labels.length / width, ...rows }
  }
  const numbers = outputs > MOST_COVARIANCES && likelihood.name !== 'regression' ? outputs : outputs * outputs
  const count = Math.min(examples, MOST_ROWS, Math.max(1, Math.floor(COVARIANCE_NUMBERS / numbers)))
  const chosen = sampledRows(examples, count, options.seed)
  return { likelihood, examples: count, outputs, features: takeRows(features, chosen, features.length / examples),
    labels: takeRows(labels, chosen, width) }
}
