/**
 * @file The linear model of a regression over all weights, an output at a time: each has its own noise and prior, so
 * that outputs on different scales get error bars of their own.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { ownGram } from '../curvature/jacobian-gram.js'
import { jacobianTimes } from '../curvature/jacobian-products.js'
import { outputJacobian } from '../curvature/jacobian.js'
import { splitVectors } from '../curvature/parameter-vectors.js'
import { NumericalError } from '../errors/errors.js'
import { pauseInLoop } from '../kernels/interruption.js'
import { cholesky, gemm, triangularSolve } from '../kernels/linear-algebra.js'
import { rootMeanSquare } from '../tensor/means.js'
import { gaussianEvidence, type GaussianHyperparameters, type GivenHyperparameters,
  tuneGaussian } from './gaussian-evidence.js'
import { type LinearProblem, type OtherRows, problemSize } from './linear-problem.js'
import { type OutputBasis, outputBasis, type RegressionRows } from './output-basis.js'

/** The posterior of one output's linear model: w - mu ~ N(weights, (I - U'U) / delta), with noise sigma. */
export interface OutputModel extends GaussianHyperparameters {
  /** w - mu, P. */
  readonly weights: Float64Array
  readonly rank: number
  /** U, r x P. */
  readonly rows: Float64Array
  /** gamma. */
  readonly effectiveParameters: number
  /** Every training row from all the others: outputs and variances without noise, N. */
  readonly leftOut: { readonly f: Float64Array, readonly variance: Float64Array }
  /** f_lin on the training rows and its variance without noise, N. */
  readonly f: Float64Array
  readonly variance: Float64Array
}

/** Prior precision and noise. */
type Hyper = Pick<GaussianHyperparameters, 'delta' | 'sigma'>

/**
 * The noise is at least this share of the root mean square of the leave-one-out residuals. With more weights than rows
 * the evidence cannot tell noise from weights and may run to no noise at all, which is about one nat better than this
 * (measured) and no truth.
 */
const LEAST_NOISE = 0.2

/** The linear models of one output for every prior precision and noise, in one eigenbasis. */
export interface OutputFamily {
  /** Of the largest evidence, in what was not given. */
  readonly tuned: GaussianHyperparameters
  /** The posterior. @param threshold eigenvalues of the curvature below threshold times delta are left out */
  modelAt(hyper: Hyper, threshold: number): OutputModel
  /** Every training row from all the others. */
  leftOutAt(hyper: Hyper): OutputModel['leftOut']
  /** f_lin and its variance without noise on other rows, M each. */
  elsewhere(rows: OtherRows): (hyper: Hyper) => {
    readonly f: Float64Array
    readonly variance: Float64Array
  }
}

/** The linear models of output c; what is given of prior precision and noise is not tuned. */
export function outputFamily(problem: LinearProblem, c: number, work: WorkOptions,
  given: GivenHyperparameters = {}): OutputFamily {
  throwIfCancelled(work.signal)
  const basis = outputBasis(problem, c)
  const leftOutAt = (hyper: Hyper): OutputModel['leftOut'] => onTrainingRows(problem, c, basis, hyper).leftOut
  const tuned = tunedIn(basis, problem, c, given)
  return {
    tuned,
    modelAt: (hyper, threshold) => {
      const own = hyper === tuned ? tuned : evaluated(basis, hyper)
      return { ...own, ...posteriorOf(problem, c, basis, own, threshold) }
    },
    leftOutAt,
    elsewhere: rows => outputsElsewhere(problem, c, basis, rows),
  }
}

/** Each row of output c predicted from all the others, prior and noise by the evidence: N. */
export function leftOutMeans(rows: RegressionRows, c: number, work: WorkOptions): Float64Array {
  throwIfCancelled(work.signal)
  const basis = outputBasis(rows, c)
  return onTrainingRows(rows, c, basis, tuneGaussian(basis, targetVariance(rows, c))).leftOut.f
}

function tunedIn(basis: OutputBasis, problem: LinearProblem, c: number,
  given: GivenHyperparameters): GaussianHyperparameters {
  const variance = targetVariance(problem, c)
  const found = tuneGaussian(basis, variance, given)
  if (given.sigma !== undefined) return found
  const { labels, outputs } = problem
  const { f } = onTrainingRows(problem, c, basis, found).leftOut
  const least = LEAST_NOISE * rootMeanSquare(Array.from(f, (mean, n) => labels[n * outputs + c] - mean))
  return found.sigma < least ? { ...tuneGaussian(basis, variance, { ...given, sigma: least }), floored: true } : found
}

/** The evidence of given hyper-parameters. */
function evaluated(basis: OutputBasis, { delta, sigma }: Hyper): GaussianHyperparameters {
  const { value } = gaussianEvidence(basis).at(Float64Array.of(Math.log(delta), 2 * Math.log(sigma)))
  return { delta, sigma, evidence: value, floored: false }
}

/** f0 + sum J_* J'v b / (l + delta sigma^2) and (J_* J_*' - sum (J_* J'v)^2 / (l + delta sigma^2)) / delta. */
function outputsElsewhere({ slots }: LinearProblem, c: number, { values, coordinates, images }: OutputBasis,
  { f0, jacobian }: OtherRows): ReturnType<OutputFamily['elsewhere']> {
  const own = outputJacobian(jacobian, c)
  const count = values.length
  const projected = jacobianTimes(own, splitVectors(slots, images(Array.from(values.keys())), count))
  const squares = ownGram(slots, own)
  return ({ delta, sigma }) => {
    const noise = delta * sigma * sigma
    const f = Float64Array.from({ length: own.examples }, (_, n) => f0[n * jacobian.seeds + c])
    const variance = squares.slice()
    for (let n = 0; n < own.examples; n++) {
      for (let i = 0; i < count; i++) {
        const a = projected[n * count + i]
        f[n] += a * coordinates[i] / (values[i] + noise)
        variance[n] -= a * a / (values[i] + noise)
      }
    }
    return { f, variance: variance.map(value => Math.max(0, value) / delta) }
  }
}

type Posterior = Omit<OutputModel, keyof GaussianHyperparameters>

/** With l' = l / (delta sigma^2): w = sum J'v b / (l + delta sigma^2), u = J'v / sqrt(l + delta sigma^2). */
function posteriorOf(problem: LinearProblem, c: number, basis: OutputBasis, hyper: GaussianHyperparameters,
  threshold: number): Posterior {
  const { values, coordinates } = basis
  const { delta, sigma } = hyper
  const noise = delta * sigma * sigma
  const weights = basis.image(coordinates.map((b, i) => b / (values[i] + noise)))
  const kept = Array.from(values.keys()).filter(i => values[i] > threshold * noise)
  const images = basis.images(kept)
  const size = problemSize(problem)
  const rows = new Float64Array(kept.length * size)
  kept.forEach((i, row) => {
    pauseInLoop(size)
    const scale = 1 / Math.sqrt(values[i] + noise)
    for (let j = row * size; j < (row + 1) * size; j++) rows[j] = scale * images[j]
  })
  const effectiveParameters = values.reduce((sum, l) => sum + l / (l + noise), 0)
  return { weights, rank: kept.length, rows, effectiveParameters, ...onTrainingRows(problem, c, basis, hyper) }
}

/**
 * f_lin = f0 + sum v b l / (l + delta sigma^2), its variance h sigma^2 with h = sum v^2 l / (l + delta sigma^2), and
 * both without each row itself: f + h (f - y) / (1 - h) and h sigma^2 / (1 - h).
 */
function onTrainingRows({ examples, f0, labels, outputs, sizes }: RegressionRows, c: number,
  { values, coordinates, left }: OutputBasis, { delta, sigma }: Hyper): Pick<Posterior, 'f' | 'variance' | 'leftOut'> {
  const sigma2 = sigma * sigma
  const noise = delta * sigma2
  const f = Float64Array.from({ length: examples }, (_, n) => f0[n * outputs + c])
  const leverage = new Float64Array(examples)
  values.forEach((l, i) => {
    pauseInLoop(2 * examples)
    const share = l / (l + noise)
    for (let n = 0; n < examples; n++) {
      const v = left[i * examples + n]
      f[n] += share * coordinates[i] * v
      leverage[n] += share * v * v
    }
  })
  const variance = leverage.map(h => sigma2 * h)
  if (sizes !== undefined) {
    const shares = values.map(l => l / (l + noise))
    const residual = f.map((value, n) => value - labels[n * outputs + c])
    const block = withoutExamples(sizes, examples, shares, left, residual)
    return { f, variance, leftOut: { f: f.map((value, n) =>
      value + block.moved[n]
    ), variance: block.leverage.map(h => sigma2 * h) } }
  }
  const rest = leverage.map(h => Math.max(1e-10, 1 - h))
  return {
    f,
    variance,
    leftOut: {
      f: f.map((value, n) => value + leverage[n] * (value - labels[n * outputs + c]) / rest[n]),
      variance: leverage.map((h, n) => sigma2 * h / rest[n]),
    },
  }
}

/**
 * As for single rows with a block H of the hat matrix for each example: (I - H)^-1 H (f - y), and the diagonal of
 * (I - H)^-1 H.
 */
function withoutExamples(sizes: Int32Array, examples: number, shares: Float64Array, left: Float64Array,
  residual: Float64Array): { moved: Float64Array, leverage: Float64Array } {
  const [moved, leverage] = [new Float64Array(examples), new Float64Array(examples)]
  let at = 0
  for (const m of sizes) {
    const own = new Float64Array(shares.length * m)
    shares.forEach((share, i) => {
      for (let k = 0; k < m; k++) own[i * m + k] = Math.sqrt(share) * left[i * examples + at + k]
    })
    const hat = new Float64Array(m * m)
    gemm(true, false, m, m, shares.length, 1, own, own, 0, hat)
    const lower = hat.map((value, i) => (i % (m + 1) === 0 ? Math.max(1e-10, 1 - value) : -value))
    if (m > 0 && cholesky(m, lower) >= 0) throw alone()
    const solved = new Float64Array(m * (m + 1))
    for (let i = 0; i < m; i++) {
      for (let k = 0; k < m; k++) {
        solved[i * (m + 1) + k] = hat[i * m + k]
        solved[i * (m + 1) + m] += hat[i * m + k] * residual[at + k]
      }
    }
    triangularSolve(false, m, m + 1, lower, solved)
    triangularSolve(true, m, m + 1, lower, solved)
    for (let k = 0; k < m; k++) {
      leverage[at + k] = solved[k * (m + 1) + k]
      moved[at + k] = solved[k * (m + 1) + m]
    }
    at += m
  }
  return { moved, leverage }
}

function alone(): NumericalError {
  return new NumericalError('NOT_POSITIVE_DEFINITE',
    'An example determines a direction of the weights alone, so that nothing is left without it; use a larger prior '
      + 'precision.', {})
}

function targetVariance({ labels, outputs, examples }: RegressionRows, c: number): number {
  let [mean, squares] = [0, 0]
  for (let n = 0; n < examples; n++) mean += labels[n * outputs + c] / examples
  for (let n = 0; n < examples; n++) squares += (labels[n * outputs + c] - mean) ** 2 / examples
  return squares
}
