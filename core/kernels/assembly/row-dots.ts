/** @file Dot products of the rows of two matrices, weighted or not, added up in f64. */
import { multiplyAdd } from './simd'

/** Two numbers from `address` on, as f64. */
// @ts-ignore: decorator
@inline
function pair<T extends number>(address: usize): v128 {
  return sizeof<T>() == 8 ? v128.load(address) : f64x2.promote_low_f32x4(v128.load64_zero(address))
}

// @ts-ignore: decorator
@inline
function term<T extends number>(weighted: bool, a: usize, b: usize, w: usize, sum: v128): v128 {
  const product = pair<T>(b)
  return multiplyAdd<f64>(pair<T>(a), weighted ? v128.mul<f64>(product, pair<T>(w)) : product, sum)
}

// @ts-ignore: decorator
@inline
function addDots<T extends number>(weighted: bool, rows: i32, n: i32, a: usize, b: usize, w: usize, out: usize): void {
  const size = sizeof<T>()
  for (const last = out + (<usize> rows << 3); out < last; out += 8) {
    let even = f64x2.splat(0), odd = even
    let i = 0
    for (; i + 4 <= n; i += 4) {
      even = term<T>(weighted, a, b, w, even)
      odd = term<T>(weighted, a + 2 * size, b + 2 * size, w + 2 * size, odd)
      a += 4 * size
      b += 4 * size
      w += 4 * size
    }
    even = f64x2.add(even, odd)
    let sum = f64x2.extract_lane(even, 0) + f64x2.extract_lane(even, 1)
    for (; i < n; i++) {
      sum += <f64> load<T>(a) * (weighted ? <f64> load<T>(b) * <f64> load<T>(w) : <f64> load<T>(b))
      a += size
      b += size
      w += size
    }
    store<f64>(out, load<f64>(out) + sum)
  }
}

/** out_r += sum_i a_ri b_ri for rows of n numbers. */
export function addRowDots<T extends number>(rows: i32, n: i32, a: usize, b: usize, out: usize): void {
  addDots<T>(false, rows, n, a, b, a, out)
}

/** out_r += sum_i a_ri b_ri w_ri. */
export function addWeightedRowDots<T extends number>(rows: i32, n: i32, a: usize, b: usize, w: usize,
  out: usize): void {
  addDots<T>(true, rows, n, a, b, w, out)
}
