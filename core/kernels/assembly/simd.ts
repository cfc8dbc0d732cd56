/**
 * @file What the kernels need to know of the machine: vectors of 128 bits, and a multiply-add that is one instruction
 * where the build allows it (relaxed SIMD) and two where it does not.
 */

/** Lanes of one vector: 4 for f32, 2 for f64. */
// @ts-ignore: decorator
@inline
export function lanes<T extends number>(): i32 {
  return 16 / <i32> sizeof<T>()
}

/** a b + c. The constant is known at compile time, so that each build holds one branch only. */
// @ts-ignore: decorator
@inline
export function multiplyAdd<T extends number>(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_madd<T>(a, b, c)
  return v128.add<T>(v128.mul<T>(a, b), c)
}

/** c - a b. */
// @ts-ignore: decorator
@inline
export function multiplySubtract<T extends number>(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_nmadd<T>(a, b, c)
  return v128.sub<T>(c, v128.mul<T>(a, b))
}
