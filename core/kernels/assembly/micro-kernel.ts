/** @file The innermost product: a block of C held in registers while the packed panels of A and B stream by. */
import { lanes, multiplyAdd } from './simd'

/** Rows of C in one block. */
// @ts-ignore: decorator
@inline
export const BLOCK_ROWS: i32 = 4

/** Columns of C in one block: two vectors. */
// @ts-ignore: decorator
@inline
export function blockColumns<T extends number>(): i32 {
  return 2 * lanes<T>()
}

/** Bytes of one number in a packed panel of A: `packTwice` writes those of f64 as whole vectors. */
// @ts-ignore: decorator
@inline
export function packedNumber<T extends number>(): usize {
  return sizeof<T>() == 8 ? 16 : 4
}

/** One number of a packed panel of A in every lane. */
// @ts-ignore: decorator
@inline
export function spread<T extends number>(address: usize): v128 {
  return sizeof<T>() == 8 ? v128.load(address) : v128.load32_splat(address)
}

/**
 * C += alpha sum_p a_p b_p for one full block of C.
 * @param depth number of products summed
 * @param a packed panel: BLOCK_ROWS numbers for each p
 * @param b packed panel: two vectors for each p
 * @param c address of the block, of row stride `rowBytes`
 */
export function microKernel<T extends number>(depth: i32, a: usize, b: usize, alpha: T, c: usize,
  rowBytes: usize): void {
  multiplyBlock<T>(false, depth, a, b, alpha, c, rowBytes)
}

/** C = sum_p a_p b_p for one full block of C, which is not read. */
export function microProduct<T extends number>(depth: i32, a: usize, b: usize, c: usize, rowBytes: usize): void {
  multiplyBlock<T>(true, depth, a, b, <T> 1, c, rowBytes)
}

// @ts-ignore: decorator
@inline
function multiplyBlock<T extends number>(fresh: bool, depth: i32, a: usize, b: usize, alpha: T, c: usize,
  rowBytes: usize): void {
  const size = packedNumber<T>()
  let c00 = v128.splat<T>(<T> 0), c01 = c00
  let c10 = c00, c11 = c00
  let c20 = c00, c21 = c00
  let c30 = c00, c31 = c00
  const end = b + (<usize> depth << 5)
  while (b < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const a0 = spread<T>(a)
    c00 = multiplyAdd<T>(a0, b0, c00)
    c01 = multiplyAdd<T>(a0, b1, c01)
    const a1 = spread<T>(a + size)
    c10 = multiplyAdd<T>(a1, b0, c10)
    c11 = multiplyAdd<T>(a1, b1, c11)
    const a2 = spread<T>(a + 2 * size)
    c20 = multiplyAdd<T>(a2, b0, c20)
    c21 = multiplyAdd<T>(a2, b1, c21)
    const a3 = spread<T>(a + 3 * size)
    c30 = multiplyAdd<T>(a3, b0, c30)
    c31 = multiplyAdd<T>(a3, b1, c31)
    a += 4 * size
    b += 32
  }
  if (fresh) {
    storeRow(c00, c01, c)
    storeRow(c10, c11, c + rowBytes)
    storeRow(c20, c21, c + 2 * rowBytes)
    storeRow(c30, c31, c + 3 * rowBytes)
    return
  }
  const scale = v128.splat<T>(alpha)
  addRow<T>(scale, c00, c01, c)
  addRow<T>(scale, c10, c11, c + rowBytes)
  addRow<T>(scale, c20, c21, c + 2 * rowBytes)
  addRow<T>(scale, c30, c31, c + 3 * rowBytes)
}

// @ts-ignore: decorator
@inline
function storeRow(first: v128, second: v128, row: usize): void {
  v128.store(row, first)
  v128.store(row, second, 16)
}

// @ts-ignore: decorator
@inline
function addRow<T extends number>(scale: v128, first: v128, second: v128, row: usize): void {
  v128.store(row, multiplyAdd<T>(scale, first, v128.load(row)))
  v128.store(row, multiplyAdd<T>(scale, second, v128.load(row, 16)), 16)
}
