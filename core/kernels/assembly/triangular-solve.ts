/**
 * @file Solution of triangular systems by halving: the two halves of the triangle are solved, the square between them
 * is a matrix product, which is where nearly all operations are.
 */
import { multiply } from './gemm'
import { multiplySubtract } from './simd'

/** Triangles up to this size are solved by substitution. */
export const SUBSTITUTED: i32 = 16
/** Right-hand sides that substitution treats at once: four vectors of two. */
const STRIP: i32 = 8

const strip: usize = memory.data(16 * 8 * 8, 16)

/** Where to cut a triangle of size n: near the middle, on a multiple of SUBSTITUTED. */
export function half(n: i32): i32 {
  return (n / 2 + SUBSTITUTED - 1) & -SUBSTITUTED
}

/** L X = B in place for lower-triangular L of n x n and B of n x m; strides in numbers. */
export function solveLower(n: i32, m: i32, l: usize, ldl: i32, b: usize, ldb: i32): void {
  if (n <= SUBSTITUTED) return substituteColumns(n, m, l, <usize> ldl << 3, 8, b, ldb)
  const n1 = half(n)
  const l2 = l + (<usize> n1 * <usize> ldl << 3)
  const b2 = b + (<usize> n1 * <usize> ldb << 3)
  solveLower(n1, m, l, ldl, b, ldb)
  multiply<f64, f64>(false, false, false, n - n1, m, n1, -1, l2, ldl, b, ldb, b2, ldb)
  solveLower(n - n1, m, l2 + (<usize> n1 << 3), ldl, b2, ldb)
}

/** Lᵀ X = B in place. */
export function solveLowerTransposed(n: i32, m: i32, l: usize, ldl: i32, b: usize, ldb: i32): void {
  if (n <= SUBSTITUTED) {
    // Backward substitution is forward substitution from the last row on, with negative strides.
    const last = <usize> (n - 1)
    const step = <usize> ldl << 3
    return substituteColumns(n, m, l + last * (step + 8), <usize> -8, 0 - step, b + (last * <usize> ldb << 3), -ldb)
  }
  const n1 = half(n)
  const l2 = l + (<usize> n1 * <usize> ldl << 3)
  const b2 = b + (<usize> n1 * <usize> ldb << 3)
  solveLowerTransposed(n - n1, m, l2 + (<usize> n1 << 3), ldl, b2, ldb)
  multiply<f64, f64>(false, true, false, n1, m, n - n1, -1, l2, ldl, b2, ldb, b, ldb)
  solveLowerTransposed(n1, m, l, ldl, b, ldb)
}

/** X Lᵀ = B in place for B of m x n. */
export function solveRight(n: i32, m: i32, l: usize, ldl: i32, b: usize, ldb: i32): void {
  if (n <= SUBSTITUTED) return substituteRows(n, m, l, ldl, b, ldb)
  const n1 = half(n)
  const l2 = l + (<usize> n1 * <usize> ldl << 3)
  const b2 = b + (<usize> n1 << 3)
  solveRight(n1, m, l, ldl, b, ldb)
  multiply<f64, f64>(false, false, true, m, n - n1, n1, -1, b, ldb, l2, ldl, b2, ldb)
  solveRight(n - n1, m, l2 + (<usize> n1 << 3), ldl, b2, ldb)
}

/**
 * Substitution for right-hand sides that are columns of B; row i of L is at `l + i * rowStep`, its number p at `+ p *
 * step`.
 */
function substituteColumns(n: i32, m: i32, l: usize, rowStep: usize, step: usize, b: usize, ldb: i32): void {
  const stride = <usize> ldb << 3
  let first = 0
  for (; first + STRIP <= m; first += STRIP) substitute(n, l, rowStep, step, b + (<usize> first << 3), stride)
  if (first == m) return
  const rest = <usize> (m - first) << 3
  const from = b + (<usize> first << 3)
  memory.fill(strip, 0, 16 * 64)
  for (let i = 0; i < n; i++) memory.copy(strip + (<usize> i << 6), from + <usize> i * stride, rest)
  substitute(n, l, rowStep, step, strip, 64)
  for (let i = 0; i < n; i++) memory.copy(from + <usize> i * stride, strip + (<usize> i << 6), rest)
}

/** Substitution for right-hand sides that are rows of B: they are turned into columns aside. */
function substituteRows(n: i32, m: i32, l: usize, ldl: i32, b: usize, ldb: i32): void {
  const stride = <usize> ldb << 3
  for (let first = 0; first < m; first += STRIP) {
    const rows = min(STRIP, m - first)
    const from = b + <usize> first * stride
    if (rows < STRIP) memory.fill(strip, 0, 16 * 64)
    for (let i = 0; i < rows; i++) {
      const row = from + <usize> i * stride
      for (let j = 0; j < n; j++) {
        store<f64>(strip + (<usize> j << 6) + (<usize> i << 3), load<f64>(row + (<usize> j << 3)))
      }
    }
    substitute(n, l, <usize> ldl << 3, 8, strip, 64)
    for (let i = 0; i < rows; i++) {
      const row = from + <usize> i * stride
      for (let j = 0; j < n; j++) {
        store<f64>(row + (<usize> j << 3), load<f64>(strip + (<usize> j << 6) + (<usize> i << 3)))
      }
    }
  }
}

/** Substitution for one strip of eight columns. */
function substitute(n: i32, l: usize, rowStep: usize, step: usize, b: usize, stride: usize): void {
  for (let i = 0; i < n; i++) {
    const row = l + <usize> i * rowStep
    const target = b + <usize> i * stride
    let x0 = v128.load(target)
    let x1 = v128.load(target, 16)
    let x2 = v128.load(target, 32)
    let x3 = v128.load(target, 48)
    let at = row
    let from = b
    for (let p = 0; p < i; p++) {
      const factor = v128.load64_splat(at)
      x0 = multiplySubtract<f64>(factor, v128.load(from), x0)
      x1 = multiplySubtract<f64>(factor, v128.load(from, 16), x1)
      x2 = multiplySubtract<f64>(factor, v128.load(from, 32), x2)
      x3 = multiplySubtract<f64>(factor, v128.load(from, 48), x3)
      at += step
      from += stride
    }
    const pivot = v128.load64_splat(at)
    v128.store(target, f64x2.div(x0, pivot))
    v128.store(target, f64x2.div(x1, pivot), 16)
    v128.store(target, f64x2.div(x2, pivot), 32)
    v128.store(target, f64x2.div(x3, pivot), 48)
  }
}
