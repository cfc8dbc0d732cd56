/** @file Numbers and indexes behind an address. */

/** Number i of an array. */
// @ts-ignore: decorator
@inline
export function at(array: usize, i: i32): f64 {
  return load<f64>(array + (<usize> i << 3))
}

/** Sets number i of an array. */
// @ts-ignore: decorator
@inline
export function put(array: usize, i: i32, value: f64): void {
  store<f64>(array + (<usize> i << 3), value)
}

/** Index i of a list of indexes. */
// @ts-ignore: decorator
@inline
export function indexAt(array: usize, i: i32): i32 {
  return load<i32>(array + (<usize> i << 2))
}

/** Sets index i of a list of indexes. */
// @ts-ignore: decorator
@inline
export function putIndex(array: usize, i: i32, value: i32): void {
  store<i32>(array + (<usize> i << 2), value)
}
