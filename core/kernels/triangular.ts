/**
 * @file Cholesky factors and what follows from them, through the memory of the WebAssembly kernels or, when small, in
 * TypeScript.
 */
import { inArena } from './arena.js'
import { copyBlock } from './copy-block.js'
import { pauseBetweenProducts, pauseInLoop } from './interruption.js'
import { aligned, kernelView, withKernelMemory } from './kernel-module.js'
import * as plain from './plain.js'
import { syrk } from './product.js'

/** Below this size the plain twins are as fast. */
const SMALL = 8
/** Right-hand sides are solved in blocks of at most this many numbers. */
const BLOCK_NUMBERS = 1 << 20

/**
 * Cholesky factor L of the symmetric n x n matrix A = L Lᵀ, in place; only the lower triangle is read, and the upper is
 * zeroed.
 * @returns -1, or the index of the first pivot that is not positive; what is in `a` is then of no use
 */
export function cholesky(n: number, a: Float64Array): number {
  if (n < SMALL) return plain.cholesky(n, a)
  pauseBetweenProducts(n, n, n)
  return withKernelMemory(n * n * 8, (kernel, at) => {
    const view = kernelView(kernel, a, at, n * n)
    view.set(a.subarray(0, n * n))
    const failed = kernel.cholesky(n, at)
    // Also after a failure: what a caller wants to report of the matrix must be read before.
    a.set(view)
    return failed
  }) ?? plain.cholesky(n, a)
}

/**
 * Solves L X = B (or Lᵀ X = B) in place for lower-triangular L of n x n and B of n x m; what is above L's diagonal is
 * not read.
 */
export function triangularSolve(transposed: boolean, n: number, m: number, l: Float64Array, b: Float64Array): void {
  if (m === 1) return solveVector(transposed, n, l, b)
  if (n < SMALL) return plain.triangularSolve(transposed, n, m, l, b)
  pauseBetweenProducts(n, m, n)
  const columns = Math.min(m, Math.max(64, Math.floor(BLOCK_NUMBERS / n)))
  const bytesL = aligned(n * n * 8)
  const done = withKernelMemory(bytesL + n * columns * 8, (kernel, atL) => {
    kernelView(kernel, l, atL, n * n).set(l.subarray(0, n * n))
    for (let first = 0; first < m; first += columns) {
      const part = Math.min(columns, m - first)
      const view = kernelView(kernel, b, atL + bytesL, n * part)
      copyBlock(b, first, m, view, 0, part, n, part)
      kernel.triangularSolve(Number(transposed), n, part, atL, atL + bytesL)
      copyBlock(view, 0, part, b, first, m, n, part)
    }
    return true
  })
  if (done === undefined) plain.triangularSolve(transposed, n, m, l, b)
}

/** Solves X Lᵀ = B in place for lower-triangular L of n x n and the m rows of B (m x n). */
export function triangularSolveRight(n: number, m: number, l: Float64Array, b: Float64Array): void {
  pauseBetweenProducts(m, n, n)
  const rows = Math.max(64, Math.floor(BLOCK_NUMBERS / n))
  if (inArena([{ array: l, use: 'read' }, { array: b, use: 'update' }], (kernel, atL, atB) => {
    kernel.triangularSolveRight(n, m, atL, atB)
  })) return
  const bytesL = aligned(n * n * 8)
  const done = withKernelMemory(bytesL + n * Math.min(m, rows) * 8, (kernel, atL) => {
    kernelView(kernel, l, atL, n * n).set(l.subarray(0, n * n))
    for (let first = 0; first < m; first += rows) {
      const part = b.subarray(first * n, Math.min(m, first + rows) * n)
      const view = kernelView(kernel, b, atL + bytesL, part.length)
      view.set(part)
      kernel.triangularSolveRight(n, part.length / n, atL, atL + bytesL)
      part.set(view)
    }
    return true
  })
  if (done === undefined) plain.triangularSolveRight(n, m, l, b)
}

/** L⁻¹ of a lower-triangular L of n x n. */
export function triangularInverse(n: number, l: Float64Array): Float64Array {
  const inverse = new Float64Array(n * n)
  forEachInverseBlock(n, l, (block, first, count) => {
    for (let i = 0; i < n - first; i++) {
      inverse.set(block.subarray(i * count, (i + 1) * count), (first + i) * n + first)
    }
  })
  return inverse
}

/** The sum of the squared entries of L⁻¹: the trace of (L Lᵀ)⁻¹. */
export function inverseTrace(n: number, l: Float64Array): number {
  let sum = 0
  forEachInverseBlock(n, l, block => {
    for (let i = 0; i < block.length; i++) sum += block[i] * block[i]
  })
  return sum
}

/** Columns of L⁻¹ that are solved for together: fewer copies of L, or fewer zeros that are solved for. */
const INVERSE_COLUMNS = 192

/**
 * `count` columns of L⁻¹ at a time, from row `first` on; above it they are zero, and solving for the rest alone is a
 * third of the work.
 */
function forEachInverseBlock(n: number, l: Float64Array,
  visit: (block: Float64Array, first: number, count: number) => void): void {
  for (let first = 0; first < n; first += INVERSE_COLUMNS) {
    const size = n - first
    const count = Math.min(INVERSE_COLUMNS, size)
    const rest = first === 0 ? l : new Float64Array(size * size)
    if (first > 0) copyBlock(l, first * n + first, n, rest, 0, size, size, size)
    const block = new Float64Array(size * count)
    for (let i = 0; i < count; i++) block[i * count + i] = 1
    triangularSolve(false, size, count, rest, block)
    visit(block, first, count)
  }
}

/** (L Lᵀ)⁻¹ of a lower-triangular L of n x n: the inverse of the matrix that L is the Cholesky factor of. */
export function choleskyInverse(n: number, l: Float64Array): Float64Array {
  const inverse = new Float64Array(n * n)
  syrk(n, n, 1, triangularInverse(n, l), 0, inverse)
  return inverse
}

/** One right-hand side: both directions read L along its rows. */
function solveVector(transposed: boolean, n: number, l: Float64Array, b: Float64Array): void {
  pauseInLoop(n * n / 2)
  if (transposed) {
    for (let i = n - 1; i >= 0; i--) {
      const row = i * n
      const x = b[i] / l[row + i]
      b[i] = x
      for (let p = 0; p < i; p++) b[p] -= l[row + p] * x
    }
    return
  }
  for (let i = 0; i < n; i++) {
    const row = i * n
    let even = 0
    let odd = 0
    for (let p = 0; p + 1 < i; p += 2) {
      even += l[row + p] * b[p]
      odd += l[row + p + 1] * b[p + 1]
    }
    if (i % 2 === 1) even += l[row + i - 1] * b[i - 1]
    b[i] = (b[i] - even - odd) / l[row + i]
  }
}
