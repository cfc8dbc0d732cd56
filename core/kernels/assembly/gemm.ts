/**
 * @file Matrix product in the scheme of Goto & van de Geijn ("Anatomy of high-performance matrix multiplication",
 * 2008): a packed block of B stays in the outer cache, a packed block of A in the middle one, and the micro-kernel
 * keeps a small block of C in registers.
 */
import { BLOCK_ROWS, blockColumns, microKernel, packedNumber } from './micro-kernel'
import { packAcross, packAlong, packTwice } from './pack'
import { pause } from './pause'

/** Rows of a packed block of A. */
export const ROWS: i32 = 128
/** Multiplications of a product that lets its host look after every block, and so every few milliseconds. */
const LONG: f64 = 1e8
/** Columns of a packed block of B. */
export const COLUMNS: i32 = 1024

/** Products summed in one pass: a panel of B of that depth fills half of the inner cache. */
// @ts-ignore: decorator
@inline
export function passDepth<T extends number>(): i32 {
  return 2048 / <i32> sizeof<T>()
}

/** Room for a packed block of A. */
export const packedA: usize = memory.data(128 * 256 * 16, 16)
/** Room for a packed block of B. */
export const packedB: usize = memory.data(1024 * 256 * 8, 16)
const edge: usize = memory.data(256, 16)

/**
 * C += alpha op(A) op(B). Addresses in bytes, strides between rows in numbers.
 * @param lower blocks of C that lie wholly above its diagonal are left out (C is square)
 * @typeParam T type of A and B
 * @typeParam U type of C: T, or f64 to add products of f32 panels in f64
 */
export function multiply<T extends number, U extends number>(lower: bool, transA: bool, transB: bool, m: i32, n: i32,
  k: i32, alpha: T, a: usize, lda: i32, b: usize, ldb: i32, c: usize, ldc: i32): void {
  const strideA = <usize> lda * sizeof<T>()
  const strideB = <usize> ldb * sizeof<T>()
  const long = <f64> m * <f64> n * <f64> k > LONG
  for (let j = 0; j < n; j += COLUMNS) {
    const columns = min(COLUMNS, n - j)
    for (let p = 0; p < k; p += passDepth<T>()) {
      const depth = min(passDepth<T>(), k - p)
      const blockB = b +
        (transB ? <usize> j * strideB + <usize> p * sizeof<T>() : <usize> p * strideB + <usize> j * sizeof<T>())
      if (transB) packAcross<T>(blockColumns<T>(), columns, depth, blockB, strideB, packedB)
      else packAlong<T>(blockColumns<T>(), columns, depth, blockB, strideB, packedB)
      for (let i = lower ? j - j % ROWS : 0; i < m; i += ROWS) {
        if (long) pause(-1)
        const rows = min(ROWS, m - i)
        const blockA = a +
          (transA ? <usize> p * strideA + <usize> i * sizeof<T>() : <usize> i * strideA + <usize> p * sizeof<T>())
        packLeft<T>(transA, rows, depth, blockA, strideA)
        const blockC = c + (<usize> i * <usize> ldc + <usize> j) * sizeof<U>()
        multiplyPacked<T, U>(rows, columns, depth, lower ? i - j : i32.MAX_VALUE - ROWS, alpha, packedB, blockC,
          <usize> ldc * sizeof<U>())
      }
    }
  }
}

/** Packs a block of op(A) with rows `stride` bytes apart. */
// @ts-ignore: decorator
@inline
export function packLeft<T extends number>(transA: bool, rows: i32, depth: i32, a: usize, stride: usize): void {
  if (sizeof<T>() == 8) packTwice(rows, depth, a, transA ? 8 : stride, transA ? stride : 8, packedA)
  else if (transA) packAlong<T>(BLOCK_ROWS, rows, depth, a, stride, packedA)
  else packAcross<T>(BLOCK_ROWS, rows, depth, a, stride, packedA)
}

/**
 * C += alpha A B for the packed block of A and packed panels of B; blocks of C whose first column is beyond their last
 * row plus `diagonal` are left out.
 */
export function multiplyPacked<T extends number, U extends number>(rows: i32, columns: i32, depth: i32, diagonal: i32,
  alpha: T, panels: usize, c: usize, strideC: usize): void {
  const width = blockColumns<T>()
  let panelB = panels
  for (let j = 0; j < columns; j += width) {
    let panelA = packedA
    for (let i = 0; i < rows; i += BLOCK_ROWS) {
      if (j <= i + BLOCK_ROWS - 1 + diagonal) {
        const block = c + <usize> i * strideC + <usize> j * sizeof<U>()
        const full = i + BLOCK_ROWS <= rows && j + width <= columns
        if (full && sizeof<T>() == sizeof<U>()) microKernel<T>(depth, panelA, panelB, alpha, block, strideC)
        else {multiplyEdge<T, U>(min(BLOCK_ROWS, rows - i), min(width, columns - j), depth, alpha, panelA, panelB,
            block, strideC)}
      }
      panelA += <usize> (BLOCK_ROWS * depth) * packedNumber<T>()
    }
    panelB += <usize> (width * depth) * sizeof<T>()
  }
}

/** The micro-kernel where the block of C is not full, or of another type: computed aside, then added. */
function multiplyEdge<T extends number, U extends number>(rows: i32, columns: i32, depth: i32, alpha: T, a: usize,
  b: usize, c: usize, strideC: usize): void {
  const width = blockColumns<T>()
  const rowBytes = <usize> width * sizeof<T>()
  memory.fill(edge, 0, <usize> BLOCK_ROWS * rowBytes)
  microKernel<T>(depth, a, b, alpha, edge, rowBytes)
  for (let i = 0; i < rows; i++) {
    const from = edge + <usize> i * rowBytes
    const to = c + <usize> i * strideC
    if (sizeof<T>() < sizeof<U>() && columns == width) addPromoted(from, to)
    else {for (let j = 0; j < columns; j++) {
        const at = to + <usize> j * sizeof<U>()
        store<U>(at, load<U>(at) + <U> load<T>(from + <usize> j * sizeof<T>()))
      }}
  }
}

/** c += r for a row of eight f32 and eight f64. */
// @ts-ignore: decorator
@inline
function addPromoted(r: usize, c: usize): void {
  for (let half: usize = 0; half < 2; half++) {
    const low = v128.load64_zero(r + half * 16)
    const high = v128.load64_zero(r + half * 16, 8)
    v128.store(c + half * 32, f64x2.add(v128.load(c + half * 32), f64x2.promote_low_f32x4(low)))
    v128.store(c + half * 32, f64x2.add(v128.load(c + half * 32, 16), f64x2.promote_low_f32x4(high)), 16)
  }
}

/** Copies the strict lower triangle of a square matrix to the upper one. */
export function mirrorLower<T extends number>(n: i32, c: usize, ldc: i32): void {
  const stride = <usize> ldc * sizeof<T>()
  const block = 32
  for (let i = 0; i < n; i += block) {
    for (let j = 0; j <= i; j += block) {
      for (let row = i; row < min(i + block, n); row++) {
        const from = c + <usize> row * stride
        const to = c + <usize> row * sizeof<T>()
        const end = min(j + block, row)
        for (let column = j; column < end; column++) {
          store<T>(to + <usize> column * stride, load<T>(from + <usize> column * sizeof<T>()))
        }
      }
    }
  }
}

/** Multiplies `count` numbers by `factor`; by 0 they become 0 whatever they were. */
export function scale<T extends number>(count: i32, factor: T, c: usize): void {
  const end = c + <usize> count * sizeof<T>()
  if (factor == <T> 0) {
    memory.fill(c, 0, end - c)
    return
  }
  for (; c < end; c += sizeof<T>()) store<T>(c, load<T>(c) * factor)
}
