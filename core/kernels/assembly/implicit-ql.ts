/** @file Eigenvalues and eigenvectors of a small symmetric tridiagonal matrix by QL steps with implicit shifts. */
import { at, put } from './f64-array'
import { pause } from './pause'

/** Steps allowed for one eigenvalue; two or three are usual. */
const MAX_STEPS: i32 = 60
/**
 * After so many, numbers that are negligible beside the whole matrix are dropped, not only those negligible beside
 * their neighbours.
 */
const PATIENT_STEPS: i32 = 10

/** Values of one decomposition from which on the host may look before each. */
const LONG: i32 = 256

/** c and s of a rotation, and the length it makes. */
let cosine: f64 = 1
let sine: f64 = 0

/**
 * Eigen-decomposition of the tridiagonal matrix of n numbers `d` on and n - 1 numbers `e` beside its diagonal.
 * @param d overwritten with the eigenvalues, in no order
 * @param e overwritten; has room for n numbers
 * @param z n x n rows of stride ld: overwritten, row r is the eigenvector of value r; 0 where values are enough
 * @returns whether it converged
 */
export function implicitQl(n: i32, d: usize, e: usize, z: usize, ld: i32): bool {
  const stride = <usize> ld << 3
  for (let i = 0; z != 0 && i < n; i++) {
    memory.fill(z + <usize> i * stride, 0, <usize> n << 3)
    store<f64>(z + <usize> i * stride + (<usize> i << 3), 1)
  }
  let largest: f64 = 0
  for (let i = 0; i < n; i++) largest = max(largest, max(abs(at(d, i)), i < n - 1 ? abs(at(e, i)) : 0))
  for (let first = 0; first < n; first++) {
    if (n >= LONG) pause(-1)
    let steps = 0
    while (true) {
      const last = unreducedEnd(n, first, d, e, steps < PATIENT_STEPS ? 0 : f64.EPSILON * largest)
      if (last == first) break
      if (steps++ == MAX_STEPS) return false
      step(first, last, n, d, e, z, stride)
    }
  }
  return true
}

/** Last index of the block from `first` on whose off-diagonal numbers are not negligible. */
function unreducedEnd(n: i32, first: i32, d: usize, e: usize, tolerance: f64): i32 {
  let i = first
  for (; i < n - 1; i++) {
    if (abs(at(e, i)) <= max(tolerance, f64.EPSILON * (abs(at(d, i)) + abs(at(d, i + 1))))) break
  }
  return i
}

/** One QL step on the block first..last: chases the bulge of the shifted matrix from its end to its beginning. */
function step(first: i32, last: i32, n: i32, d: usize, e: usize, z: usize, stride: usize): void {
  // Wilkinson's shift: the eigenvalue of the leading 2 x 2 block that is nearer to its first number.
  const ratio = (at(d, first + 1) - at(d, first)) / (2 * at(e, first))
  let g = at(d, last) - at(d, first) + at(e, first) / (ratio + copysign<f64>(sqrt(ratio * ratio + 1), ratio))
  cosine = 1
  sine = 1
  let shift: f64 = 0
  if (last < n - 1) put(e, last, 0)
  for (let i = last - 1; i >= first; i--) {
    const f = sine * at(e, i)
    const b = cosine * at(e, i)
    const length = rotation(f, g)
    if (i + 1 < last) put(e, i + 1, length)
    if (length == 0) {
      // The block falls apart here; the next step starts on the smaller one.
      put(d, i + 1, at(d, i + 1) - shift)
      return
    }
    g = at(d, i + 1) - shift
    const r = (at(d, i) - g) * sine + 2 * cosine * b
    shift = sine * r
    put(d, i + 1, g + shift)
    g = cosine * r - b
    if (z != 0) rotateRows(n, z + <usize> i * stride, z + <usize> (i + 1) * stride)
  }
  put(d, first, at(d, first) - shift)
  put(e, first, g)
}

/** Sets cosine and sine so that the rotation turns (g, f) into (length, 0); returns the length. */
function rotation(f: f64, g: f64): f64 {
  const scale = max(abs(f), abs(g))
  if (scale == 0) {
    cosine = 1
    sine = 0
    return 0
  }
  const length = scale * sqrt((f / scale) * (f / scale) + (g / scale) * (g / scale))
  cosine = g / length
  sine = f / length
  return length
}

function rotateRows(n: i32, lower: usize, upper: usize): void {
  const c = cosine
  const s = sine
  for (let j = 0; j < n; j++) {
    const x = load<f64>(lower)
    const y = load<f64>(upper)
    store<f64>(upper, s * x + c * y)
    store<f64>(lower, c * x - s * y)
    lower += 8
    upper += 8
  }
}
