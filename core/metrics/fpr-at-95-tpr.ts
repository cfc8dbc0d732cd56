/**
 * @file False positive rate at 95 % true positive rate: rows that are no data and pass a check that rows of data pass.
 */
import { DataError } from '../errors/errors.js'

/**
 * The share of other rows whose uncertainty is at most t, the least threshold that lets 95 % of the data pass
 * (Liang, Li and Srikant 2018): t is the ceil(0.95 n)-th smallest uncertainty of the data.
 * @param ofData uncertainties of rows of data; higher means less like data
 * @param ofOthers uncertainties of rows that are no data
 * @throws DataError BAD_LABELS when one is empty, NOT_FINITE
 */
export function falsePositiveRateAt95(ofData: ArrayLike<number>, ofOthers: ArrayLike<number>): number {
  const [data, others] = [Float64Array.from(ofData).sort(), Float64Array.from(ofOthers)]
  if (data.length === 0 || others.length === 0) {
    throw new DataError('BAD_LABELS',
      'The false positive rate needs uncertainties of rows of data and of other rows; ' +
        `got ${data.length} and ${others.length}.`, { data: data.length, others: others.length })
  }
  if (data.some(Number.isNaN) || others.some(Number.isNaN)) {
    throw new DataError('NOT_FINITE', 'An uncertainty is not a number.', {})
  }
  // In whole numbers: 0.95 n in floating point can end above a whole number that it equals.
  const threshold = data[Math.ceil(95 * data.length / 100) - 1]
  return others.filter(value => value <= threshold).length / others.length
}
