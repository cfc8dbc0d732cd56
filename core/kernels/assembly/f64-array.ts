/** @file Numbers and indexes behind an address. */

// @ts-ignore: decorator
@inline
export function at(array: usize, i: i32): f64 {
  return load<f64>(array + (<usize> i << 3))
}

// @ts-ignore: decorator
@inline
export function put(array: usize, i: i32, value: f64): void {
  store<f64>(array + (<usize> i << 3), value)
}

// @ts-ignore: decorator
@inline
export function indexAt(array: usize, i: i32): i32 {
  return load<i32>(array + (<usize> i << 2))
}

// @ts-ignore: decorator
@inline
export function putIndex(array: usize, i: i32, value: i32): void {
  store<i32>(array + (<usize> i << 2), value)
}
