/**
 * @file Matrix products on arrays of the JavaScript heap: small ones in TypeScript, large ones block by block through
 * the memory of the WebAssembly kernels.
 */
import { inArena } from './arena.js'
import { copyBlock } from './copy-block.js'
import { pauseBetweenProducts } from './interruption.js'
import { aligned, type KernelExports, kernelView, withKernelMemory } from './kernel-module.js'
import type { RealArray } from './plain.js'

/** Up to this many multiplications the way to the kernels and back costs more than they save. */
const SMALL_PRODUCT = 200
/** Rows, columns and depth of one block: three blocks of float64 are 24 MB. */
const BLOCK = 1024
/** Operands of more bytes are not copied whole to a product in the arena, but block by block. */
const MOST_COPIED = 32 << 20

/** Multiplications from which on another thread takes a part of a product: a few hundredths of a second. */
const LARGE_PRODUCT = 3e8

/** What another thread takes of a product at a time, so that the memory that both see stays small. */
export const SHARED_BYTES = 64 << 20

/** C = alpha op(A) op(B) + beta C for C of m x n, op(A) of m x k, op(B) of k x n. */
export interface Product {
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

/** Some rows and columns of C, and the part of k from `from` on that is summed over. */
export interface ProductPart {
  readonly row: number
  readonly rows: number
  readonly column: number
  readonly columns: number
  readonly from: number
  readonly depth: number
}

/**
 * Computes a part of a product in another thread while this one works.
 * @returns what waits until it is in C; undefined where there is no thread for it
 */
export type ProductHelper = (product: Product, part: ProductPart) => (() => void) | undefined

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
  pauseBetweenProducts(m, n, k)
  const product = { transA, transB, m, n, k, alpha, a, b, beta, c }
  if (m * n * k <= SMALL_PRODUCT || alpha === 0 || isDouble(a) !== isDouble(b)
    || (isDouble(a) && !isDouble(c))) return smallProduct(product, wholeOf(product))
  // With beta = 0 the old C is never read: arena arrays hold anything, and 0 NaN would be NaN.
  const operands = [{ array: a, use: 'read' }, { array: b, use: 'read' }, { array: c,
    use: beta === 0 ? 'write' : 'update' }] as const
  if (inArena(operands, (kernel, atA, atB, atC) => {
    multiplyInPlace(kernel, product, [a, atA], [b, atB], [c, atC])
  }, MOST_COPIED)) return
  if (helper === undefined || m * n * k < LARGE_PRODUCT) multiplyPart(product, wholeOf(product))
  else shareProduct(product, helper)
}

function wholeOf({ m, n, k }: Product): ProductPart {
  return { row: 0, rows: m, column: 0, columns: n, from: 0, depth: k }
}

/** A part of C, block by block. Numbers are added up in the same order in whatever parts a product is computed. */
export function multiplyPart(product: Product, { row, rows, column, columns, from, depth }: ProductPart): void {
  for (let i = row; i < row + rows; i += BLOCK) {
    for (let j = column; j < column + columns; j += BLOCK) {
      const block = { row: i, rows: Math.min(BLOCK, row + rows - i), column: j,
        columns: Math.min(BLOCK, column + columns - j), from, depth }
      if (!productBlock(product, block)) smallProduct(product, block)
    }
  }
}

/** The whole product, in parts of which another thread takes a half each. */
function shareProduct(product: Product, share: ProductHelper): void {
  const { m, n, k } = product
  const [rows, columns, depth] = sharedSize(product)
  for (let row = 0; row < m; row += rows) {
    for (let column = 0; column < n; column += columns) {
      for (let from = 0; from < k; from += depth) {
        multiplyTogether(from === 0 ? product : { ...product, beta: 1 }, { row, rows: Math.min(rows, m - row), column,
          columns: Math.min(columns, n - column), from, depth: Math.min(depth, k - from) }, share)
      }
    }
  }
}

/** Rows, columns and depth of the largest parts of which the other thread's half fits into SHARED_BYTES. */
function sharedSize({ m, n, k, a, c }: Product): readonly number[] {
  const whole = [m, n, k]
  const bytes = ([rows, columns, depth]: readonly number[]): number =>
    rows / 2 * columns * c.BYTES_PER_ELEMENT + (rows / 2 + columns) * depth * a.BYTES_PER_ELEMENT
  // Whole blocks, so that every number is added up in the order of a product that is not shared.
  let size = whole.map(length => Math.min(length, BLOCK))
  for (let axis = 0, full = 0; full < 3; axis = (axis + 1) % 3) {
    const larger = size.map((length, i) => (i === axis ? Math.min(whole[i], 2 * length) : length))
    const grows = larger[axis] > size[axis] && bytes(larger) < 0.9 * SHARED_BYTES
    if (grows) size = larger
    full = grows ? 0 : full + 1
  }
  return size
}

function multiplyTogether(product: Product, part: ProductPart, share: ProductHelper): void {
  // Whole blocks of the kernel's rows; of few rows nothing is left for another thread.
  const own = Math.min(part.rows, 8 * Math.ceil(part.rows / 16))
  const rest = { ...part, row: part.row + own, rows: part.rows - own }
  const wait = rest.rows === 0 ? undefined : share(product, rest)
  try {
    multiplyPart(product, wait === undefined ? part : { ...part, rows: own })
  } finally {
    wait?.()
  }
}

/**
 * C = alpha AᵀA + beta C for A of k x n (rows are summed over) and symmetric C of n x n; both triangles are written.
 * Half the operations of `gemm`. A float64 C takes a float32 A too: short panels of rows are multiplied in float32 and
 * added in float64.
 */
export function syrk(n: number, k: number, alpha: number, a: RealArray, beta: number, c: RealArray): void {
  if (n === 0) return
  pauseBetweenProducts(n, n, k)
  const product = { transA: true, transB: false, m: n, n, k, alpha, a, b: a, beta, c }
  if (n * n * k <= SMALL_PRODUCT || alpha === 0 || (isDouble(a) && !isDouble(c))) return smallSyrk(product)
  const operands = [{ array: a, use: 'read' }, { array: c, use: beta === 0 ? 'write' : 'update' }] as const
  if (inArena(operands, (kernel, atA, atC) => {
    multiplyInPlace(kernel, product, [a, atA], [a, atA], [c, atC], true)
  }, MOST_COPIED)) return
  for (let i = 0; i < n; i += BLOCK) {
    for (let j = 0; j <= i; j += BLOCK) {
      const block = { row: i, rows: Math.min(BLOCK, n - i), column: j, columns: Math.min(BLOCK, n - j), from: 0,
        depth: k }
      if (!productBlock(product, block, true)) return smallSyrk(product)
    }
  }
}

/** An array and where it is in kernel memory. */
type Placed = readonly [array: RealArray, address: number]

/** The whole product at once, where all of it is in kernel memory. */
function multiplyInPlace(kernel: KernelExports, { transA, transB, m, n, k, alpha, beta }: Product, [a, atA]: Placed,
  [, atB]: Placed, [c, atC]: Placed, symmetric = false): void {
  if (beta !== 1) (isDouble(c) ? kernel.scale64 : kernel.scale32)(m * n, beta, atC)
  chooseMultiply(kernel, a, c)(Number(symmetric), Number(transA), Number(transB), m, n, k, alpha, atA, transA ? m : k,
    atB, transB ? k : n, atC, n)
  if (symmetric) (isDouble(c) ? kernel.mirrorLower64 : kernel.mirrorLower32)(n, atC, n)
}

/**
 * Computes one block of C in kernel memory; for `symmetric` products also its mirror image.
 * @returns false where there are no kernels
 */
function productBlock({ transA, transB, m, n, k, alpha, a, b, beta, c }: Product,
  { row, rows, column, columns, from, depth: wholeDepth }: ProductPart, symmetric = false): boolean {
  const depth = Math.min(wholeDepth, BLOCK)
  const diagonal = symmetric && row === column
  // Of op(A) and op(B) the copies have rows or columns one behind the other, as the matrices have them.
  const lda = paddedStride(transA ? rows : depth, a)
  const ldb = paddedStride(transB ? depth : columns, b)
  const ldc = paddedStride(columns, c)
  const lengthC = rows * ldc
  const lengthA = (transA ? depth : rows) * lda
  const lengthB = diagonal ? 0 : (transB ? columns : depth) * ldb
  const bytesC = aligned(lengthC * c.BYTES_PER_ELEMENT)
  const bytesA = aligned(lengthA * a.BYTES_PER_ELEMENT)
  const bytesB = aligned(lengthB * b.BYTES_PER_ELEMENT)
  return withKernelMemory(bytesC + bytesA + bytesB, (kernel, atC) => {
    const atA = atC + bytesC
    const atB = diagonal ? atA : atA + bytesA
    const multiply = chooseMultiply(kernel, a, c)
    const viewA = kernelView(kernel, a, atA, lengthA)
    const viewB = kernelView(kernel, b, atB, lengthB)
    const viewC = kernelView(kernel, c, atC, lengthC)
    if (beta === 0) viewC.fill(0)
    else {
      copyBlock(c, row * n + column, n, viewC, 0, ldc, rows, columns)
      if (beta !== 1) (isDouble(c) ? kernel.scale64 : kernel.scale32)(lengthC, beta, atC)
    }
    for (let p = from; p < from + wholeDepth; p += depth) {
      const part = Math.min(depth, from + wholeDepth - p)
      if (transA) copyBlock(a, p * m + row, m, viewA, 0, lda, part, rows)
      else copyBlock(a, row * k + p, k, viewA, 0, lda, rows, part)
      if (!diagonal) {
        if (transB) copyBlock(b, column * k + p, k, viewB, 0, ldb, columns, part)
        else copyBlock(b, p * n + column, n, viewB, 0, ldb, part, columns)
      }
      multiply(Number(diagonal), Number(transA), Number(transB), rows, columns, part, alpha, atA, lda, atB,
        diagonal ? lda : ldb, atC, ldc)
    }
    // The kernel has left out blocks above the diagonal: without the mirror they would stay beta C.
    if (diagonal) (isDouble(c) ? kernel.mirrorLower64 : kernel.mirrorLower32)(rows, atC, ldc)
    copyBlock(viewC, 0, ldc, c, row * n + column, n, rows, columns)
    if (symmetric && !diagonal) {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) c[(column + j) * n + row + i] = viewC[i * ldc + j]
      }
    }
    return true
  }) ?? false
}

/** Rows that lie a multiple of so many bytes apart share a few lines of the caches. */
const ALIASED_BYTES = 1024
const LINE_BYTES = 64

/** Numbers from one row of a copied block to the next: a line of the caches more where rows would share lines. */
function paddedStride(length: number, { BYTES_PER_ELEMENT: bytes }: RealArray): number {
  return length * bytes % ALIASED_BYTES === 0 ? length + LINE_BYTES / bytes : length
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

/** A part of a product in TypeScript: the inner loop runs along a row of B where that is possible. */
function smallProduct({ transA, transB, m, n, k, alpha, a, b, beta, c }: Product,
  { row, rows, column, columns, from, depth }: ProductPart): void {
  const [rowA, depthA] = transA ? [1, m] : [k, 1]
  for (let i = row; i < row + rows; i++) {
    const atC = i * n + column
    scaleInPlace(atC, columns, beta, c)
    if (alpha === 0) continue
    if (transB) {
      dotRows(columns, depth, alpha, a, i * rowA + from * depthA, depthA, b, column * k + from, k, c, atC)
    } else {
      for (let p = from; p < from + depth; p++) {
        addRow(columns, alpha * a[i * rowA + p * depthA], b, p * n + column, c, atC)
      }
    }
  }
}

function smallSyrk({ n, k, alpha, a, beta, c }: Product): void {
  scaleInPlace(0, n * n, beta, c)
  if (alpha === 0) return
  for (let p = 0; p < k; p++) for (let i = 0; i < n; i++) addRow(i + 1, alpha * a[p * n + i], a, p * n, c, i * n)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) c[j * n + i] = c[i * n + j]
}

function scaleInPlace(from: number, length: number, factor: number, c: RealArray): void {
  if (factor === 1) return
  if (factor === 0) c.fill(0, from, from + length)
  else for (let i = from; i < from + length; i++) c[i] *= factor
}

/** c += factor b for one row. */
function addRow(n: number, factor: number, b: RealArray, fromB: number, c: RealArray, fromC: number): void {
  for (let j = 0; j < n; j++) c[fromC + j] += factor * b[fromB + j]
}

/** c_j += alpha (row of op(A)) . (row j of B), four partial sums at a time. */
function dotRows(n: number, k: number, alpha: number, a: RealArray, fromA: number, stepA: number, b: RealArray,
  fromB: number, strideB: number, c: RealArray, fromC: number): void {
  const whole = k - k % 4
  for (let j = 0; j < n; j++) {
    const row = fromB + j * strideB
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
