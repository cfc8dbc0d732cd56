/** @file What is done row by row: softmax, normalisation by the row's own statistics, sums. */
import { expVector } from './elementwise'
import { lanes } from './simd'
import { sumLanes } from './vector'

const rest: usize = memory.data(16, 16)

/** The numbers of a vector, one after the other. */
// @ts-ignore: decorator
@inline
function each<T extends number>(value: v128, i: i32): T {
  v128.store(rest, value)
  return load<T>(rest + <usize> i * sizeof<T>())
}

/** e^x of one number. */
// @ts-ignore: decorator
@inline
function expNumber<T extends number>(x: T): T {
  return each<T>(expVector<T>(v128.splat<T>(x)), 0)
}

/** out = e^(x - max x) / sum e^(x - max x) for rows of n numbers; out may be x. */
export function softmaxRows<T extends number>(rows: i32, n: i32, x: usize, out: usize): void {
  const size = sizeof<T>()
  const bytes = <usize> n * size
  const whole = <usize> (n & -lanes<T>()) * size
  for (let row = 0; row < rows; row++) {
    let most = <T> -Infinity
    if (whole > 0) {
      let largest = v128.load(x)
      for (let byte: usize = 16; byte < whole; byte += 16) largest = v128.pmax<T>(largest, v128.load(x + byte))
      for (let i = 0; i < lanes<T>(); i++) {
        const value = each<T>(largest, i)
        if (value > most) most = value
      }
    }
    for (let byte = whole; byte < bytes; byte += size) {
      const value = load<T>(x + byte)
      if (value > most) most = value
    }
    const shift = v128.splat<T>(most)
    let sums = v128.splat<T>(<T> 0)
    for (let byte: usize = 0; byte < whole; byte += 16) {
      const power = expVector<T>(v128.sub<T>(v128.load(x + byte), shift))
      v128.store(out + byte, power)
      sums = v128.add<T>(sums, power)
    }
    let sum = <T> 0
    for (let i = 0; i < lanes<T>(); i++) sum = <T> (sum + each<T>(sums, i))
    for (let byte = whole; byte < bytes; byte += size) {
      const power = expNumber<T>(<T> (load<T>(x + byte) - most))
      store<T>(out + byte, power)
      sum = <T> (sum + power)
    }
    const factor = <T> (<T> 1 / sum)
    const scale = v128.splat<T>(factor)
    for (let byte: usize = 0; byte < whole; byte += 16) {
      v128.store(out + byte, v128.mul<T>(v128.load(out + byte), scale))
    }
    for (let byte = whole; byte < bytes; byte += size) store<T>(out + byte, <T> (load<T>(out + byte) * factor))
    x += bytes
    out += bytes
  }
}

/** Two numbers from `address` on, as f64. */
// @ts-ignore: decorator
@inline
function pair<T extends number>(address: usize): v128 {
  return sizeof<T>() == 8 ? v128.load(address) : f64x2.promote_low_f32x4(v128.load64_zero(address))
}

/** The sum of n numbers, in f64. */
// @ts-ignore: decorator
@inline
function sumOf<T extends number>(n: i32, x: usize): f64 {
  const size = sizeof<T>()
  let even = f64x2.splat(0), odd = even
  let i = 0
  for (; i + 4 <= n; i += 4) {
    even = f64x2.add(even, pair<T>(x))
    odd = f64x2.add(odd, pair<T>(x + 2 * size))
    x += 4 * size
  }
  let sum = sumLanes(f64x2.add(even, odd))
  for (; i < n; i++) {
    sum += <f64> load<T>(x)
    x += size
  }
  return sum
}

/** The sum of (x - centre)^2 over n numbers, in f64. */
// @ts-ignore: decorator
@inline
function squaresOf<T extends number>(n: i32, x: usize, centre: f64): f64 {
  const size = sizeof<T>()
  const shift = f64x2.splat(centre)
  let even = f64x2.splat(0), odd = even
  let i = 0
  for (; i + 4 <= n; i += 4) {
    const a = f64x2.sub(pair<T>(x), shift)
    const b = f64x2.sub(pair<T>(x + 2 * size), shift)
    even = f64x2.add(even, f64x2.mul(a, a))
    odd = f64x2.add(odd, f64x2.mul(b, b))
    x += 4 * size
  }
  let sum = sumLanes(f64x2.add(even, odd))
  for (; i < n; i++) {
    const value = <f64> load<T>(x) - centre
    sum += value * value
    x += size
  }
  return sum
}

/** out_r = factor times the sum of row r of n numbers, which is added up in f64. */
export function sumRows<T extends number>(rows: i32, n: i32, factor: f64, x: usize, out: usize): void {
  for (let row = 0; row < rows; row++) {
    store<T>(out, <T> (factor * sumOf<T>(n, x)))
    x += <usize> n * sizeof<T>()
    out += sizeof<T>()
  }
}

/**
 * out = (x - mean) / sqrt(variance + epsilon) * scale + shift for rows of n numbers, with statistics in f64; without
 * `centred` the mean counts as 0.
 * @param scale n numbers
 * @param shift n numbers, or 0
 */
export function normaliseRows<T extends number>(rows: i32, n: i32, centred: bool, epsilon: f64, x: usize, scale: usize,
  shift: usize, out: usize): void {
  const size = sizeof<T>()
  const bytes = <usize> n * size
  const whole = <usize> (n & -lanes<T>()) * size
  for (let row = 0; row < rows; row++) {
    const mean = centred ? sumOf<T>(n, x) / <f64> n : 0
    const inverse = 1 / Math.sqrt(squaresOf<T>(n, x, mean) / <f64> n + epsilon)
    // What f32 cannot hold of the mean is subtracted too: a large mean would cost the digits of the difference.
    const centre = v128.splat<T>(<T> mean)
    const remainder = v128.splat<T>(<T> (mean - <f64> <T> mean))
    const factor = v128.splat<T>(<T> inverse)
    for (let byte: usize = 0; byte < whole; byte += 16) {
      const difference = v128.sub<T>(v128.sub<T>(v128.load(x + byte), centre), remainder)
      const value = v128.mul<T>(v128.mul<T>(difference, factor), v128.load(scale + byte))
      v128.store(out + byte, shift == 0 ? value : v128.add<T>(value, v128.load(shift + byte)))
    }
    for (let byte = whole; byte < bytes; byte += size) {
      const difference = <T> (<f64> load<T>(x + byte) - mean)
      const value = <T> (difference * <T> inverse * load<T>(scale + byte))
      store<T>(out + byte, shift == 0 ? value : <T> (value + load<T>(shift + byte)))
    }
    x += bytes
    out += bytes
  }
}

/** out_j = sum_r x_rj^2 of rows of n numbers. The sums of four vectors stay in registers while all rows are read. */
export function sumSquares<T extends number>(rows: i32, n: i32, x: usize, out: usize): void {
  const row = <usize> n * sizeof<T>()
  const height = <usize> rows * row
  const end = out + row
  for (; out + 64 <= end; out += 64, x += 64) {
    let a = v128.splat<T>(<T> 0)
    let b = a
    let c = a
    let d = a
    for (let at = x, last = x + height; at < last; at += row) {
      a = v128.add<T>(a, squared<T>(at))
      b = v128.add<T>(b, squared<T>(at + 16))
      c = v128.add<T>(c, squared<T>(at + 32))
      d = v128.add<T>(d, squared<T>(at + 48))
    }
    v128.store(out, a)
    v128.store(out + 16, b)
    v128.store(out + 32, c)
    v128.store(out + 48, d)
  }
  for (; out < end; out += sizeof<T>(), x += sizeof<T>()) {
    let sum = <T> 0
    for (let at = x, last = x + height; at < last; at += row) sum = <T> (sum + load<T>(at) * load<T>(at))
    store<T>(out, sum)
  }
}

// @ts-ignore: decorator
@inline
function squared<T extends number>(at: usize): v128 {
  const value = v128.load(at)
  return v128.mul<T>(value, value)
}

/**
 * Adds the numbers of blocks of `count` to blocks of `length`, each to the place that its f64 index names, from the
 * end where it is negative; one that names no place is passed over.
 * @param step numbers from one block's indices to the next one's: `count`, or 0 where all have the same
 */
export function placeNumbers<T extends number>(blocks: i32, count: i32, length: i32, x: usize, indices: usize,
  step: i32, out: usize): void {
  const size = sizeof<T>()
  const limit = <f64> length
  for (let block = 0; block < blocks; block++) {
    for (let t = 0; t < count; t++, x += size) {
      const index = load<f64>(indices + (<usize> t << 3))
      const place = index < 0 ? index + limit : index
      // A number that is no place must not be written to: the memory behind a block is another value's.
      if (!(place >= 0 && place < limit)) continue
      const at = out + <usize> place * size
      store<T>(at, <T> (load<T>(at) + load<T>(x)))
    }
    indices += <usize> step << 3
    out += <usize> length * size
  }
}
