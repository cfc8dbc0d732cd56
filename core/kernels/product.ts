/**
 * @file Matrix products on arrays of the JavaScript heap: small ones in TypeScript, large ones block by block through
 * the memory of the WebAssembly kernels.
 */
import { inArena } from './arena.js'
import { copyBlock } from './copy-block.js'
import { aligned, type KernelExports, kernelView, withKernelMemory } from './kernel-module.js'
import type { RealArray } from './plain.js'

/** Up to this many multiplications the way to the kernels and back costs more than they save. */
const SMALL_PRODUCT = 200
/** Rows, columns and depth of one block: three blocks of float64 are 24 MB. */
const BLOCK = 1024

/** Multiplications from which on another thread takes a part of a product: a few hundredths of a second. */
const LARGE_PRODUCT = 3e8

/** A product with matrices whose rows lie apart by more than their length. */
export interface ProductPart {
  readonly transA: boolean
  readonly transB: boolean
  readonly m: number
  readonly n: number
  readonly k: number
  readonly alpha: number
  readonly a: RealArray
  readonly b: RealArray
  readonly beta: number
  readonly c: RealArray
}

/**
 * Computes some rows of C in another thread while this one works: those from row `from` on.
 * @returns what waits until they are in C; undefined where there is no thread for them
 */
export type ProductHelper = (part: ProductPart, from: number) => (() => void) | undefined

let helper: ProductHelper | undefined

/** Has the large products of this thread shared from now on, or not. @returns who shared them before */
export function useProductHelper(next: ProductHelper | undefined): ProductHelper | undefined {
  const before = helper
  helper = next
  return before
}

/**
 * C = alpha op(A) op(B) + beta C, where op(A) is m x k, op(B) is k x n; matrices are row-major without gaps.
 * A and B have one type; a float64 C takes float32 A and B too: short panels are multiplied in float32 and added in
 * float64.
 */
export function gemm(transA: boolean, transB: boolean, m: number, n: number, k: number, alpha: number, a: RealArray,
  b: RealArray, beta: number, c: RealArray): void {
  if (m === 0 || n === 0) return
  // A column is the transposed row of the transposed product; blocks of C have fewer rows than columns, so less of them
  // is idle.
  if (n === 1 && m > 1) return gemm(false, !transA, 1, m, k, alpha, b, a, beta, c)
  const layout = { transA, transB, m, n, k }
  if (m * n * k <= SMALL_PRODUCT || alpha === 0 || isDouble(a) !== isDouble(b)
    || (isDouble(a) && !isDouble(c))) return smallProduct(layout, alpha, a, b, beta, c)
  // With beta = 0 the old C is never read: arena arrays hold anything, and 0 NaN would be NaN.
  const operands = [{ array: a, use: 'read' }, { array: b, use: 'read' }, { array: c,
    use: beta === 0 ? 'write' : 'update' }] as const
  if (inArena(operands, (kernel, atA, atB, atC) => {
    multiplyInPlace(kernel, layout, alpha, [a, atA], [b, atB], beta, [c, atC])
  })) return
  // Whole blocks of the kernel's rows: every number is added up in the order of a product that is not shared.
  const own = helper === undefined || m * n * k < LARGE_PRODUCT ? m : Math.min(m, 8 * Math.ceil(m / 16))
  const wait = own === m ? undefined : helper?.({ ...layout, alpha, a, b, beta, c }, own)
  try {
    blockRows(layout, wait === undefined ? m : own, alpha, a, b, beta, c)
  } finally {
    wait?.()
  }
}

/** The first rows of C, block by block. */
function blockRows(layout: Layout, count: number, alpha: number, a: RealArray, b: RealArray, beta: number,
  c: RealArray): void {
  const { n } = layout
  for (let i = 0; i < count; i += BLOCK) {
    for (let j = 0; j < n; j += BLOCK) {
      const block = { row: i, column: j, rows: Math.min(BLOCK, count - i), columns: Math.min(BLOCK, n - j) }
      if (!productBlock(layout, block, alpha, a, b, beta, c)) return smallProduct(layout, alpha, a, b, beta, c)
    }
  }
}

/**
 * C = alpha AᵀA + beta C for A of k x n (rows are summed over) and symmetric C of n x n; both triangles are written.
 * Half the operations of `gemm`. A float64 C takes a float32 A too: short panels of rows are multiplied in float32 and
 * added in float64.
 */
export function syrk(n: number, k: number, alpha: number, a: RealArray, beta: number, c: RealArray): void {
  if (n === 0) return
  const layout = { transA: true, transB: false, m: n, n, k }
  if (n * n * k <= SMALL_PRODUCT || alpha === 0 || (isDouble(a) && !isDouble(c))) {
    return smallSyrk(layout, alpha, a, beta, c)
  }
  const operands = [{ array: a, use: 'read' }, { array: c, use: beta === 0 ? 'write' : 'update' }] as const
  if (inArena(operands, (kernel, atA, atC) => {
    multiplyInPlace(kernel, layout, alpha, [a, atA], [a, atA], beta, [c, atC], true)
  })) return
  for (let i = 0; i < n; i += BLOCK) {
    for (let j = 0; j <= i; j += BLOCK) {
      const block = { row: i, column: j, rows: Math.min(BLOCK, n - i), columns: Math.min(BLOCK, n - j) }
      if (!productBlock(layout, block, alpha, a, a, beta, c, true)) return smallSyrk(layout, alpha, a, beta, c)
    }
  }
}

/** An array and where it is in kernel memory. */
type Placed = readonly [array: RealArray, address: number]

/** The whole product at once, where all of it is in kernel memory. */
function multiplyInPlace(kernel: KernelExports, { transA, transB, m, n, k }: Layout, alpha: number, [a, atA]: Placed,
  [, atB]: Placed, beta: number, [c, atC]: Placed, symmetric = false): void {
  if (beta !== 1) (isDouble(c) ? kernel.scale64 : kernel.scale32)(m * n, beta, atC)
  chooseMultiply(kernel, a, c)(Number(symmetric), Number(transA), Number(transB), m, n, k, alpha, atA, transA ? m : k,
    atB, transB ? k : n, atC, n)
  if (symmetric) (isDouble(c) ? kernel.mirrorLower64 : kernel.mirrorLower32)(n, atC, n)
}

/** The product's shape. */
interface Layout {
  readonly transA: boolean
  readonly transB: boolean
  readonly m: number
  readonly n: number
  readonly k: number
}
/** A block of C. */
interface Block {
  readonly row: number
  readonly column: number
  readonly rows: number
  readonly columns: number
}

/**
 * Computes one block of C in kernel memory; for `symmetric` products also its mirror image.
 * @returns false where there are no kernels
 */
function productBlock(layout: Layout, block: Block, alpha: number, a: RealArray, b: RealArray, beta: number,
  c: RealArray, symmetric = false): boolean {
  const { transA, transB, m, n, k } = layout
  const { row, column, rows, columns } = block
  const depth = Math.min(k, BLOCK)
  const diagonal = symmetric && row === column
  const bytesC = aligned(rows * columns * c.BYTES_PER_ELEMENT)
  const bytesA = aligned(rows * depth * a.BYTES_PER_ELEMENT)
  const bytesB = diagonal ? 0 : aligned(depth * columns * b.BYTES_PER_ELEMENT)
  return withKernelMemory(bytesC + bytesA + bytesB, (kernel, atC) => {
    const atA = atC + bytesC
    const atB = diagonal ? atA : atA + bytesA
    const multiply = chooseMultiply(kernel, a, c)
    const viewA = kernelView(kernel, a, atA, rows * depth)
    const viewB = kernelView(kernel, b, atB, depth * columns)
    const viewC = kernelView(kernel, c, atC, rows * columns)
    if (beta === 0) viewC.fill(0)
    else {
      copyBlock(c, row * n + column, n, viewC, 0, columns, rows, columns)
      if (beta !== 1) (isDouble(c) ? kernel.scale64 : kernel.scale32)(rows * columns, beta, atC)
    }
    for (let p = 0; p < k; p += depth) {
      const part = Math.min(depth, k - p)
      const lda = transA ? rows : part
      const ldb = transB ? part : columns
      if (transA) copyBlock(a, p * m + row, m, viewA, 0, lda, part, rows)
      else copyBlock(a, row * k + p, k, viewA, 0, lda, rows, part)
      if (!diagonal) {
        if (transB) copyBlock(b, column * k + p, k, viewB, 0, ldb, columns, part)
        else copyBlock(b, p * n + column, n, viewB, 0, ldb, part, columns)
      }
      multiply(Number(diagonal), Number(transA), Number(transB), rows, columns, part, alpha, atA, lda, atB, ldb, atC,
        columns)
    }
    // The kernel has left out blocks above the diagonal: without the mirror they would stay beta C.
    if (diagonal) (isDouble(c) ? kernel.mirrorLower64 : kernel.mirrorLower32)(rows, atC, columns)
    copyBlock(viewC, 0, columns, c, row * n + column, n, rows, columns)
    if (symmetric && !diagonal) {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) c[(column + j) * n + row + i] = viewC[i * columns + j]
      }
    }
    return true
  }) ?? false
}

/** By the size of the numbers, as arrays of another realm are not `instanceof` ours. */
function isDouble(array: RealArray): boolean {
  return array.BYTES_PER_ELEMENT === 8
}

function chooseMultiply(kernel: KernelExports, a: RealArray, c: RealArray): KernelExports['multiply64'] {
  // Both other kernels round alpha to float32: a factor of 1/3 would have seven digits, even where C is float64.
  if (isDouble(a)) return kernel.multiply64
  return isDouble(c) ? kernel.multiplyMixed : kernel.multiply32
}

/** A product in TypeScript: the inner loop runs along a row of B where that is possible. */
function smallProduct({ transA, transB, m, n, k }: Layout, alpha: number, a: RealArray, b: RealArray, beta: number,
  c: RealArray): void {
  scaleInPlace(m * n, beta, c)
  if (alpha === 0) return
  const [rowA, depthA] = transA ? [1, m] : [k, 1]
  for (let i = 0; i < m; i++) {
    if (transB) dotRows(n, k, alpha, a, i * rowA, depthA, b, c, i * n)
    else for (let p = 0; p < k; p++) addRow(n, alpha * a[i * rowA + p * depthA], b, p * n, c, i * n)
  }
}

function smallSyrk(layout: Layout, alpha: number, a: RealArray, beta: number, c: RealArray): void {
  const { n, k } = layout
  scaleInPlace(n * n, beta, c)
  if (alpha === 0) return
  for (let p = 0; p < k; p++) for (let i = 0; i < n; i++) addRow(i + 1, alpha * a[p * n + i], a, p * n, c, i * n)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) c[j * n + i] = c[i * n + j]
}

function scaleInPlace(length: number, factor: number, c: RealArray): void {
  if (factor === 1) return
  if (factor === 0) c.fill(0, 0, length)
  else for (let i = 0; i < length; i++) c[i] *= factor
}

/** c += factor b for one row. */
function addRow(n: number, factor: number, b: RealArray, fromB: number, c: RealArray, fromC: number): void {
  for (let j = 0; j < n; j++) c[fromC + j] += factor * b[fromB + j]
}

/** c_j += alpha (row of op(A)) . (row j of B), four partial sums at a time. */
function dotRows(n: number, k: number, alpha: number, a: RealArray, fromA: number, stepA: number, b: RealArray,
  c: RealArray, fromC: number): void {
  const whole = k - k % 4
  for (let j = 0; j < n; j++) {
    const row = j * k
    let s0 = 0
    let s1 = 0
    let s2 = 0
    let s3 = 0
    for (let p = 0; p < whole; p += 4) {
      const at = fromA + p * stepA
      s0 += a[at] * b[row + p]
      s1 += a[at + stepA] * b[row + p + 1]
      s2 += a[at + 2 * stepA] * b[row + p + 2]
      s3 += a[at + 3 * stepA] * b[row + p + 3]
    }
    for (let p = whole; p < k; p++) s0 += a[fromA + p * stepA] * b[row + p]
    c[fromC + j] += alpha * (s0 + s1 + (s2 + s3))
  }
}
