/**
 * @file The mode of the linear model on more rows than can be solved exactly: Newton's method with conjugate gradients,
 * by products with J and J' alone, preconditioned by the low-rank posterior of a sample of the rows.
 */
import type { WorkOptions } from '../budget/progress.js'
import { matrixTimes } from '../kernels/linear-algebra.js'
import { conjugateGradients, dot } from './conjugate-gradients.js'
import { hessianRoots, rootTimes, transposedRootTimes } from './hessian-roots.js'
import type { LabelledRows } from './linear-problem.js'
import { newtonMode, type NewtonPoint } from './newton.js'

/** Products with J and J' on all rows. */
export interface RowProducts {
  /** J v, N x C. */
  times(v: Float64Array): Promise<Float64Array>
  /** J' u, P. */
  transposedTimes(u: Float64Array): Promise<Float64Array>
}

/** U of P^-1 = (I - U'U) / delta, r x P: leading eigenvectors scaled by sqrt(l / (l + delta)). */
export interface LowRankFactor {
  readonly rank: number
  readonly rows: Float64Array
}

/** The mode on all rows. */
export interface AllRowsMode {
  /** w - mu, P. */
  readonly w: Float64Array
  readonly f: Float64Array
  readonly loss: number
}

/** Largest change of an output in the last step, relative to the largest output. */
const TOLERANCE = 1e-3
/** Products of one system after which the direction is taken as it is. */
const MOST_PRODUCTS = 40

interface AllRowsPoint extends NewtonPoint, AllRowsMode {}

/**
 * The mode for one prior precision.
 * @param f0 the outputs at the prior's mean, N x C
 * @param start w - mu from which it is sought, P
 * @throws NumericalError NO_CONVERGENCE; CancelledError
 */
export async function modeOnAllRows(rows: LabelledRows, f0: Float64Array, products: RowProducts, delta: number,
  start: Float64Array, factor: LowRankFactor, work: WorkOptions, tolerance = TOLERANCE): Promise<AllRowsMode> {
  const { likelihood, labels, examples, outputs } = rows
  const pointAt = (w: Float64Array, f: Float64Array): AllRowsPoint => {
    const loss = likelihood.loss(f, labels, examples, outputs)
    return { w, f, loss, objective: loss + delta / 2 * dot(w, w) }
  }
  const moved = await products.times(start)
  const from = pointAt(start, f0.map((value, i) => value + moved[i]))
  return newtonMode(from, tolerance, work, async ({ w, f }, forcing) => {
    const gradient = await products.transposedTimes(likelihood.residual(f, labels, examples, outputs))
    for (let i = 0; i < w.length; i++) gradient[i] += delta * w[i]
    const root = hessianRoots(rows, f)
    const { x } = await conjugateGradients({
      times: async v => {
        const image = await products.times(v)
        const product = await products.transposedTimes(
          rootTimes(root, transposedRootTimes(root, image, outputs), outputs),
        )
        for (let i = 0; i < v.length; i++) product[i] += delta * v[i]
        return product
      },
      precondition: v => withoutDirections(factor, v, delta),
    }, gradient, forcing, MOST_PRODUCTS)
    const image = await products.times(x)
    return {
      at: length => pointAt(w.map((value, i) => value - length * x[i]), f.map((value, i) => value - length * image[i])),
    }
  })
}

/** (v - U' U v) / delta. */
function withoutDirections({ rank, rows }: LowRankFactor, v: Float64Array, delta: number): Float64Array {
  const inside = matrixTimes(rank, v.length, rows, v)
  const result = v.map(value => value / delta)
  for (let k = 0; k < rank; k++) {
    const share = inside[k] / delta
    for (let i = 0, at = k * v.length; i < v.length; i++, at++) result[i] -= share * rows[at]
  }
  return result
}

/** The factor of a sample as that of `factor` times as many rows like it: its eigenvalues grow so much. */
export function scaledFactor({ rank, rows }: LowRankFactor, factor: number): LowRankFactor {
  const scaled = rows.slice()
  const size = rows.length / Math.max(1, rank)
  for (let k = 0; k < rank; k++) {
    const own = scaled.subarray(k * size, (k + 1) * size)
    const share = Math.min(dot(own, own), 1 - 1e-15)
    const eigenvalue = factor * share / (1 - share)
    const scale = share > 0 ? Math.sqrt(eigenvalue / (1 + eigenvalue) / share) : 0
    for (let i = 0; i < size; i++) own[i] *= scale
  }
  return { rank, rows: scaled }
}
