/**
 * @file Jackknife+ (Barber, Candes, Ramdas and Tibshirani 2021, "Predictive inference with the jackknife+"): intervals
 * from leave-one-out predictions, with a guarantee and without held-out rows.
 */
import { ShapeError } from '../errors/errors.js'
import { checkFinite } from '../tensor/finite.js'
import { float64, formatShape, type Tensor } from '../tensor/tensor.js'
import type { Intervals } from './intervals.js'
import { conformalRank, shortageNote } from './quantile.js'
import { rowMatrix } from './row-matrix.js'

/**
 * For every output: lower = the (n + 1 - k)-th smallest of mu_-i(x) - |r_i|, upper = the k-th smallest of
 * mu_-i(x) + |r_i|, k = ceil((n + 1) level). Covers with probability 2 level - 1 at least (Theorem 1), with about
 * `level` where the fit hardly moves when a row is left out. The guarantee is for leave-one-out fits that are exact; a
 * closed form of a linear model whose prior was tuned on all rows is nearly so.
 * @param residuals n x C: y_i - mu_-i(x_i)
 * @param leaveOneOut M x n x C: mu_-i(x) at the new rows x
 * @param level between 0 and 1
 * @throws OptionError BAD_OPTION, ShapeError, DataError EMPTY_DATA, NOT_FINITE
 */
export function jackknifePlusIntervals(residuals: Tensor, leaveOneOut: Tensor, level: number): Intervals {
  const { values, rows: n, outputs } = rowMatrix(residuals, 'residuals')
  const [m = 0, inner, width = 1] = leaveOneOut.shape
  if (leaveOneOut.shape.length > 3 || inner !== n || width !== outputs) {
    throw new ShapeError(`leaveOneOut must be M x ${n} x ${outputs}; got ${formatShape(leaveOneOut.shape)}.`, {
      expected: ['M', n, outputs],
      actual: leaveOneOut.shape,
    })
  }
  checkFinite(leaveOneOut, 'leaveOneOut', n * outputs)
  const rank = conformalRank(n, level)
  const [lower, upper] = [new Float64Array(m * outputs), new Float64Array(m * outputs)]
  for (let i = 0; i < m * outputs; i++) {
    const [row, c] = [Math.floor(i / outputs), i % outputs]
    const sizes = Float64Array.from({ length: n }, (_, j) => Math.abs(values[j * outputs + c]))
    const means = Float64Array.from({ length: n }, (_, j) => leaveOneOut.data[(row * n + j) * outputs + c])
    lower[i] = rank > n ? -Infinity : means.map((mean, j) => mean - sizes[j]).sort()[n - rank]
    upper[i] = rank > n ? Infinity : means.map((mean, j) => mean + sizes[j]).sort()[rank - 1]
  }
  const note = shortageNote(n, level)
  return { level, lower: float64([m, outputs], lower), upper: float64([m, outputs], upper),
    guarantee: Math.max(0, 2 * level - 1), approximate: false, ...(note === undefined ? {} : { note }) }
}
