/**
 * @file Packing: a block of a matrix is laid out in the order in which the micro-kernel reads it, in panels of `width`
 * rows (of op(A)) or columns (of op(B)); the last panel is filled up with zeros.
 */
import { lanes } from './simd'

/** Packs a block whose panel index runs along memory: element (i, p) is at `source + p * stride + i * size`. */
// @ts-ignore: decorator
@inline
export function packAlong<T extends number>(width: i32, count: i32, depth: i32, source: usize, stride: usize,
  target: usize): void {
  const panelBytes = <usize> width * sizeof<T>()
  const whole = count - count % width
  for (let first = 0; first < whole; first += width) {
    let from = source + <usize> first * sizeof<T>()
    for (let p = 0; p < depth; p++) {
      for (let byte: usize = 0; byte < panelBytes; byte += 16) v128.store(target + byte, v128.load(from + byte))
      from += stride
      target += panelBytes
    }
  }
  if (whole == count) return
  memory.fill(target, 0, <usize> depth * panelBytes)
  const restBytes = <usize> (count - whole) * sizeof<T>()
  let from = source + <usize> whole * sizeof<T>()
  for (let p = 0; p < depth; p++) {
    for (let byte: usize = 0; byte < restBytes; byte += sizeof<T>()) store<T>(target + byte, load<T>(from + byte))
    from += stride
    target += panelBytes
  }
}

/** Packs a block whose panel index runs across memory: element (i, p) is at `source + i * stride + p * size`. */
// @ts-ignore: decorator
@inline
export function packAcross<T extends number>(width: i32, count: i32, depth: i32, source: usize, stride: usize,
  target: usize): void {
  const panelBytes = <usize> width * sizeof<T>()
  const step = lanes<T>()
  const whole = count - count % width
  const wholeDepth = depth - depth % step
  for (let first = 0; first < whole; first += width) {
    for (let group = 0; group < width; group += step) {
      const from = source + <usize> (first + group) * stride
      let to = target + <usize> group * sizeof<T>()
      for (let p = 0; p < wholeDepth; p += step) {
        transpose<T>(from + <usize> p * sizeof<T>(), stride, to, panelBytes)
        to += panelBytes * <usize> step
      }
      packElements<T>(step, wholeDepth, depth, from, stride, target + <usize> group * sizeof<T>(), panelBytes)
    }
    target += <usize> depth * panelBytes
  }
  if (whole == count) return
  memory.fill(target, 0, <usize> depth * panelBytes)
  packElements<T>(count - whole, 0, depth, source + <usize> whole * stride, stride, target, panelBytes)
}

/**
 * Packs a block of op(A) in panels of four rows for f64, each number twice: the micro-kernel then loads it as a vector,
 * which costs no arithmetic unit, where spreading one number over a vector would take one from the products. Element
 * (i, p) is at `source + i * rowStep + p * depthStep`.
 */
export function packTwice(count: i32, depth: i32, source: usize, rowStep: usize, depthStep: usize,
  target: usize): void {
  const panelBytes = <usize> depth << 6
  let first = 0
  for (; first + 4 <= count; first += 4) {
    let from0 = source + <usize> first * rowStep
    let from1 = from0 + rowStep
    let from2 = from1 + rowStep
    let from3 = from2 + rowStep
    const end = target + panelBytes
    while (target < end) {
      v128.store(target, v128.load64_splat(from0))
      v128.store(target, v128.load64_splat(from1), 16)
      v128.store(target, v128.load64_splat(from2), 32)
      v128.store(target, v128.load64_splat(from3), 48)
      from0 += depthStep
      from1 += depthStep
      from2 += depthStep
      from3 += depthStep
      target += 64
    }
  }
  if (first == count) return
  memory.fill(target, 0, panelBytes)
  for (let i = first; i < count; i++) {
    let from = source + <usize> i * rowStep
    for (let to = target + (<usize> (i - first) << 4); to < target + panelBytes; to += 64) {
      v128.store(to, v128.load64_splat(from))
      from += depthStep
    }
  }
}

/** Columns `start` to `end` of `count` rows, one number after another. */
function packElements<T extends number>(count: i32, start: i32, end: i32, source: usize, stride: usize, target: usize,
  panelBytes: usize): void {
  for (let p = start; p < end; p++) {
    let from = source + <usize> p * sizeof<T>()
    const to = target + <usize> p * panelBytes
    for (let i = 0; i < count; i++) {
      store<T>(to + <usize> i * sizeof<T>(), load<T>(from))
      from += stride
    }
  }
}

/** Writes the transpose of a square of one vector's width (2 x 2 for f64, 4 x 4 for f32). */
// @ts-ignore: decorator
@inline
function transpose<T extends number>(from: usize, stride: usize, to: usize, toStride: usize): void {
  if (sizeof<T>() == 8) {
    const r0 = v128.load(from)
    const r1 = v128.load(from + stride)
    v128.store(to, v128.shuffle<f64>(r0, r1, 0, 2))
    v128.store(to + toStride, v128.shuffle<f64>(r0, r1, 1, 3))
  } else {
    transposeFour(from, from + stride, from + 2 * stride, from + 3 * stride, to, toStride)
  }
}

/** Writes the transpose of four vectors of f32. */
// @ts-ignore: decorator
@inline
export function transposeFour(a: usize, b: usize, c: usize, d: usize, to: usize, toStride: usize): void {
  const r0 = v128.load(a)
  const r1 = v128.load(b)
  const r2 = v128.load(c)
  const r3 = v128.load(d)
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5)
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7)
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5)
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7)
  v128.store(to, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5))
  v128.store(to + toStride, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7))
  v128.store(to + 2 * toStride, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5))
  v128.store(to + 3 * toStride, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7))
}
