/**
 * @file Noise and prior of a regression by the evidence of the linear model over all weights,
 * y - f0 ~ N(0, K / delta + sigma^2 I) with K = J J' of one output (MacKay 1992). In the eigenbasis of K it is a
 * function of two numbers; where there are fewer weights than rows, the eigenbasis of J'J serves, and what no weight
 * can explain is noise alone.
 */
/** y - f0 in the eigenbasis of K: eigenvalues l_i with coordinates b_i; the other coordinates have eigenvalue 0. */
export interface GaussianSpectrum {
  readonly values: Float64Array
  readonly coordinates: Float64Array
  /** How many coordinates have eigenvalue 0 and are in neither list, and the sum of their squares. */
  readonly others: number
  readonly otherSquares: number
}

/** A function of log delta and log sigma^2: value, gradient and Hessian (2 x 2). */
export interface EvidenceOfTwo {
  at(point: Float64Array): { readonly value: number, readonly gradient: Float64Array, readonly hessian: Float64Array }
}

/** Prior precision and noise of one output. */
export interface GaussianHyperparameters {
  readonly delta: number
  readonly sigma: number
  /** log N(y - f0; 0, K / delta + sigma^2 I). */
  readonly evidence: number
  /** Whether the noise ran to its floor: the network interpolates its rows. */
  readonly floored: boolean
}

/** The noise is at least this share of the standard deviation of the targets. */
const SMALLEST_NOISE = 1e-3
/** Steps of log(delta sigma^2) between the points that are looked at. */
const LONGEST_GAP = 0.5

/** What the user gives of prior precision and noise; what is not given is tuned. */
export interface GivenHyperparameters {
  readonly delta?: number | undefined
  readonly sigma?: number | undefined
}

/**
 * The largest evidence in what is not given: the best point of all delta sigma^2, which Newton's method then improves.
 * Inputs on scales of their own spread the eigenvalues over many decades, and the evidence has a maximum wherever prior
 * and noise could change their parts: climbing from anywhere else ends in one of the lesser ones.
 */
export function tuneGaussian(spectrum: GaussianSpectrum, targetVariance: number,
  given: GivenHyperparameters = {}): GaussianHyperparameters {
  const lowest = Math.log(targetVariance > 0 ? targetVariance : meanSquare(spectrum)) + 2 * Math.log(SMALLEST_NOISE)
  const target = gaussianEvidence(spectrum)
  const free = { delta: given.delta === undefined, sigma: given.sigma === undefined }
  let best: { readonly point: Float64Array, readonly value: number } | undefined
  for (const ratio of ratios(spectrum)) {
    const point = pointAt(spectrum, ratio, given, lowest)
    const { value } = target.at(point)
    if (best === undefined || value > best.value) best = { point, value }
  }
  const { point: [p, q], value } = ascend(target, best?.point ?? Float64Array.of(0, lowest), free, lowest)
  // The search works with logarithms, from which what was given comes back with other last digits.
  return { delta: given.delta ?? Math.exp(p), sigma: given.sigma ?? Math.exp(q / 2), evidence: value,
    floored: free.sigma && q <= lowest + 1e-9 }
}

/** log(delta sigma^2) from where the prior says nothing of any direction to where the data do not. */
function ratios({ values }: GaussianSpectrum): number[] {
  const logs = values.map(Math.log)
  const [first, last] = values.length === 0 ? [0, 0] : [Math.min(...logs) - 5, Math.max(...logs) + 5]
  const count = Math.ceil((last - first) / LONGEST_GAP) + 1
  return Array.from({ length: count }, (_, i) => first + i * (last - first) / Math.max(1, count - 1))
}

/** log delta and log sigma^2 of the largest evidence among those of one delta sigma^2. */
function pointAt({ values, coordinates, others, otherSquares }: GaussianSpectrum, ratio: number,
  { delta, sigma }: GivenHyperparameters, lowest: number): Float64Array {
  if (sigma !== undefined) {
    return Float64Array.of(delta === undefined ? ratio - 2 * Math.log(sigma) : Math.log(delta), 2 * Math.log(sigma))
  }
  if (delta !== undefined) return Float64Array.of(Math.log(delta), Math.max(lowest, ratio - Math.log(delta)))
  const weight = Math.exp(-ratio)
  // y - f0 ~ N(0, sigma^2 (K / ratio + I)): sigma^2 is the mean square of what that covariance makes white.
  const white = values.reduce((sum, l, i) => sum + coordinates[i] ** 2 / (l * weight + 1), otherSquares)
  const noise = Math.max(lowest, Math.log(white / Math.max(1, values.length + others)))
  return Float64Array.of(ratio - noise, noise)
}

/** Mean square of y - f0; 1 where it is 0. */
function meanSquare({ values, coordinates, others, otherSquares }: GaussianSpectrum): number {
  const sum = coordinates.reduce((squares, b) => squares + b * b, otherSquares)
  return sum > 0 ? sum / (values.length + others) : 1
}

/** The evidence of p = log delta and q = log sigma^2. */
export function gaussianEvidence({ values, coordinates, others, otherSquares }: GaussianSpectrum): EvidenceOfTwo {
  const count = values.length + others
  return {
    at(point) {
      const [weight, noise] = [Math.exp(-point[0]), Math.exp(point[1])]
      let value = -0.5 * (count * Math.log(2 * Math.PI) + others * point[1] + otherSquares / noise)
      const gradient = Float64Array.of(0, -0.5 * (others - otherSquares / noise))
      const hessian = Float64Array.of(0, 0, 0, -0.5 * otherSquares / noise)
      for (let i = 0; i < values.length; i++) {
        const signal = values[i] * weight
        const v = signal + noise
        const ratio = coordinates[i] * coordinates[i] / v
        value -= 0.5 * (ratio + Math.log(v))
        const slope = 0.5 * (ratio - 1) / v
        const bend = 0.5 * (1 - 2 * ratio) / (v * v)
        gradient[0] -= slope * signal
        gradient[1] += slope * noise
        hessian[0] += bend * signal * signal + slope * signal
        hessian[1] -= bend * signal * noise
        hessian[3] += bend * noise * noise + slope * noise
      }
      hessian[2] = hessian[1]
      return { value, gradient, hessian }
    },
  }
}

const MOST_STEPS = 200
const LONGEST_STEP = 2
const TOLERANCE = 1e-10
/** Beyond this a prior is off, or pins the weights. */
const FURTHEST = 40

/** Which of prior precision and noise a search may change. */
interface FreeHyperparameters {
  readonly delta: boolean
  readonly sigma: boolean
}

/**
 * Newton's method on two variables, damped where the function is not concave; what is not free stays, and the second is
 * held at or above `lowest`.
 */
function ascend(target: EvidenceOfTwo, start: Float64Array, free: FreeHyperparameters,
  lowest: number): { point: Float64Array, value: number } {
  let point = start.slice()
  let current = target.at(point)
  let damping = 0
  for (let step = 0; step < MOST_STEPS; step++) {
    const movable = { ...free, sigma: free.sigma && (point[1] > lowest || current.gradient[1] > 0) }
    const direction = dampedStep(current.gradient, current.hessian, movable, damping)
    const next = Float64Array.of(
      free.delta ? Math.min(FURTHEST, Math.max(-FURTHEST, point[0] + direction[0])) : point[0],
      free.sigma ? Math.max(lowest, point[1] + direction[1]) : point[1],
    )
    const moved = Math.max(Math.abs(next[0] - point[0]), Math.abs(next[1] - point[1]))
    const reached = target.at(next)
    if (moved < TOLERANCE) return { point: next, value: reached.value }
    if (reached.value >= current.value - 1e-13 * Math.abs(current.value)) {
      point = next
      current = reached
      damping /= 8
    } else {damping = Math.max(1e-3 * Math.max(Math.abs(current.hessian[0]), Math.abs(current.hessian[3]), 1e-12),
        8 * damping)}
  }
  return { point, value: current.value }
}

/**
 * (-H + damping I)^-1 gradient with the eigenvalues of -H made positive, in the variables that are free; the others
 * stay.
 */
function dampedStep(gradient: Float64Array, hessian: Float64Array, free: FreeHyperparameters,
  damping: number): [number, number] {
  const clip = (value: number): number => Math.max(-LONGEST_STEP, Math.min(LONGEST_STEP, value))
  const [a, b, d] = [-hessian[0], -hessian[1], -hessian[3]]
  const alone = (slope: number, bend: number): number => clip(slope / (Math.max(Math.abs(bend), 1e-12) + damping))
  if (!free.sigma) return [free.delta ? alone(gradient[0], a) : 0, 0]
  if (!free.delta) return [0, alone(gradient[1], d)]
  const middle = (a + d) / 2
  const spread = Math.hypot((a - d) / 2, b)
  const least = middle - spread
  const shift = damping + (least > 0 ? 0 : 1e-3 * spread + 1e-12 - 2 * least)
  const [p, q] = [a + shift, d + shift]
  const determinant = p * q - b * b
  return [clip((q * gradient[0] - b * gradient[1]) / determinant),
    clip((p * gradient[1] - b * gradient[0]) / determinant)]
}
