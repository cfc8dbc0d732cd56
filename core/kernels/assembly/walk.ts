/** @file Copies of a value's elements in another order: a walk through it in steps of four axes. */
import { transposeFour } from './pack'

/** Copies a matrix whose rows, or whose columns, adjoin in the source; steps in numbers. */
// @ts-ignore: decorator
@inline
function copyMatrix<T extends number>(from: usize, rows: i32, columns: i32, rowStep: i32, columnStep: i32,
  out: usize): void {
  const size = sizeof<T>()
  const outRow = <usize> columns * size
  const stepR = <usize> rowStep * size
  const stepC = <usize> columnStep * size
  if (columnStep == 1) {
    const whole = outRow & ~15
    for (let i = 0; i < rows; i++) {
      let byte: usize = 0
      for (; byte < whole; byte += 16) v128.store(out + byte, v128.load(from + byte))
      for (; byte < outRow; byte += size) store<T>(out + byte, load<T>(from + byte))
      from += stepR
      out += outRow
    }
    return
  }
  let i = 0
  if (sizeof<T>() == 4 && rowStep == 1) {
    for (; i + 4 <= rows; i += 4) {
      let at = from
      let to = out
      let j = 0
      for (; j + 4 <= columns; j += 4) {
        transposeFour(at, at + stepC, at + 2 * stepC, at + 3 * stepC, to, outRow)
        at += 4 * stepC
        to += 16
      }
      for (; j < columns; j++) {
        for (let r: usize = 0; r < 4; r++) store<T>(to + r * outRow, load<T>(at + r * size))
        at += stepC
        to += size
      }
      from += 4 * stepR
      out += 4 * outRow
    }
  }
  for (; i < rows; i++) {
    let at = from
    for (let j = 0; j < columns; j++) {
      store<T>(out + <usize> j * size, load<T>(at))
      at += stepC
    }
    from += stepR
    out += outRow
  }
}

/**
 * out = the numbers at multiples of the steps behind `from`, in row-major order of the extents; steps in numbers, which
 * may be 0 or negative.
 */
export function copyWalk<T extends number>(from: usize, a: i32, b: i32, rows: i32, columns: i32, stepA: i32, stepB: i32,
  rowStep: i32, columnStep: i32, out: usize): void {
  const matrix = <usize> rows * <usize> columns * sizeof<T>()
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      const at = from + (<isize> i * stepA + <isize> j * stepB) * sizeof<T>()
      copyMatrix<T>(at, rows, columns, rowStep, columnStep, out)
      out += matrix
    }
  }
}
