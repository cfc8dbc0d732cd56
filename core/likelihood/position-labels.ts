/** @file Labels of networks that answer at several positions of an example: one label, or C numbers, a position. */
import { DataError, ShapeError } from '../errors/errors.js'
import { hasNumbers } from '../options/likelihood-kinds.js'
import type { Likelihood } from '../options/words.js'
import { allFinite } from '../tensor/finite.js'
import { formatShape, sizeOf, type Tensor } from '../tensor/tensor.js'
import { type OutputLayout, ownShape, termByTerm, termsOf } from './output-layout.js'

/** The class number of a position that has no label, as torch has it. */
export const NO_LABEL = -100

/**
 * The labels position by position, N x T or N x T x C; all numbers of a position that is left out are NaN. Left out are
 * positions of class (or 0-1) label -100, and of a target that is NaN.
 * @throws ShapeError where labels are not one a position; DataError EMPTY_DATA where every position is left out,
 *   BAD_LABELS where a part of one is
 */
export function positionLabels(y: Tensor, likelihood: Likelihood, layout: OutputLayout): Float64Array {
  const examples = y.shape[0] ?? 0
  const single = likelihood === 'classification' || layout.outputs === 1
  const wanted = single ? layout.positions : ownShape(layout)
  const rest = y.shape.slice(1)
  if (withoutOnes(rest) !== withoutOnes(wanted)) throw wrongShape(y, likelihood, layout, wanted)
  const width = single ? 1 : layout.outputs
  const values = Float64Array.from(width === 1 ? y.data : termByTerm(layout, y.data, examples))
  for (let term = 0; term < values.length; term += width) {
    const own = values.subarray(term, term + width)
    const absent = own.filter(value => (hasNumbers(likelihood) ? Number.isNaN(value) : value === NO_LABEL)).length
    if (absent === width) own.fill(NaN)
    else if (absent > 0) throw partlyAbsent(Math.floor(term / (values.length / examples)))
  }
  if (values.length > 0 && values.every(Number.isNaN)) {
    throw new DataError('EMPTY_DATA', 'Every position of y is left out, so that there is nothing to fit to.', {
      actual: y.shape,
    })
  }
  return values
}

/** The terms that have a label, where some have none. @param width numbers of a label */
export function labelledTerms(values: Float64Array, width: number): Int32Array | undefined {
  if (allFinite(values)) return undefined
  return Int32Array.from({ length: values.length / width }, (_, term) => term).filter(term =>
    !Number.isNaN(values[term * width])
  )
}

function partlyAbsent(row: number): DataError {
  return new DataError('BAD_LABELS',
    `In row ${row} some numbers of a position of y are left out and others are not; leave out whole positions.`, {
    row,
  })
}

function withoutOnes(shape: readonly number[]): string {
  return shape.filter(extent => extent !== 1).join()
}

function wrongShape(y: Tensor, likelihood: Likelihood, layout: OutputLayout, wanted: readonly number[]): Error {
  const { positions, outputs } = layout
  const own = formatShape(['N', ...ownShape(layout)])
  const data = { expected: ['N', ...wanted], actual: y.shape }
  const rest = y.shape.slice(1)
  if (likelihood === 'classification' && withoutOnes(rest) === withoutOnes(ownShape(layout))) {
    return new DataError('BAD_LABELS',
      `y is ${formatShape(y.shape)}, which looks one-hot; give class numbers instead: ${
        formatShape(['N', ...wanted])
      } ` +
        `integers 0 to ${outputs - 1} (the argmax along axis ${layout.classAxis ?? 1}).`, data)
  }
  const answers = `The network answers at ${formatShape(positions)} positions of every row (its output is ${own})`
  const masked = hasNumbers(likelihood) ? 'NaN' : String(NO_LABEL)
  const each = `labels of each position, ${formatShape(['N', ...wanted])} (${masked} leaves a position out)`
  return new ShapeError(
    sizeOf(rest) === 1 || (likelihood !== 'classification' && sizeOf(rest) === outputs)
      ? `${answers}, and y has one label a row (${
        formatShape(y.shape)
      }). Give ${each}; or, where one label is meant for ` +
        "the whole row, let the mean, the first or the last position answer (option positions: 'mean', 'first', " +
        "'last'), or pool the positions in the network, before its last layer."
      : `${answers}, so that y must hold ${each}; it is ${formatShape(y.shape)}.`,
    data,
  )
}

/** Labels of the terms that have one, and how many of them each example has. */
export interface LabelledExamples {
  readonly labels: Float64Array
  readonly sizes: Int32Array
}

/** The labels that are there. @param width numbers of a label @param terms positions of an example, T */
export function labelledExamples(values: Float64Array, width: number, terms: number): LabelledExamples {
  const sizes = new Int32Array(values.length / (width * terms))
  const labels = values.filter((value, i) => {
    if (Number.isNaN(value)) return false
    if (i % width === 0) sizes[Math.floor(i / (width * terms))]++
    return true
  })
  return { labels, sizes }
}

/** Says how many positions have no label. */
export function leftOutNote(values: Float64Array, layout: OutputLayout, width: number): string | undefined {
  const kept = labelledTerms(values, width)
  const terms = values.length / width
  return kept === undefined || termsOf(layout) === 1
    ? undefined
    : `${terms - kept.length} of ${terms} positions have no label and are left out.`
}
