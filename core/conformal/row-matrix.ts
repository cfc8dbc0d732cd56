/** @file Arguments of conformal prediction, checked. */
import { DataError, OptionError, ShapeError } from '../errors/errors.js'
import { checkFinite } from '../tensor/finite.js'
import { formatShape, type Tensor, toFloat64 } from '../tensor/tensor.js'

/** Finite numbers, one row for each example. */
export interface RowMatrix {
  readonly values: Float64Array
  readonly rows: number
  readonly outputs: number
}

/**
 * Reads N x C (or N, then C = 1) with at least one row.
 * @throws ShapeError, DataError EMPTY_DATA, NOT_FINITE
 */
export function rowMatrix(value: Tensor, name: string): RowMatrix {
  const [rows, outputs = 1] = value.shape
  if (value.shape.length === 0 || value.shape.length > 2 || outputs === 0) {
    throw new ShapeError(`${name} must be N x C; got ${formatShape(value.shape)}.`, { expected: ['N', 'C'],
      actual: value.shape })
  }
  if (rows === 0) throw new DataError('EMPTY_DATA', `${name} has no rows; conformal prediction needs some.`, {})
  checkFinite(value, name, outputs)
  return { values: toFloat64(value), rows, outputs }
}

/**
 * The same for a second array beside a first one.
 * @throws ShapeError when the two differ in shape
 */
export function rowMatrixLike(first: RowMatrix, value: Tensor, name: string): RowMatrix {
  const second = rowMatrix(value, name)
  if (second.rows !== first.rows || second.outputs !== first.outputs) {
    throw new ShapeError(`${name} must be ${first.rows} x ${first.outputs}; got ${formatShape(value.shape)}.`, {
      expected: [first.rows, first.outputs],
      actual: value.shape,
    })
  }
  return second
}

/**
 * Standard deviations beside means.
 * @throws ShapeError, OptionError BAD_OPTION for numbers that are not above 0, DataError NOT_FINITE
 */
export function standardDeviations(mean: RowMatrix, sd: Tensor): Float64Array {
  const { values, outputs } = rowMatrixLike(mean, sd, 'sd')
  const wrong = values.findIndex(value => !(value > 0))
  if (wrong >= 0) {
    throw new OptionError('BAD_OPTION',
      `sd must hold numbers above 0, as scores are divided by it; found ${values[wrong]} ` +
        `in row ${Math.floor(wrong / outputs)}. Add the observation noise to the variance.`, {
      option: 'sd',
      value: values[wrong],
      row: Math.floor(wrong / outputs),
    })
  }
  return values
}

/** For each output its values, rising. */
export function sortedColumns(values: Float64Array, outputs: number): Float64Array[] {
  return Array.from({ length: outputs },
    (_, c) => Float64Array.from({ length: values.length / outputs }, (_, n) => values[n * outputs + c]).sort())
}
