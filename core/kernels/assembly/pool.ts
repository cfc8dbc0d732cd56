/**
 * @file Pools: the maximum or the sum of the numbers of every window of a plane. Window j of a plane begins at
 * `origins[j]`, its numbers lie `steps` further on; tables hold bytes, as i32.
 */
import { adjoin, entry, everySecond, gather, isEverySecond } from './gathered'
import { lanes } from './simd'

/** Bytes of planes that stay in the innermost cache while each table entry is looked up once for all of them. */
const PLANES: i32 = 16384

/** Of the larger ones a NaN wins: the larger of two is one instruction where the first may be NaN, the mask another. */
// @ts-ignore: decorator
@inline
function merge<T extends number>(maximum: bool, a: v128, b: v128): v128 {
  return maximum ? v128.or(v128.pmax<T>(a, b), v128.ne<T>(b, b)) : v128.add<T>(a, b)
}

/** One vector, of numbers that adjoin or lie two apart. */
// @ts-ignore: decorator
@inline
function vector<T extends number>(second: bool, from: usize): v128 {
  return second ? everySecond<T>(from) : v128.load(from)
}

/** One vector of windows in every plane. */
// @ts-ignore: decorator
@inline
function poolVector<T extends number>(maximum: bool, second: bool, planes: i32, depth: i32, from: usize, plane: usize,
  steps: usize, out: usize, outPlane: usize): void {
  const lastStep = steps + (<usize> depth << 2)
  if (depth == 4) {
    const s0 = entry(steps, 0), s1 = entry(steps, 1), s2 = entry(steps, 2), s3 = entry(steps, 3)
    for (let i = 0; i < planes; i++) {
      const top = merge<T>(maximum, vector<T>(second, from + s0), vector<T>(second, from + s1))
      const three = merge<T>(maximum, top, vector<T>(second, from + s2))
      v128.store(out, merge<T>(maximum, three, vector<T>(second, from + s3)))
      from += plane
      out += outPlane
    }
    return
  }
  for (let i = 0; i < planes; i++) {
    let value = vector<T>(second, from + entry(steps, 0))
    for (let step = steps + 4; step < lastStep; step += 4) {
      value = merge<T>(maximum, value, vector<T>(second, from + entry(step, 0)))
    }
    v128.store(out, value)
    from += plane
    out += outPlane
  }
}

/** The same of numbers that lie anywhere. */
// @ts-ignore: decorator
@inline
function poolGathered<T extends number>(maximum: bool, planes: i32, depth: i32, image: usize, table: usize,
  plane: usize, steps: usize, out: usize, outPlane: usize): void {
  const lastStep = steps + (<usize> depth << 2)
  for (let i = 0; i < planes; i++) {
    let value = gather<T>(image + entry(steps, 0), table)
    for (let step = steps + 4; step < lastStep; step += 4) {
      value = merge<T>(maximum, value, gather<T>(image + entry(step, 0), table))
    }
    v128.store(out, value)
    image += plane
    out += outPlane
  }
}

// @ts-ignore: decorator
@inline
function poolPlanes<T extends number>(maximum: bool, planes: i32, columns: i32, depth: i32, image: usize, plane: usize,
  origins: usize, steps: usize, out: usize): void {
  const width = lanes<T>()
  const lastStep = steps + (<usize> depth << 2)
  const outPlane = <usize> columns * sizeof<T>()
  const together = max(1, PLANES / <i32> plane)
  for (let first = 0; first < planes; first += together) {
    const count = min(together, planes - first)
    let table = origins
    let to = out
    let j = 0
    for (; j + width <= columns; j += width) {
      const from = image + entry(table, 0)
      if (adjoin<T>(table, width)) poolVector<T>(maximum, false, count, depth, from, plane, steps, to, outPlane)
      else if (isEverySecond<T>(table)) poolVector<T>(maximum, true, count, depth, from, plane, steps, to, outPlane)
      else poolGathered<T>(maximum, count, depth, image, table, plane, steps, to, outPlane)
      to += 16
      table += <usize> width << 2
    }
    for (; j < columns; j++) {
      for (let i = 0; i < count; i++) {
        const from = image + <usize> i * plane + entry(table, 0)
        let value = load<T>(from + entry(steps, 0))
        for (let step = steps + 4; step < lastStep; step += 4) {
          const other = load<T>(from + entry(step, 0))
          value = maximum ? <T> max<T>(value, other) : <T> (value + other)
        }
        store<T>(to + <usize> i * outPlane, value)
      }
      to += sizeof<T>()
      table += 4
    }
    image += <usize> count * plane
    out += <usize> count * outPlane
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
