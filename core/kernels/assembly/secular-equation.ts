/**
 * @file Roots of the secular equation 1/rho + sum_j z_j^2 / (d_j - x) = 0: the eigenvalues of diag(d) + rho z zᵀ, one
 * in each gap of d. A root is kept as its distance from the nearer pole, which is what the eigenvectors need to be
 * accurate. Each step replaces the poles on both sides by one pole each with matching value and slope (Li, "Solving
 * secular equations stably and efficiently", 1993), inside a bracket.
 */
import { at, put } from './f64-array'
import { sumLanes } from './vector'

/**
 * Steps allowed for one root; about four are usual, and the bracket is halved when a step is poor, so that the root is
 * as good as it can be.
 */
const MAX_STEPS: i32 = 80

/** Value and slope of the sum over the poles that `sumPoles` was asked for last. */
let poleSum: f64 = 0
let poleSlope: f64 = 0

/**
 * Finds root i (of 0..k-1, ascending).
 * @param d k poles, ascending and distinct
 * @param z k numbers, none of them zero
 * @param rho positive
 * @param differences receives d_j - root for every j
 */
export function secularRoot(i: i32, k: i32, d: usize, z: usize, rho: f64, differences: usize): f64 {
  const right = k == 1 ? 0 : min(i + 1, k - 1)
  const left = max(right - 1, 0)
  const isLast = i == k - 1
  const gap = isLast ? rho * squaredNorm(k, z) : at(d, i + 1) - at(d, i)
  const inverseRho = 1 / rho
  let tau: f64
  let pole = i
  if (k == 1) tau = gap
  else {
    let low: f64 = 0
    let high = gap
    const middle = 0.5 * gap
    sumPoles(0, k, d, z, at(d, i), middle)
    const value = inverseRho + poleSum
    if (value < 0) low = middle
    else high = middle
    // The poles beside the root as they are, all others by their value at the middle of the gap.
    const zl = at(z, left) * at(z, left)
    const zr = at(z, right) * at(z, right)
    const rest = value - zl / (at(d, left) - at(d, i) - middle) - zr / (at(d, right) - at(d, i) - middle)
    if (value < 0 && !isLast) {
      pole = i + 1
      low = -middle
      high = 0
    }
    const dl = at(d, left) - at(d, pole)
    const dr = at(d, right) - at(d, pole)
    tau = quadraticRoot(rest, rest * (dl + dr) + zl + zr, zl * dr + zr * dl, low, high)
    tau = iterate(tau, low, high, left, right, k, d, z, at(d, pole), inverseRho)
  }
  const origin = at(d, pole)
  for (let j = 0; j < k; j++) put(differences, j, at(d, j) - origin - tau)
  return origin + tau
}

/** From a first guess to the root, as a distance from `origin`. */
function iterate(tau: f64, low: f64, high: f64, left: i32, right: i32, k: i32, d: usize, z: usize, origin: f64,
  inverseRho: f64): f64 {
  let before = f64.MAX_VALUE
  for (let step = 0; step < MAX_STEPS; step++) {
    sumPoles(0, right, d, z, origin, tau)
    const psi = poleSum
    const psiSlope = poleSlope
    sumPoles(right, k, d, z, origin, tau)
    const value = inverseRho + psi + poleSum
    const slope = psiSlope + poleSlope
    const rounding = f64.EPSILON * (inverseRho + 4 * (abs(psi) + abs(poleSum)) + abs(tau) * slope)
    if (abs(value) <= rounding) return tau
    if (value < 0) low = tau
    else high = tau
    const dl = at(d, left) - origin - tau
    const dr = at(d, right) - origin - tau
    const constant = value - dl * psiSlope - dr * poleSlope
    let next = f64.NaN
    if (abs(value) < 0.5 * before) {
      next = tau + quadraticRoot(constant, (dl + dr) * value - dl * dr * slope, dl * dr * value, low - tau, high - tau)
    }
    before = abs(value)
    if (!(next > low && next < high)) {
      next = 0.5 * (low + high)
      before = f64.MAX_VALUE
      if (!(next > low && next < high)) return tau
    }
    if (abs(next - tau) <= 0.5 * f64.EPSILON * abs(tau)) return next
    tau = next
  }
  return tau
}

/** The root of c x^2 - a x + b inside (low, high), or the middle of the interval when rounding has left none. */
function quadraticRoot(c: f64, a: f64, b: f64, low: f64, high: f64): f64 {
  const root = sqrt(max(a * a - 4 * b * c, 0))
  const sum = a >= 0 ? a + root : a - root
  const small = 2 * b / sum
  if (small > low && small < high) return small
  const large = sum / (2 * c)
  if (large > low && large < high) return large
  return 0.5 * (low + high)
}

/**
 * Sets poleSum and poleSlope to sum z_j^2 / delta_j and sum z_j^2 / delta_j^2 over start <= j < end, where delta_j =
 * d_j - origin - tau.
 */
function sumPoles(start: i32, end: i32, d: usize, z: usize, origin: f64, tau: f64): void {
  let sums = f64x2.splat(0), slopes = sums
  const origins = f64x2.splat(origin)
  const taus = f64x2.splat(tau)
  let j = start
  for (; j + 2 <= end; j += 2) {
    const offset = <usize> j << 3
    const weight = v128.load(z + offset)
    const quotient = f64x2.div(weight, f64x2.sub(f64x2.sub(v128.load(d + offset), origins), taus))
    sums = f64x2.add(sums, f64x2.mul(weight, quotient))
    slopes = f64x2.add(slopes, f64x2.mul(quotient, quotient))
  }
  poleSum = sumLanes(sums)
  poleSlope = sumLanes(slopes)
  if (j < end) {
    const quotient = at(z, j) / (at(d, j) - origin - tau)
    poleSum += at(z, j) * quotient
    poleSlope += quotient * quotient
  }
}

function squaredNorm(k: i32, z: usize): f64 {
  let sum: f64 = 0
  for (let j = 0; j < k; j++) sum += at(z, j) * at(z, j)
  return sum
}
