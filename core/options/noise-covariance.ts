/** @file The covariance of a regression's noises, checked. */
import { OptionError } from '../errors/errors.js'
import { cholesky } from '../kernels/linear-algebra.js'

/** What Sigma_cd and Sigma_dc may differ by, over the root of the variances' product. */
const ASYMMETRY = 1e-9

/** C x C numbers of rows. @throws OptionError BAD_OPTION unless they are a covariance */
export function noiseCovariance(rows: readonly ArrayLike<number>[]): Float64Array {
  const size = rows.length
  const refuse = (problem: string): OptionError =>
    new OptionError('BAD_OPTION',
      `Option sigmaNoise as a matrix is the covariance of the outputs' noises, C x C, symmetric and positive `
        + `definite; ${problem}.`, { option: 'sigmaNoise' })
  if (size === 0 || rows.some(row => row.length !== size)) {
    throw refuse(`its ${size} rows have ${Array.from(rows, row => row.length).join(', ')} numbers`)
  }
  const matrix = Float64Array.from(rows.flatMap(row => Array.from(row)))
  if (!matrix.every(Number.isFinite)) throw refuse('not all of its numbers are finite')
  for (let c = 0; c < size; c++) {
    for (let d = 0; d < c; d++) {
      const [one, other] = [matrix[c * size + d], matrix[d * size + c]]
      const scale = Math.sqrt(Math.abs(matrix[c * (size + 1)] * matrix[d * (size + 1)]))
      if (Math.abs(one - other) > ASYMMETRY * scale) throw refuse(`entries (${c}, ${d}) and (${d}, ${c}) differ`)
      matrix[c * size + d] = matrix[d * size + c] = (one + other) / 2
    }
  }
  const pivot = cholesky(size, matrix.slice())
  if (pivot >= 0) throw refuse(`at row ${pivot} it is not positive definite`)
  return matrix
}
