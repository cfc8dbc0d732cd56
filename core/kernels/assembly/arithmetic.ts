/**
 * @file Arithmetic of arrays, element by element, and the rectifier: where both operands are contiguous, or one is a
 * single number.
 */
import { lanes } from './simd'

/** The operations, as core/kernels/arithmetic.ts numbers them. */
const ADD: i32 = 0
const SUBTRACT: i32 = 1
const MULTIPLY: i32 = 2

// @ts-ignore: decorator
@inline
function combineVectors<T extends number>(operation: i32, a: v128, b: v128): v128 {
  if (operation == ADD) return v128.add<T>(a, b)
  if (operation == SUBTRACT) return v128.sub<T>(a, b)
  return operation == MULTIPLY ? v128.mul<T>(a, b) : v128.div<T>(a, b)
}

// @ts-ignore: decorator
@inline
function combineNumbers<T extends number>(operation: i32, a: T, b: T): T {
  if (operation == ADD) return <T> (a + b)
  if (operation == SUBTRACT) return <T> (a - b)
  return operation == MULTIPLY ? <T> (a * b) : <T> (a / b)
}

// @ts-ignore: decorator
@inline
function combineRow<T extends number>(operation: i32, count: i32, a: usize, stepA: usize, b: usize, stepB: usize,
  out: usize): void {
  const end = out + <usize> count * sizeof<T>()
  const whole = out + (<usize> (count & -lanes<T>())) * sizeof<T>()
  const firstA = v128.splat<T>(load<T>(a))
  const firstB = v128.splat<T>(load<T>(b))
  for (; out < whole; out += 16) {
    v128.store(out,
      combineVectors<T>(operation, stepA == 0 ? firstA : v128.load(a), stepB == 0 ? firstB : v128.load(b)))
    a += stepA * <usize> lanes<T>()
    b += stepB * <usize> lanes<T>()
  }
  for (; out < end; out += sizeof<T>()) {
    store<T>(out, combineNumbers<T>(operation, load<T>(a), load<T>(b)))
    a += stepA
    b += stepB
  }
}

// One loop for each operation and layout: a loop that asks which one it is would be slower.
// @ts-ignore: decorator
@inline
function combineLayout<T extends number>(operation: i32, count: i32, a: usize, stepA: usize, b: usize, stepB: usize,
  out: usize): void {
  const size = sizeof<T>()
  if (stepA != 0 && stepB != 0) combineRow<T>(operation, count, a, size, b, size, out)
  else if (stepA != 0) combineRow<T>(operation, count, a, size, b, 0, out)
  else combineRow<T>(operation, count, a, 0, b, size, out)
}

/**
 * out = a (operation) b for `count` numbers; the step to the next number of an operand is its size or 0, at most one of
 * them 0.
 */
export function combine<T extends number>(operation: i32, count: i32, a: usize, stepA: usize, b: usize, stepB: usize,
  out: usize): void {
  if (operation == ADD) combineLayout<T>(ADD, count, a, stepA, b, stepB, out)
  else if (operation == SUBTRACT) combineLayout<T>(SUBTRACT, count, a, stepA, b, stepB, out)
  else if (operation == MULTIPLY) combineLayout<T>(MULTIPLY, count, a, stepA, b, stepB, out)
  else combineLayout<T>(3, count, a, stepA, b, stepB, out)
}

/** out = x where x is not negative, 0 where it is; NaN stays NaN. */
export function rectify<T extends number>(count: i32, x: usize, out: usize): void {
  const end = out + <usize> count * sizeof<T>()
  const whole = out + (<usize> (count & -lanes<T>())) * sizeof<T>()
  const zero = v128.splat<T>(<T> 0)
  for (; out < whole; out += 16) {
    const value = v128.load(x)
    v128.store(out, v128.andnot(value, v128.lt<T>(value, zero)))
    x += 16
  }
  for (; out < end; out += sizeof<T>()) {
    const value = load<T>(x)
    store<T>(out, value < <T> 0 ? <T> 0 : value)
    x += sizeof<T>()
  }
}

/** out = c where x is above the limit (or below it), else 0 c: what is not finite is not hidden. */
export function gate<T extends number>(below: bool, limit: T, count: i32, c: usize, x: usize, out: usize): void {
  const end = out + <usize> count * sizeof<T>()
  const whole = out + (<usize> (count & -lanes<T>())) * sizeof<T>()
  const bound = v128.splat<T>(limit)
  const one = v128.splat<T>(<T> 1)
  for (; out < whole; out += 16) {
    const value = v128.load(x)
    const passes = below ? v128.lt<T>(value, bound) : v128.gt<T>(value, bound)
    v128.store(out, v128.mul<T>(v128.load(c), v128.and(passes, one)))
    c += 16
    x += 16
  }
  for (; out < end; out += sizeof<T>()) {
    const value = load<T>(x)
    store<T>(out, <T> (load<T>(c) * ((below ? value < limit : value > limit) ? <T> 1 : <T> 0)))
    c += sizeof<T>()
    x += sizeof<T>()
  }
}
