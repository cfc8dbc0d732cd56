/**
 * @file Eigen-decomposition of a symmetric tridiagonal matrix by divide and conquer (Cuppen 1981; Gu & Eisenstat 1995):
 * two halves are solved and joined by a matrix of rank one, whose eigenvectors turn those of the halves by one matrix
 * product. Eigenvectors are rows throughout, so that rotating and moving them runs along memory.
 */
import { at, indexAt, put, putIndex } from './f64-array'
import { multiply } from './gemm'
import { implicitQl } from './implicit-ql'
import { pause } from './pause'
import { secularRoot } from './secular-equation'

/** Matrices up to this size are solved by QL steps. */
const LEAF: i32 = 32

/** Roots of one update from which on each lets the host look. */
const LONG: i32 = 256

/** Kinds of eigenvectors: from the first half, with numbers in both, from the second half, left as they are. */
const FIRST: i32 = 0
const BOTH: i32 = 1
const SECOND: i32 = 2
const LEFT: i32 = 3

/** Workspace of one decomposition; every merge uses all of it from its beginning. */
let ld: i32 = 0
let stride: usize = 0
/** n rows: the old eigenvectors that are to be multiplied, then those left as they are. */
let packed: usize = 0
/** n rows: the eigenvectors of the rank-one update. */
let update: usize = 0
/** Vectors of n numbers. */
let z: usize = 0
let poles: usize = 0
let weights: usize = 0
let refined: usize = 0
let differences: usize = 0
let leftValues: usize = 0
/** Arrays of n indexes. */
let order: usize = 0
let kind: usize = 0
let kept: usize = 0
let left: usize = 0
let packedAt: usize = 0

/** Bytes of workspace for n rows of stride `rowNumbers`. */
export function divideBytes(n: i32, rowNumbers: i32): usize {
  return 2 * <usize> n * (<usize> rowNumbers << 3) + 6 * (<usize> rowNumbers << 3) + 5 * (<usize> rowNumbers << 2)
}

/**
 * @param d n numbers of the diagonal; overwritten with the eigenvalues
 * @param e n - 1 numbers beside it, and room for one more; overwritten
 * @param q n x n rows of stride `rowNumbers`: overwritten, row r is the eigenvector of value r
 * @param ascending n indexes: the values in ascending order
 * @returns whether it converged
 */
export function divideAndConquer(n: i32, d: usize, e: usize, q: usize, rowNumbers: i32, ascending: usize,
  work: usize): bool {
  ld = rowNumbers
  stride = <usize> ld << 3
  packed = work
  update = packed + <usize> n * stride
  z = update + <usize> n * stride
  poles = z + stride
  weights = poles + stride
  refined = weights + stride
  differences = refined + stride
  leftValues = differences + stride
  order = leftValues + stride
  kind = order + (stride >> 1)
  kept = kind + (stride >> 1)
  left = kept + (stride >> 1)
  packedAt = left + (stride >> 1)
  return solve(n, d, e, q, ascending)
}

function solve(n: i32, d: usize, e: usize, q: usize, ascending: usize): bool {
  if (n <= LEAF) {
    const converged = implicitQl(n, d, e, q, ld)
    for (let i = 0; i < n; i++) putIndex(ascending, i, i)
    sortIndexes(n, ascending, d)
    return converged
  }
  const n1 = n / 2
  const n2 = n - n1
  const coupling = at(e, n1 - 1)
  put(d, n1 - 1, at(d, n1 - 1) - abs(coupling))
  put(d, n1, at(d, n1) - abs(coupling))
  const half = <usize> n1 << 3
  const q2 = q + <usize> n1 * stride + half
  const ascending2 = ascending + (<usize> n1 << 2)
  if (!solve(n1, d, e, q, ascending)) return false
  if (!solve(n2, d + half, e + half, q2, ascending2)) return false
  for (let i = 0; i < n1; i++) memory.fill(q + <usize> i * stride + half, 0, <usize> n2 << 3)
  for (let i = n1; i < n; i++) memory.fill(q + <usize> i * stride, 0, half)
  merge(n, n1, coupling, d, q, ascending)
  return true
}

/** Joins two solved halves: the matrix is diag(d) + |coupling| v vᵀ in the basis of their eigenvectors. */
function merge(n: i32, n1: i32, coupling: f64, d: usize, q: usize, ascending: usize): void {
  const column = <usize> n1 << 3
  const sign = copysign<f64>(Math.SQRT1_2, coupling)
  for (let i = 0; i < n1; i++) put(z, i, Math.SQRT1_2 * load<f64>(q + <usize> i * stride + column - 8))
  for (let i = n1; i < n; i++) put(z, i, sign * load<f64>(q + <usize> i * stride + column))
  const rho = 2 * abs(coupling)
  for (let i = 0; i < n; i++) putIndex(kind, i, i < n1 ? FIRST : SECOND)
  mergeOrder(n1, n - n1, n1, ascending, ascending + (<usize> n1 << 2), d, order)
  const k = deflate(n, rho, d, q)
  if (k == 0) {
    // Nothing was rotated either: the halves do not meet.
    memory.copy(ascending, order, <usize> n << 2)
    return
  }
  const counts = packVectors(n, n1, k, d, q)
  const first = <i32> (counts & 0xffffffff)
  const both = <i32> (counts >> 32)
  solveUpdate(k, rho, d)
  multiplyVectors(n, n1, k, first, both, q)
  for (let t = 0; t < n - k; t++) put(d, k + t, at(leftValues, t))
  for (let i = 0; i < n; i++) putIndex(order, i, i < k ? i : i - k)
  sortIndexes(n - k, order + (<usize> k << 2), d + (<usize> k << 3))
  mergeOrder(k, n - k, k, order, order + (<usize> k << 2), d, ascending)
}

/**
 * Sets eigenpairs aside that the update changes by no more than rounding: those of a negligible weight, and one of each
 * pair of nearly equal values, after a rotation has moved its weight to the other.
 * @returns the number of pairs kept; their indexes, of ascending values, are in `kept`, those of the others in `left`
 */
function deflate(n: i32, rho: f64, d: usize, q: usize): i32 {
  let largest: f64 = 0
  for (let i = 0; i < n; i++) largest = max(largest, max(abs(at(d, i)), abs(at(z, i))))
  const tolerance = 8 * f64.EPSILON * largest
  let count = 0
  let waiting = -1
  for (let position = 0; position < n; position++) {
    const i = indexAt(order, position)
    if (rho * abs(at(z, i)) <= tolerance) setAside(position - count - (waiting >= 0 ? 1 : 0), i)
    else {
      if (waiting >= 0) {
        if (rotateAway(n, waiting, i, tolerance, d, q)) setAside(position - count - 1, waiting)
        else putIndex(kept, count++, waiting)
      }
      waiting = i
    }
  }
  if (waiting >= 0) putIndex(kept, count++, waiting)
  return count
}

function setAside(slot: i32, i: i32): void {
  putIndex(left, slot, i)
  putIndex(kind, i, LEFT)
}

/** Rotates eigenpairs i and j so that i loses its weight, if their values are so close that it costs no accuracy. */
function rotateAway(n: i32, i: i32, j: i32, tolerance: f64, d: usize, q: usize): bool {
  const zi = at(z, i)
  const zj = at(z, j)
  const length = sqrt(zi * zi + zj * zj)
  const c = zj / length
  const s = -zi / length
  const di = at(d, i)
  const dj = at(d, j)
  if (abs((dj - di) * c * s) > tolerance) return false
  put(z, j, length)
  put(z, i, 0)
  put(d, i, di * c * c + dj * s * s)
  put(d, j, di * s * s + dj * c * c)
  if (indexAt(kind, i) != indexAt(kind, j)) putIndex(kind, j, BOTH)
  const rowI = q + <usize> i * stride
  const rowJ = q + <usize> j * stride
  for (let column: usize = 0; column < (<usize> n << 3); column += 8) {
    const x = load<f64>(rowI + column)
    const y = load<f64>(rowJ + column)
    store<f64>(rowI + column, c * x + s * y)
    store<f64>(rowJ + column, c * y - s * x)
  }
  return true
}

/**
 * Packs the kept eigenvectors by kind, without the halves that are zero: first halves of FIRST and BOTH, then second
 * halves of BOTH and SECOND, then the vectors set aside, whole. `packedAt` receives where each kept vector stands in
 * that order.
 * @returns the numbers of FIRST (low 32 bits) and of BOTH (high)
 */
function packVectors(n: i32, n1: i32, k: i32, d: usize, q: usize): u64 {
  let first = 0
  let both = 0
  for (let t = 0; t < k; t++) {
    const which = indexAt(kind, indexAt(kept, t))
    if (which == FIRST) first++
    else if (which == BOTH) both++
  }
  const half = <usize> n1 << 3
  const rest = <usize> (n - n1) << 3
  const second = packed + <usize> (first + both) * half
  let nextFirst = 0
  let nextBoth = first
  let nextSecond = first + both
  for (let t = 0; t < k; t++) {
    const i = indexAt(kept, t)
    const which = indexAt(kind, i)
    const row = q + <usize> i * stride
    const slot = which == FIRST ? nextFirst++ : which == BOTH ? nextBoth++ : nextSecond++
    if (which != SECOND) memory.copy(packed + <usize> slot * half, row, half)
    if (which != FIRST) memory.copy(second + <usize> (slot - first) * rest, row + half, rest)
    putIndex(packedAt, t, slot)
    put(poles, t, at(d, i))
    put(weights, t, at(z, i))
  }
  const aside = second + <usize> (k - first) * rest
  for (let t = 0; t < n - k; t++) {
    const i = indexAt(left, t)
    memory.copy(aside + <usize> t * (half + rest), q + <usize> i * stride, half + rest)
    put(leftValues, t, at(d, i))
  }
  return <u64> first | (<u64> both << 32)
}

/**
 * Eigenvalues of the rank-one update into d, its eigenvectors into the rows of `update`, their numbers in the packed
 * order.
 */
function solveUpdate(k: i32, rho: f64, d: usize): void {
  for (let i = 0; i < k; i++) {
    if (k > LONG) pause(-1)
    put(d, i, secularRoot(i, k, poles, weights, rho, update + <usize> i * stride))
  }
  refineWeights(k)
  for (let i = 0; i < k; i++) {
    const row = update + <usize> i * stride
    let sum: f64 = 0
    for (let j = 0; j < k; j++) {
      const value = at(refined, j) / at(row, j)
      put(differences, j, value)
      sum += value * value
    }
    const factor = 1 / sqrt(sum)
    for (let j = 0; j < k; j++) put(row, indexAt(packedAt, j), factor * at(differences, j))
  }
}

/**
 * The weights for which the computed roots are exact (Löwner's formula, Gu & Eisenstat 1994): with them the
 * eigenvectors come out orthogonal. z_j^2 ~ prod_i (root_i - d_j) / prod_{i != j} (d_i - d_j)
 */
function refineWeights(k: i32): void {
  for (let j = 0; j < k; j++) put(refined, j, load<f64>(update + <usize> j * stride + (<usize> j << 3)))
  for (let i = 0; i < k; i++) {
    const row = update + <usize> i * stride
    const pole = at(poles, i)
    multiplyRatios(0, i, row, pole)
    multiplyRatios(i + 1, k, row, pole)
  }
  for (let j = 0; j < k; j++) put(refined, j, copysign<f64>(sqrt(-at(refined, j)), at(weights, j)))
}

/** refined_j *= (d_j - root) / (d_j - pole) for start <= j < end. */
function multiplyRatios(start: i32, end: i32, row: usize, pole: f64): void {
  const base = f64x2.splat(pole)
  let j = start
  for (; j + 2 <= end; j += 2) {
    const offset = <usize> j << 3
    const ratio = f64x2.div(v128.load(row + offset), f64x2.sub(v128.load(poles + offset), base))
    v128.store(refined + offset, f64x2.mul(v128.load(refined + offset), ratio))
  }
  if (j < end) put(refined, j, at(refined, j) * (at(row, j) / (at(poles, j) - pole)))
}

/** The new eigenvectors: products with the packed ones, then the ones set aside. */
function multiplyVectors(n: i32, n1: i32, k: i32, first: i32, both: i32, q: usize): void {
  const half = <usize> n1 << 3
  const second = packed + <usize> (first + both) * half
  const aside = second + <usize> ((k - first) * (n - n1) << 3)
  for (let i = 0; i < k; i++) memory.fill(q + <usize> i * stride, 0, <usize> n << 3)
  multiply<f64, f64>(false, false, false, k, n1, first + both, 1, update, ld, packed, n1, q, ld)
  multiply<f64, f64>(false, false, false, k, n - n1, k - first, 1, update + (<usize> first << 3), ld, second, n - n1,
    q + half, ld)
  for (let t = 0; t < n - k; t++) {
    memory.copy(q + <usize> (k + t) * stride, aside + <usize> t * (<usize> n << 3), <usize> n << 3)
  }
}

/** Merges two ascending lists of indexes, the second one's counted from `offset`, into one. */
function mergeOrder(count1: i32, count2: i32, offset: i32, list1: usize, list2: usize, values: usize,
  out: usize): void {
  let i = 0
  let j = 0
  for (let position = 0; position < count1 + count2; position++) {
    const takeFirst = j == count2 ||
      (i < count1 && at(values, indexAt(list1, i)) <= at(values, offset + indexAt(list2, j)))
    putIndex(out, position, takeFirst ? indexAt(list1, i++) : offset + indexAt(list2, j++))
  }
}

/** Sorts indexes by their values: insertion, as they are few or nearly sorted. */
function sortIndexes(count: i32, indexes: usize, values: usize): void {
  for (let i = 1; i < count; i++) {
    const index = indexAt(indexes, i)
    const value = at(values, index)
    let j = i - 1
    for (; j >= 0 && at(values, indexAt(indexes, j)) > value; j--) putIndex(indexes, j + 1, indexAt(indexes, j))
    putIndex(indexes, j + 1, index)
  }
}
