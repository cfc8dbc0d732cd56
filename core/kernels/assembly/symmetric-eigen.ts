/**
 * @file Eigen-decomposition of a symmetric matrix: reduction to tridiagonal form, divide and conquer,
 * back-transformation.
 */
import { applyReflectors, REFLECTOR_ROWS } from './back-transformation'
import { divideAndConquer, divideBytes } from './divide-and-conquer'
import { at, indexAt, put } from './f64-array'
import { implicitQl } from './implicit-ql'
import { reduceToTridiagonal, REDUCTION_ROWS } from './tridiagonal-reduction'

/**
 * Bytes of workspace beside the matrix itself: the eigenvectors, five vectors, and what the stages use one after
 * another.
 */
export function eigenWorkBytes(n: i32, ld: i32): usize {
  const rows = <usize> ld << 3
  const transformation = max(REDUCTION_ROWS, REFLECTOR_ROWS) * rows + <usize> n * 512
  return <usize> n * rows + 5 * rows + max(divideBytes(n, ld), transformation)
}

/**
 * @param a n rows of stride ld (even): the lower triangle is read; overwritten with the eigenvectors as columns
 * @param values n numbers: the eigenvalues, ascending
 * @param work eigenWorkBytes(n, ld) bytes
 * @returns whether it converged
 */
export function decompose(n: i32, a: usize, ld: i32, values: usize, work: usize): bool {
  const rows = <usize> ld << 3
  const vectors = work
  const diagonal = vectors + <usize> n * rows
  const below = diagonal + rows
  const tau = below + rows
  const ascending = tau + rows
  const scratch = ascending + rows
  reduceToTridiagonal(n, a, ld, diagonal, below, tau, scratch)
  const scale = normalise(n, diagonal, below)
  if (!divideAndConquer(n, diagonal, below, vectors, ld, ascending, scratch)) return false
  applyReflectors(n, a, ld, tau, vectors, scratch)
  for (let i = 0; i < n; i++) put(values, i, scale * at(diagonal, indexAt(ascending, i)))
  transposeRows(n, vectors, ascending, a, rows)
  return true
}

/** Bytes of workspace of `eigenvalues` beside the matrix itself: two vectors, and what the reduction uses. */
export function eigenvalueWorkBytes(n: i32, ld: i32): usize {
  const rows = <usize> ld << 3
  return 2 * rows + REDUCTION_ROWS * rows + <usize> n * 512
}

/**
 * The eigenvalues alone, which take a fifth of the time.
 * @param a n rows of stride ld (even): the lower triangle is read; overwritten
 * @param values n numbers: the eigenvalues, in no order
 * @param work eigenvalueWorkBytes(n, ld) bytes
 * @returns whether it converged
 */
export function eigenvalues(n: i32, a: usize, ld: i32, values: usize, work: usize): bool {
  const rows = <usize> ld << 3
  const below = work
  const tau = below + rows
  reduceToTridiagonal(n, a, ld, values, below, tau, tau + rows)
  const scale = normalise(n, values, below)
  if (!implicitQl(n, values, below, 0, 0)) return false
  for (let i = 0; i < n; i++) put(values, i, scale * at(values, i))
  return true
}

/**
 * Divides the tridiagonal matrix by its largest number, as deflation compares values with weights of length one;
 * returns that number.
 */
function normalise(n: i32, diagonal: usize, below: usize): f64 {
  let largest = abs(at(diagonal, n - 1))
  for (let i = 0; i < n - 1; i++) largest = max(largest, max(abs(at(diagonal, i)), abs(at(below, i))))
  if (largest == 0) return 1
  for (let i = 0; i < n; i++) put(diagonal, i, at(diagonal, i) / largest)
  for (let i = 0; i < n - 1; i++) put(below, i, at(below, i) / largest)
  return largest
}

/** Column j of `to` = row `order[j]` of `from`. */
function transposeRows(n: i32, from: usize, order: usize, to: usize, stride: usize): void {
  const block = 16
  for (let first = 0; first < n; first += block) {
    for (let column = 0; column < n; column += block) {
      for (let j = first; j < min(first + block, n); j++) {
        const row = from + <usize> indexAt(order, j) * stride
        for (let i = column; i < min(column + block, n); i++) put(to + <usize> i * stride, j, at(row, i))
      }
    }
  }
}
