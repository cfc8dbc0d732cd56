/**
 * @file The error function, and the normal distribution's x Phi(x), a vector at a time: Taylor expansions about the
 * multiples of 1/4, whose coefficients the caller hands over (core/ops/erf.ts makes them).
 */
import { lanes, multiplyAdd } from './simd'

/** Expansions a unit and the terms of each, of which f32 shows eight; at the last centre erf is 1. */
const CENTRES: i32 = 4
const TERMS: i32 = 15
const LIMIT: i32 = 6

const rest: usize = memory.data(16, 16)

/** Coefficient n of each lane's expansion in f64. */
// @ts-ignore: decorator
@inline
function coefficients<T extends number>(n: i32, a: usize, b: usize, c: usize, d: usize): v128 {
  const at = <usize> n * sizeof<T>()
  return v128.load64_lane(b + at, v128.load64_zero(a + at), 1)
}

/** The expansions of eight terms of f32: the coefficients of four lanes are loaded by four, and exchanged. */
// @ts-ignore: decorator
@inline
function fewTerms(distance: v128, a: usize, b: usize, c: usize, d: usize): v128 {
  return fourTerms(fourTerms(v128.splat<f32>(0), distance, a + 16, b + 16, c + 16, d + 16), distance, a, b, c, d)
}

/** Four steps of Horner's rule. */
// @ts-ignore: decorator
@inline
function fourTerms(sum: v128, distance: v128, a: usize, b: usize, c: usize, d: usize): v128 {
  const r0 = v128.load(a), r1 = v128.load(b), r2 = v128.load(c), r3 = v128.load(d)
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7)
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7)
  sum = multiplyAdd<f32>(sum, distance, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7))
  sum = multiplyAdd<f32>(sum, distance, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5))
  sum = multiplyAdd<f32>(sum, distance, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7))
  return multiplyAdd<f32>(sum, distance, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5))
}

// @ts-ignore: decorator
@inline
function erfVector<T extends number>(x: v128, table: usize): v128 {
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
  let sum = sizeof<T>() == 8 ? coefficients<T>(TERMS - 1, a, b, c, d) : fewTerms(distance, a, b, c, d)
  if (sizeof<T>() == 8) {
    for (let n = TERMS - 2; n >= 0; n--) sum = multiplyAdd<T>(sum, distance, coefficients<T>(n, a, b, c, d))
  }
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
