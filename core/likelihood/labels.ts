/** @file Labels checked against the likelihood. */
import { DataError, ShapeError } from '../errors/errors.js'
import { hasLogits, hasNumbers } from '../options/likelihood-kinds.js'
import type { Likelihood } from '../options/words.js'
import { checkFinite } from '../tensor/finite.js'
import { demandTensor, formatShape, type Tensor } from '../tensor/tensor.js'
import type { OutputLayout } from './output-layout.js'
import { NO_LABEL, positionLabels } from './position-labels.js'
import { likelihoodModel } from './registry.js'

/**
 * Labels in the form that the likelihoods take: class numbers (n x T), or n x T x C values; NaN where a position is
 * left out.
 */
export interface Labels {
  readonly values: Float64Array
  readonly n: number
}

/**
 * Checks labels against the likelihood and brings them to one form.
 * @param y classification: n integers 0..C-1; binary, multilabel: n x C of 0 and 1; regression, poisson: n x C (n alone
 * for C = 1); heteroscedastic: n x C/2; of a network with positions one label, or C values, a position
 * @throws DataError EMPTY_DATA, BAD_LABELS, NOT_FINITE; ShapeError when the numbers of rows differ
 */
export function checkLabels(y: Tensor, likelihood: Likelihood, n: number, layout: OutputLayout): Labels {
  demandTensor('y', y)
  const { outputs } = layout
  const rows = y.shape[0] ?? 0
  if (rows !== n) {
    throw new ShapeError(`x has ${n} rows and y has ${rows}; each example needs its label.`, { expected: n,
      actual: rows })
  }
  if (rows === 0) throw new DataError('EMPTY_DATA', `There are no examples: y is ${formatShape(y.shape)}.`)
  const width = y.data.length / rows
  if (layout.positions.length > 0) {
    if (hasNumbers(likelihood)) checkFiniteTargets(y)
    else checkFinite(y, 'y', width)
    const values = positionLabels(y, likelihood, layout)
    if (likelihood === 'classification') checkClassNumbers(values, outputs)
    else if (hasLogits(likelihood)) checkZeroOne(values, outputs, likelihood)
    else if (likelihood === 'poisson') checkCounts(values, outputs)
    return { values, n }
  }
  checkFinite(y, 'y', width)
  if (likelihood === 'custom') return { values: ownTerms(y, width, outputs), n }
  if (likelihood === 'classification') return { values: classNumbers(y, width, outputs), n }
  const wanted = likelihoodModel(likelihood).targetWidth(outputs)
  if (width !== wanted) {
    const meaning = wanted === outputs ? '' : `, ${wanted} mean${wanted === 1 ? '' : 's'} and as many log variances`
    throw new ShapeError(
      `The network has ${outputs} output${outputs === 1 ? '' : 's'}${meaning}, so y must be ${n} x ${wanted}; it is ${
        formatShape(y.shape)
      }.`,
      { expected: [n, wanted], actual: y.shape },
    )
  }
  const values = Float64Array.from(y.data)
  if (likelihood === 'binary' || likelihood === 'multilabel') checkZeroOne(values, width, likelihood)
  if (likelihood === 'poisson') checkCounts(values, width)
  return { values, n }
}

/** Loss, derivatives and roots of every row. */
function ownTerms(y: Tensor, width: number, outputs: number): Float64Array {
  const roots = (width - 1 - outputs) / outputs
  if (Number.isInteger(roots) && roots > 0) return Float64Array.from(y.data)
  throw new ShapeError(
    `Targets of likelihood 'custom' are of every row its loss, its ${outputs} derivatives and K roots of ${outputs} `
      + `numbers: 1 + ${outputs} + ${outputs} K columns; there are ${width}.`,
    { actual: y.shape },
  )
}

function classNumbers(y: Tensor, width: number, outputs: number): Float64Array {
  if (y.dtype === 'bool' && outputs === 2 && width === 1) {
    throw new DataError('BAD_LABELS',
      'Class labels must be integers 0 to 1; y is boolean. Convert it (false to 0, true to 1).', { outputs })
  }
  if (width === outputs && width > 1) {
    throw new DataError('BAD_LABELS',
      `y is ${formatShape(y.shape)}, which looks one-hot; give class numbers instead: one integer 0 to ${
        outputs - 1
      } a row (the argmax of each row).`, { outputs })
  }
  if (width !== 1) {
    throw new DataError('BAD_LABELS', `Class labels must be one integer a row; y is ${formatShape(y.shape)}.`, {
      actual: y.shape,
    })
  }
  const values = Float64Array.from(y.data)
  checkClassNumbers(values, outputs)
  return values
}

/** NaN stands for a position that is left out. */
function checkClassNumbers(values: Float64Array, outputs: number): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i]) || (Number.isInteger(values[i]) && values[i] >= 0 && values[i] < outputs)) continue
    const why = !Number.isInteger(values[i]) ?
      'is not an integer (for real-valued targets use the likelihood regression)'
      : values[i] === outputs
      ? `is out of range (are the labels counted from 1? subtract 1)`
      : values[i] === NO_LABEL
      ? 'leaves out positions of an example; an example that does not count is left out of x and y'
      : 'is out of range'
    throw new DataError('BAD_LABELS',
      `Class labels must be integers 0 to ${outputs - 1}, because the network has ${outputs} outputs; y[${i}] = ${
        values[i]
      } ${why}.`, { row: i, value: values[i], outputs })
  }
}

/** Targets may be NaN, where there are none, but not infinite. */
function checkFiniteTargets({ data }: Tensor): void {
  const wrong = data.findIndex((value: number) => Math.abs(value) === Infinity)
  if (wrong < 0) return
  throw new DataError('NOT_FINITE',
    `y must hold finite numbers, or NaN at positions that are left out; found ${data[wrong]}.`, { array: 'y',
    value: String(data[wrong]) })
}

/** Counts; numbers between them are taken by the gamma function, as those of rows that stand for several. */
function checkCounts(values: Float64Array, width: number): void {
  const wrong = values.findIndex(value => value < 0)
  if (wrong < 0) return
  const row = Math.floor(wrong / width)
  throw new DataError('BAD_LABELS',
    `Targets of the likelihood poisson are counts, not negative; y[${row}] = ${
      values[wrong]
    }. For other targets use the likelihood regression.`, { row, value: values[wrong] })
}

function checkZeroOne(values: Float64Array, width: number, likelihood: string): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0 || values[i] === 1 || Number.isNaN(values[i])) continue
    const hint = values.includes(-1) ? ' Labels -1 and 1 become 0 and 1 by (y + 1) / 2.' : ''
    throw new DataError('BAD_LABELS',
      `Labels of the likelihood ${likelihood} must be 0 or 1; y[${Math.floor(i / width)}] = ${values[i]}.${hint}`, {
      row: Math.floor(i / width),
      value: values[i],
    })
  }
}
