/**
 * @file The error function, and the normal distribution's x Phi(x), a vector at a time: Taylor expansions about the
 * multiples of 1/4, whose coefficients the caller hands over (core/ops/erf.ts makes them).
 */
import { lanes, multiplyAdd } from './simd'

/** Expansions a unit, the terms of each, and as many as f32 shows; at the last centre erf is 1. */
const CENTRES: i32 = 4
const TERMS: i32 = 15
const FEW_TERMS: i32 = 8
const LIMIT: i32 = 6

const rest: usize = memory.data(16, 16)

/** Coefficient n of each lane's expansion. */
// @ts-ignore: decorator
@inline
function coefficients<T extends number>(n: i32, a: usize, b: usize, c: usize, d: usize): v128 {
  const at = <usize> n * sizeof<T>()
  if (sizeof<T>() == 8) return v128.load64_lane(b + at, v128.load64_zero(a + at), 1)
  return v128.load32_lane(d + at, v128.load32_lane(c + at, v128.load32_lane(b + at, v128.load32_zero(a + at), 1), 2), 3)
}

// @ts-ignore: decorator
@inline
function erfVector<T extends number>(x: v128, table: usize): v128 {
  const terms = sizeof<T>() == 8 ? TERMS : FEW_TERMS
  // NaN goes through.
  const magnitude = v128.pmin<T>(v128.abs<T>(x), v128.splat<T>(<T> LIMIT))
  const centre = v128.nearest<T>(v128.mul<T>(magnitude, v128.splat<T>(<T> CENTRES)))
  const distance = v128.sub<T>(magnitude, v128.div<T>(centre, v128.splat<T>(<T> CENTRES)))
  const index = sizeof<T>() == 8 ? i32x4.trunc_sat_f64x2_s_zero(centre) : i32x4.trunc_sat_f32x4_s(centre)
  const row = <usize> TERMS * sizeof<T>()
  const a = table + <usize> i32x4.extract_lane(index, 0) * row
  const b = table + <usize> i32x4.extract_lane(index, 1) * row
  const c = table + <usize> i32x4.extract_lane(index, 2) * row
  const d = table + <usize> i32x4.extract_lane(index, 3) * row
  let sum = coefficients<T>(terms - 1, a, b, c, d)
  for (let n = terms - 2; n >= 0; n--) sum = multiplyAdd<T>(sum, distance, coefficients<T>(n, a, b, c, d))
  return v128.or(v128.andnot(sum, v128.splat<T>(<T> -0.0)), v128.and(x, v128.splat<T>(<T> -0.0)))
}

// @ts-ignore: decorator
@inline
function image<T extends number>(gelu: bool, x: v128, table: usize): v128 {
  if (!gelu) return erfVector<T>(x, table)
  const part = erfVector<T>(v128.mul<T>(x, v128.splat<T>(<T> Math.SQRT1_2)), table)
  const half = v128.mul<T>(x, v128.splat<T>(<T> 0.5))
  return multiplyAdd<T>(half, part, half)
}

// @ts-ignore: decorator
@inline
function mapRow<T extends number>(gelu: bool, count: i32, x: usize, out: usize, table: usize): void {
  const whole = out + <usize> (count & -lanes<T>()) * sizeof<T>()
  for (; out < whole; out += 16) {
    v128.store(out, image<T>(gelu, v128.load(x), table))
    x += 16
  }
  const bytes = <usize> (count & (lanes<T>() - 1)) * sizeof<T>()
  if (bytes == 0) return
  memory.copy(rest, x, bytes)
  v128.store(rest, image<T>(gelu, v128.load(rest), table))
  memory.copy(out, rest, bytes)
}

/** out = erf x for `count` numbers; the table is of their type. */
export function erfRow<T extends number>(count: i32, x: usize, out: usize, table: usize): void {
  mapRow<T>(false, count, x, out, table)
}

/** out = x (1 + erf(x / sqrt 2)) / 2 for `count` numbers. */
export function geluRow<T extends number>(count: i32, x: usize, out: usize, table: usize): void {
  mapRow<T>(true, count, x, out, table)
}
