/**
 * @file Application of the reflectors of the tridiagonal reduction to the eigenvectors, many at once: a product of
 * reflectors is I - Y T Yᵀ with a small triangular T (Schreiber & Van Loan 1989, compact WY form), so that nearly all
 * work is matrix products.
 */
import { multiply } from './gemm'
import { pause } from './pause'
import { dot } from './vector'

/** Reflectors applied at once. */
const GROUP: i32 = 64
/** Share of a decomposition that is done before, about. */
const DONE_BEFORE: f64 = 0.75
/** Rows of stride ld of workspace for the reflectors. */
export const REFLECTOR_ROWS: i32 = 128

const triangle: usize = memory.data(64 * 64 * 8, 16)

/**
 * R <- R H_1 H_2 ... H_{n-1} for the eigenvectors of T in the rows of R, which become those of A.
 * @param a reflectors as `reduceToTridiagonal` leaves them
 * @param work REFLECTOR_ROWS rows of stride ld, then n x GROUP numbers
 */
export function applyReflectors(n: i32, a: usize, ld: i32, tau: usize, r: usize, work: usize): void {
  const stride = <usize> ld << 3
  const scaled = work + GROUP * stride
  const products = work + REFLECTOR_ROWS * stride
  for (let first = 1; first < n; first += GROUP) {
    const count = min(GROUP, n - first)
    const length = first + count - 1
    if (n > 256) pause(DONE_BEFORE + (1 - DONE_BEFORE) * <f64> first * <f64> first / (<f64> n * <f64> n))
    for (let q = 0; q < count; q++) {
      const used = <usize> (first + q) << 3
      memory.copy(work + <usize> q * stride, a + <usize> (first + q) * stride, used)
      memory.fill(work + <usize> q * stride + used, 0, (<usize> length << 3) - used)
    }
    makeTriangle(count, length, work, stride, tau + (<usize> first << 3))
    memory.fill(scaled, 0, <usize> count * stride)
    multiply<f64, f64>(false, false, false, count, length, count, 1, triangle, GROUP, work, ld, scaled, ld)
    memory.fill(products, 0, <usize> n * (GROUP << 3))
    multiply<f64, f64>(false, false, true, n, count, length, 1, r, ld, work, ld, products, GROUP)
    multiply<f64, f64>(false, false, false, n, length, count, -1, products, GROUP, scaled, ld, r, ld)
  }
}

/** The upper triangle T of H_1 ... H_count = I - Y T Yᵀ, reflectors in the rows of `y`. */
function makeTriangle(count: i32, length: i32, y: usize, stride: usize, tau: usize): void {
  memory.fill(triangle, 0, 64 * 64 * 8)
  for (let q = 0; q < count; q++) {
    const factor = load<f64>(tau + (<usize> q << 3))
    for (let p = 0; p < q; p++) store<f64>(element(p, q), dot(length, y + <usize> p * stride, y + <usize> q * stride))
    // T[0..q, q] = -tau_q T[0..q, 0..q] (Yᵀ v_q), from the first row on, as row p needs only the rows after it.
    for (let p = 0; p < q; p++) {
      let sum: f64 = 0
      for (let s = p; s < q; s++) sum += load<f64>(element(p, s)) * load<f64>(element(s, q))
      store<f64>(element(p, q), -factor * sum)
    }
    store<f64>(element(q, q), factor)
  }
}

// @ts-ignore: decorator
@inline
function element(i: i32, j: i32): usize {
  return triangle + (<usize> (i * GROUP + j) << 3)
}
