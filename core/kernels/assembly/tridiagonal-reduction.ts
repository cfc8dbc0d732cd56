/**
 * @file Reduction of a symmetric matrix to tridiagonal form by Householder reflectors, a panel of rows at a time
 * (Dongarra, Hammarling & Sorensen 1989): inside a panel the matrix is left as it was and the reflectors are applied to
 * vectors only; then the whole panel is applied as one symmetric product. Rows are reduced from the last to the first,
 * so that the lower triangle's rows, which lie along memory, are what is reflected, and what remains is a leading
 * block.
 */
import { multiply } from './gemm'
import { pause } from './pause'
import { addMultiple, addRows, dot, rowsTimes, scaleVector, symmetricTimes } from './vector'

/** Rows from which on each lets the host look. */
const LONG: i32 = 256
/** Share of a decomposition that the reduction takes, about. */
export const REDUCTION_SHARE: f64 = 0.55
/** Rows of one panel. */
const PANEL: i32 = 32
/**
 * Rows of workspace: the panel's reflectors v, its vectors w, and v again, so that both [v w] and [w v] lie along
 * memory.
 */
export const REDUCTION_ROWS: i32 = 96

const factorsV: usize = memory.data(32 * 8, 16)
const factorsW: usize = memory.data(32 * 8, 16)

/**
 * A = Q T Qᵀ with Q = H_{n-1} ... H_1 and H_i = I - tau_i v_i v_iᵀ, where v_i has i numbers, the last one 1.
 * @param a lower triangle; afterwards row i holds v_i in its first i numbers
 * @param ld stride of rows in numbers
 * @param diagonal n numbers of T
 * @param below n - 1 numbers of T: between i and i + 1
 * @param tau n numbers
 * @param work REDUCTION_ROWS rows of stride ld
 */
export function reduceToTridiagonal(n: i32, a: usize, ld: i32, diagonal: usize, below: usize, tau: usize,
  work: usize): void {
  const stride = <usize> ld << 3
  const w = work + PANEL * stride
  const whole = <f64> n * <f64> n * <f64> n
  for (let end = n; end > 0; end -= PANEL) {
    const start = max(end - PANEL, 0)
    for (let i = end - 1; i >= start; i--) {
      if (i > LONG) pause(REDUCTION_SHARE * (1 - <f64> i * <f64> i * <f64> i / whole))
      reduceRow(i, end - 1 - i, a, stride, diagonal, below, tau, work)
    }
    if (start > 0) multiply<f64, f64>(true, true, false, start, start, 2 * PANEL, -1, work, ld, w, ld, a, ld)
  }
}

/** Reduces row i, of which `done` rows below in the same panel have not been applied to the matrix yet. */
function reduceRow(i: i32, done: i32, a: usize, stride: usize, diagonal: usize, below: usize, tau: usize,
  work: usize): void {
  const row = a + <usize> i * stride
  const workV = work
  const workW = work + PANEL * stride
  for (let q = 0; q < done; q++) {
    const at = <usize> q * stride + (<usize> i << 3)
    store<f64>(factorsV + (<usize> q << 3), -load<f64>(workW + at))
    store<f64>(factorsW + (<usize> q << 3), -load<f64>(workV + at))
  }
  addRows(done, i + 1, factorsV, workV, stride, row)
  addRows(done, i + 1, factorsW, workW, stride, row)
  store<f64>(diagonal + (<usize> i << 3), load<f64>(row + (<usize> i << 3)))
  if (i == 0) return
  const factor = reflect(i, row, below + (<usize> (i - 1) << 3))
  store<f64>(tau + (<usize> i << 3), factor)
  const v = workV + <usize> done * stride
  const w = workW + <usize> done * stride
  memory.copy(v, row, <usize> i << 3)
  memory.copy(workW + <usize> (PANEL + done) * stride, row, <usize> i << 3)
  symmetricTimes(i, a, stride, v, w)
  rowsTimes(done, i, -1, workW, stride, v, factorsV)
  rowsTimes(done, i, -1, workV, stride, v, factorsW)
  addRows(done, i, factorsV, workV, stride, w)
  addRows(done, i, factorsW, workW, stride, w)
  scaleVector(i, factor, w)
  addMultiple(i, -0.5 * factor * dot(i, w, v), v, w)
}

/**
 * Turns a row of n numbers into the reflector that makes all but its last one zero, whose new value goes to `value`.
 * Returns tau.
 */
function reflect(n: i32, row: usize, value: usize): f64 {
  const last = row + (<usize> (n - 1) << 3)
  const alpha = load<f64>(last)
  const rest = dot(n - 1, row, row)
  store<f64>(last, 1)
  if (rest == 0) {
    store<f64>(value, alpha)
    return 0
  }
  const beta = -copysign<f64>(sqrt(alpha * alpha + rest), alpha)
  scaleVector(n - 1, 1 / (alpha - beta), row)
  store<f64>(value, beta)
  return (beta - alpha) / beta
}
