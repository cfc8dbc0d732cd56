/** @file Operations on f64 vectors and on a few rows of a matrix at once, which the eigen-decomposition is made of. */
import { multiplyAdd } from './simd'

/** The sum of the two numbers of a vector. */
// @ts-ignore: decorator
@inline
export function sumLanes(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1)
}

/** x . y */
export function dot(n: i32, x: usize, y: usize): f64 {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0
  let j = 0
  for (; j + 8 <= n; j += 8) {
    s0 = multiplyAdd<f64>(v128.load(x), v128.load(y), s0)
    s1 = multiplyAdd<f64>(v128.load(x, 16), v128.load(y, 16), s1)
    s2 = multiplyAdd<f64>(v128.load(x, 32), v128.load(y, 32), s2)
    s3 = multiplyAdd<f64>(v128.load(x, 48), v128.load(y, 48), s3)
    x += 64
    y += 64
  }
  let sum = sumLanes(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3)))
  for (; j < n; j++) {
    sum += load<f64>(x) * load<f64>(y)
    x += 8
    y += 8
  }
  return sum
}

/** y += alpha x */
export function addMultiple(n: i32, alpha: f64, x: usize, y: usize): void {
  const factor = f64x2.splat(alpha)
  let j = 0
  for (; j + 4 <= n; j += 4) {
    v128.store(y, multiplyAdd<f64>(factor, v128.load(x), v128.load(y)))
    v128.store(y, multiplyAdd<f64>(factor, v128.load(x, 16), v128.load(y, 16)), 16)
    x += 32
    y += 32
  }
  for (; j < n; j++) {
    store<f64>(y, load<f64>(y) + alpha * load<f64>(x))
    x += 8
    y += 8
  }
}

/** x *= alpha */
export function scaleVector(n: i32, alpha: f64, x: usize): void {
  const factor = f64x2.splat(alpha)
  let j = 0
  for (; j + 2 <= n; j += 2) {
    v128.store(x, f64x2.mul(factor, v128.load(x)))
    x += 16
  }
  if (j < n) store<f64>(x, alpha * load<f64>(x))
}

/** out_r = alpha row_r . x for `count` rows of n numbers, `stride` bytes apart. */
export function rowsTimes(count: i32, n: i32, alpha: f64, rows: usize, stride: usize, x: usize, out: usize): void {
  let r = 0
  for (; r + 4 <= count; r += 4) {
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0
    let a = rows
    let from = x
    let j = 0
    for (; j + 2 <= n; j += 2) {
      const value = v128.load(from)
      s0 = multiplyAdd<f64>(v128.load(a), value, s0)
      s1 = multiplyAdd<f64>(v128.load(a + stride), value, s1)
      s2 = multiplyAdd<f64>(v128.load(a + 2 * stride), value, s2)
      s3 = multiplyAdd<f64>(v128.load(a + 3 * stride), value, s3)
      a += 16
      from += 16
    }
    let t0 = sumLanes(s0), t1 = sumLanes(s1), t2 = sumLanes(s2), t3 = sumLanes(s3)
    if (j < n) {
      const value = load<f64>(from)
      t0 += load<f64>(a) * value
      t1 += load<f64>(a + stride) * value
      t2 += load<f64>(a + 2 * stride) * value
      t3 += load<f64>(a + 3 * stride) * value
    }
    store<f64>(out, alpha * t0)
    store<f64>(out, alpha * t1, 8)
    store<f64>(out, alpha * t2, 16)
    store<f64>(out, alpha * t3, 24)
    rows += 4 * stride
    out += 32
  }
  for (; r < count; r++) {
    store<f64>(out, alpha * dot(n, rows, x))
    rows += stride
    out += 8
  }
}

/** y += sum_r factor_r row_r for `count` rows of n numbers, `stride` bytes apart. */
export function addRows(count: i32, n: i32, factors: usize, rows: usize, stride: usize, y: usize): void {
  let r = 0
  for (; r + 4 <= count; r += 4) {
    const f0 = v128.load64_splat(factors)
    const f1 = v128.load64_splat(factors, 8)
    const f2 = v128.load64_splat(factors, 16)
    const f3 = v128.load64_splat(factors, 24)
    let a = rows
    let to = y
    let j = 0
    for (; j + 2 <= n; j += 2) {
      const even = multiplyAdd<f64>(f1, v128.load(a + stride), multiplyAdd<f64>(f0, v128.load(a), v128.load(to)))
      v128.store(to,
        multiplyAdd<f64>(f3, v128.load(a + 3 * stride), multiplyAdd<f64>(f2, v128.load(a + 2 * stride), even)))
      a += 16
      to += 16
    }
    if (j < n) {
      const sum = load<f64>(factors) * load<f64>(a) + load<f64>(factors, 8) * load<f64>(a + stride)
        + load<f64>(factors, 16) * load<f64>(a + 2 * stride) + load<f64>(factors, 24) * load<f64>(a + 3 * stride)
      store<f64>(to, load<f64>(to) + sum)
    }
    rows += 4 * stride
    factors += 32
  }
  for (; r < count; r++) {
    addMultiple(n, load<f64>(factors), rows, y)
    rows += stride
    factors += 8
  }
}

/** y = A x for symmetric A of which only the lower triangle is read: every number is read once and used twice. */
export function symmetricTimes(n: i32, a: usize, stride: usize, x: usize, y: usize): void {
  memory.fill(y, 0, <usize> n << 3)
  let i = 0
  for (; i + 4 <= n; i += 4) {
    fourRowsTimes(i, a, stride, x, y)
    a += 4 * stride
  }
  for (; i < n; i++) {
    const at = <usize> i << 3
    const value = load<f64>(x + at)
    addMultiple(i, value, a, y)
    store<f64>(y + at, load<f64>(y + at) + dot(i + 1, a, x))
    a += stride
  }
}

/** The share of rows i to i + 3, both as rows and as columns. */
function fourRowsTimes(i: i32, a: usize, stride: usize, x: usize, y: usize): void {
  const own = <usize> i << 3
  const x0 = v128.load64_splat(x + own)
  const x1 = v128.load64_splat(x + own, 8)
  const x2 = v128.load64_splat(x + own, 16)
  const x3 = v128.load64_splat(x + own, 24)
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0
  let a0 = a
  let a1 = a + stride
  let a2 = a1 + stride
  let a3 = a2 + stride
  const end = a + own
  let from = x
  let to = y
  while (a0 < end) {
    const value = v128.load(from)
    const row0 = v128.load(a0)
    const row1 = v128.load(a1)
    const row2 = v128.load(a2)
    const row3 = v128.load(a3)
    s0 = multiplyAdd<f64>(row0, value, s0)
    s1 = multiplyAdd<f64>(row1, value, s1)
    s2 = multiplyAdd<f64>(row2, value, s2)
    s3 = multiplyAdd<f64>(row3, value, s3)
    const first = multiplyAdd<f64>(row1, x1, multiplyAdd<f64>(row0, x0, v128.load(to)))
    v128.store(to, multiplyAdd<f64>(row3, x3, multiplyAdd<f64>(row2, x2, first)))
    a0 += 16
    a1 += 16
    a2 += 16
    a3 += 16
    from += 16
    to += 16
  }
  store<f64>(y + own, load<f64>(y + own) + sumLanes(s0))
  store<f64>(y + own, load<f64>(y + own, 8) + sumLanes(s1), 8)
  store<f64>(y + own, load<f64>(y + own, 16) + sumLanes(s2), 16)
  store<f64>(y + own, load<f64>(y + own, 24) + sumLanes(s3), 24)
  for (let r = 0; r < 4; r++) {
    const row = a + own + <usize> r * stride
    const atRow = own + (<usize> r << 3)
    const xr = load<f64>(x + atRow)
    let sum = load<f64>(row + (<usize> r << 3)) * xr
    for (let s = 0; s < r; s++) {
      const atColumn = own + (<usize> s << 3)
      const value = load<f64>(row + (<usize> s << 3))
      sum += value * load<f64>(x + atColumn)
      store<f64>(y + atColumn, load<f64>(y + atColumn) + value * xr)
    }
    store<f64>(y + atRow, load<f64>(y + atRow) + sum)
  }
}
