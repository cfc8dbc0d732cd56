/**
 * @file Pools: the maximum or the sum of the numbers of every window of a plane. Window j of a plane begins at
 * `origins[j]`, its numbers lie `steps` further on; tables hold bytes, as i32.
 */
import { adjoin, entry, everySecond, gather, isEverySecond } from './gathered'
import { lanes } from './simd'

// @ts-ignore: decorator
@inline
function merge<T extends number>(maximum: bool, a: v128, b: v128): v128 {
  return maximum ? v128.max<T>(a, b) : v128.add<T>(a, b)
}

// @ts-ignore: decorator
@inline
function poolPlanes<T extends number>(maximum: bool, planes: i32, columns: i32, depth: i32, image: usize, plane: usize,
  origins: usize, steps: usize, out: usize): void {
  const width = lanes<T>()
  const lastStep = steps + (<usize> depth << 2)
  for (let i = 0; i < planes; i++) {
    let table = origins
    let j = 0
    for (; j + width <= columns; j += width) {
      const from = image + entry(table, 0)
      let value = v128.splat<T>(maximum ? <T> -Infinity : <T> 0)
      if (adjoin<T>(table, width)) {
        for (let step = steps; step < lastStep; step += 4) {
          value = merge<T>(maximum, value, v128.load(from + entry(step, 0)))
        }
      } else if (isEverySecond<T>(table)) {
        for (let step = steps; step < lastStep; step += 4) {
          value = merge<T>(maximum, value, everySecond<T>(from + entry(step, 0)))
        }
      } else {
        for (let step = steps; step < lastStep; step += 4) {
          value = merge<T>(maximum, value, gather<T>(image + entry(step, 0), table))
        }
      }
      v128.store(out, value)
      out += 16
      table += <usize> width << 2
    }
    for (; j < columns; j++) {
      const from = image + entry(table, 0)
      let value = maximum ? <T> -Infinity : <T> 0
      for (let step = steps; step < lastStep; step += 4) {
        const other = load<T>(from + entry(step, 0))
        value = maximum ? <T> max<T>(value, other) : <T> (value + other)
      }
      store<T>(out, value)
      out += sizeof<T>()
      table += 4
    }
    image += plane
  }
}

/** The largest number of every window, or NaN where one is NaN. */
export function poolMaximum<T extends number>(planes: i32, columns: i32, depth: i32, image: usize, plane: usize,
  origins: usize, steps: usize, out: usize): void {
  poolPlanes<T>(true, planes, columns, depth, image, plane, origins, steps, out)
}

/** The sum of every window. */
export function poolSum<T extends number>(planes: i32, columns: i32, depth: i32, image: usize, plane: usize,
  origins: usize, steps: usize, out: usize): void {
  poolPlanes<T>(false, planes, columns, depth, image, plane, origins, steps, out)
}

/**
 * The largest number of every window, the first of several, and where it is: `firstPlaces[j] + places[p]` for the step
 * p that leads to it, counted in numbers from plane to plane in steps of `planeNumbers`, as f64.
 */
export function poolPositions<T extends number>(planes: i32, columns: i32, depth: i32, image: usize, plane: usize,
  origins: usize, steps: usize, out: usize, firstPlaces: usize, places: usize, firstPlane: f64, planeNumbers: f64,
  indices: usize): void {
  for (let i = 0; i < planes; i++) {
    for (let j = 0; j < columns; j++) {
      const from = image + entry(origins, j)
      let most = load<T>(from + entry(steps, 0))
      let best = 0
      for (let p = 1; p < depth; p++) {
        const value = load<T>(from + entry(steps, p))
        // A NaN wins, and stays.
        if (value <= most || most != most) continue
        most = value
        best = p
      }
      store<T>(out, most)
      store<f64>(indices, firstPlane + <f64> max(0, <i32> entry(firstPlaces, j) + <i32> entry(places, best)))
      out += sizeof<T>()
      indices += 8
    }
    image += plane
    firstPlane += planeNumbers
  }
}
