/**
 * @file exp, tanh and the logistic function of arrays, a vector at a time: x = k ln 2 + r with |r| <= ln(2)/2, the
 * Taylor polynomial of e^r - 1 (its remainder is below half a unit in the last place), then 2^k by writing the
 * exponent.
 */
import { multiplyAdd, multiplySubtract } from './simd'

// @ts-ignore: decorator
@inline
function constant<T extends number>(value: f64): v128 {
  return v128.splat<T>(<T> value)
}

/** Nearest integers k of x / ln 2, as numbers: adding and taking away 1.5 2^p leaves no room for fractions. */
// @ts-ignore: decorator
@inline
function exponents<T extends number>(x: v128): v128 {
  const shift = constant<T>(sizeof<T>() == 8 ? 6755399441055744 : 12582912)
  return v128.sub<T>(multiplyAdd<T>(x, constant<T>(1.4426950408889634), shift), shift)
}

/** 2^k for whole numbers k within the normal range. */
// @ts-ignore: decorator
@inline
function powerOfTwo<T extends number>(k: v128): v128 {
  if (sizeof<T>() == 8) {
    const bits = v128.add<f64>(k, f64x2.splat(6755399441055744))
    return i64x2.shl(i64x2.add(bits, i64x2.splat(1023)), 52)
  }
  const bits = v128.add<f32>(k, f32x4.splat(12582912))
  return i32x4.shl(i32x4.add(bits, i32x4.splat(127)), 23)
}

/**
 * x - k ln 2, where ln 2 is the sum of a number with few digits, so that its product with k is exact, and a small one.
 */
// @ts-ignore: decorator
@inline
function remainder<T extends number>(x: v128, k: v128): v128 {
  const large = sizeof<T>() == 8 ? 0.6931471803691238 : 0.693359375
  const small = sizeof<T>() == 8 ? 1.9082149292705877e-10 : -2.1219444005469057e-4
  return multiplySubtract<T>(k, constant<T>(small), multiplySubtract<T>(k, constant<T>(large), x))
}

/**
 * Reciprocal factorials 1/2!, 1/3!, ... 1/13!. They are read from memory, as engines build a constant vector anew at
 * each use.
 */
const reciprocals64: usize = memory.data<f64>([1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
  1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800])
const reciprocals32: usize = memory.data<f32>([1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040])

/** 1/n! */
// @ts-ignore: decorator
@inline
function reciprocal<T extends number>(n: i32): v128 {
  return sizeof<T>() == 8
    ? v128.load64_splat(reciprocals64 + (<usize> (n - 2) << 3))
    : v128.load32_splat(reciprocals32 + (<usize> (n - 2) << 2))
}

/** e^r - 1 = r + r^2 (1/2! + r/3! + ...), even and odd powers apart so that they are summed at the same time. */
// @ts-ignore: decorator
@inline
function expm1Small<T extends number>(r: v128): v128 {
  const r2 = v128.mul<T>(r, r)
  let even: v128, odd: v128
  if (sizeof<T>() == 8) {
    even = multiplyAdd<T>(reciprocal<T>(12), r2, reciprocal<T>(10))
    odd = multiplyAdd<T>(reciprocal<T>(13), r2, reciprocal<T>(11))
    even = multiplyAdd<T>(even, r2, reciprocal<T>(8))
    odd = multiplyAdd<T>(odd, r2, reciprocal<T>(9))
    even = multiplyAdd<T>(even, r2, reciprocal<T>(6))
    odd = multiplyAdd<T>(odd, r2, reciprocal<T>(7))
  } else {
    even = reciprocal<T>(6)
    odd = reciprocal<T>(7)
  }
  even = multiplyAdd<T>(even, r2, reciprocal<T>(4))
  odd = multiplyAdd<T>(odd, r2, reciprocal<T>(5))
  even = multiplyAdd<T>(even, r2, reciprocal<T>(2))
  odd = multiplyAdd<T>(odd, r2, reciprocal<T>(3))
  return multiplyAdd<T>(r2, multiplyAdd<T>(odd, r, even), r)
}

/** e^x; beyond the range infinity or 0, and NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function expVector<T extends number>(x: v128): v128 {
  const lowest = constant<T>(sizeof<T>() == 8 ? -746 : -104)
  const highest = constant<T>(sizeof<T>() == 8 ? 710 : 89)
  const inside = v128.pmin<T>(v128.pmax<T>(x, lowest), highest)
  const k = exponents<T>(inside)
  const value = v128.add<T>(expm1Small<T>(remainder<T>(inside, k)), constant<T>(1))
  // In two factors, as 2^k alone may be beyond the normal range where e^x is not.
  const half = v128.floor<T>(v128.mul<T>(k, constant<T>(0.5)))
  return v128.mul<T>(v128.mul<T>(value, powerOfTwo<T>(half)), powerOfTwo<T>(v128.sub<T>(k, half)))
}

/** (e^{2|x|} - 1) / (e^{2|x|} + 1) with the sign of x; the numerator has no cancellation near 0. */
// @ts-ignore: decorator
@inline
export function tanhVector<T extends number>(x: v128): v128 {
  const size = v128.pmin<T>(v128.abs<T>(x), constant<T>(20))
  const twice = v128.add<T>(size, size)
  const k = exponents<T>(twice)
  const power = powerOfTwo<T>(k)
  const expm1 = multiplyAdd<T>(power, expm1Small<T>(remainder<T>(twice, k)), v128.sub<T>(power, constant<T>(1)))
  const value = v128.div<T>(expm1, v128.add<T>(expm1, constant<T>(2)))
  return v128.or(value, v128.and(x, constant<T>(-0.0)))
}

/** 1 / (1 + e^-x), for negative x as e^x / (1 + e^x). */
// @ts-ignore: decorator
@inline
export function sigmoidVector<T extends number>(x: v128): v128 {
  const one = constant<T>(1)
  const power = expVector<T>(v128.neg<T>(v128.abs<T>(x)))
  const numerator = v128.bitselect(power, one, v128.lt<T>(x, constant<T>(0)))
  return v128.div<T>(numerator, v128.add<T>(one, power))
}

const EXP: i32 = 0
const TANH: i32 = 1
const SIGMOID: i32 = 2

// @ts-ignore: decorator
@inline
function image<T extends number>(kind: i32, x: v128): v128 {
  if (kind == EXP) return expVector<T>(x)
  return kind == TANH ? tanhVector<T>(x) : sigmoidVector<T>(x)
}

const rest: usize = memory.data(16, 16)

/** In place on `count` numbers. */
// @ts-ignore: decorator
@inline
function mapInPlace<T extends number>(kind: i32, count: i32, x: usize): void {
  const bytes = <usize> count * sizeof<T>()
  const whole = x + (bytes & ~15)
  for (; x < whole; x += 16) v128.store(x, image<T>(kind, v128.load(x)))
  if ((bytes & 15) == 0) return
  memory.copy(rest, x, bytes & 15)
  v128.store(rest, image<T>(kind, v128.load(rest)))
  memory.copy(x, rest, bytes & 15)
}

/** x_i = e^x_i for `count` numbers. */
export function expInPlace<T extends number>(count: i32, x: usize): void {
  mapInPlace<T>(EXP, count, x)
}

/** x_i = tanh x_i for `count` numbers. */
export function tanhInPlace<T extends number>(count: i32, x: usize): void {
  mapInPlace<T>(TANH, count, x)
}

/** x_i = 1 / (1 + e^-x_i) for `count` numbers. */
export function sigmoidInPlace<T extends number>(count: i32, x: usize): void {
  mapInPlace<T>(SIGMOID, count, x)
}
