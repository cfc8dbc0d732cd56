/**
 * @file Conjugate gradients for several right sides at once (Hestenes and Stiefel 1952), with the tridiagonal matrix
 * that each of them leaves: that of Lanczos from the same vector (Golub and Van Loan, 11.3).
 */
import { dot } from './conjugate-gradients.js'

/** A symmetric tridiagonal matrix: its diagonal, and the numbers beside it. */
export interface Tridiagonal {
  readonly diagonal: readonly number[]
  readonly beside: readonly number[]
}

/** What nearly solves A x = b for the rows b, and how. */
export interface ConjugateSolutions {
  /** count x n. */
  readonly x: Float64Array
  /** |b - A x| of every row, computed anew. */
  readonly residuals: Float64Array
  /** Whether the residuals of all rows came to what was asked for. */
  readonly converged: boolean
  /** A in the Krylov space of every b: a row that is solved needs no more. */
  readonly lanczos: readonly Tridiagonal[]
}

/** When a solution ends: at this length of the residual, or after so many products. */
export interface SolutionLimits {
  readonly residual: number
  readonly products: number
}

/** One system on its way. */
interface Run {
  readonly x: Float64Array
  readonly residual: Float64Array
  readonly direction: Float64Array
  readonly lanczos: { readonly diagonal: number[], readonly beside: number[] }
  /** |residual|^2. */
  rho: number
  /** beta / alpha of the step before. */
  carried: number
}

/**
 * Solves A x = b for `count` rows b, in place of b.
 * @param times A v for the rows v of a matrix of so many
 */
export async function conjugateSolutions(times: (vectors: Float64Array, count: number) => Promise<Float64Array>,
  b: Float64Array, count: number, { residual: target, products }: SolutionLimits): Promise<ConjugateSolutions> {
  const n = b.length / count
  const x = new Float64Array(b.length)
  const residual = b.slice()
  const direction = b.slice()
  const runs = Array.from({ length: count }, (_, k): Run => {
    const own = (of: Float64Array): Float64Array => of.subarray(k * n, (k + 1) * n)
    return { x: own(x), residual: own(residual), direction: own(direction), lanczos: { diagonal: [], beside: [] },
      rho: dot(own(b), own(b)), carried: 0 }
  })
  const open = ({ rho }: Run): boolean => rho > target * target
  let going = runs.filter(open)
  for (let step = 0; step < products && going.length > 0; step++) {
    const images = await times(together(going, direction, n), going.length)
    going = going.filter((run, k) => advance(run, images.subarray(k * n, (k + 1) * n)) && open(run))
  }
  const converged = !runs.some(open)
  const images = await times(x, count)
  const residuals = Float64Array.from(runs, (_, k) => {
    let sum = 0
    for (let i = k * n; i < (k + 1) * n; i++) sum += (b[i] - images[i]) ** 2
    return Math.sqrt(sum)
  })
  return { x, residuals, converged, lanczos: runs.map(({ lanczos }) => lanczos) }
}

/** The directions of the systems that are not yet solved, one after another. */
function together(going: readonly Run[], all: Float64Array, n: number): Float64Array {
  if (going.length * n === all.length) return all
  const rows = new Float64Array(going.length * n)
  going.forEach(({ direction }, k) => {
    rows.set(direction, k * n)
  })
  return rows
}

/** One step; false where rounding leaves no direction to go. */
function advance(run: Run, image: Float64Array): boolean {
  const { x, residual, direction, lanczos, rho } = run
  const curvature = dot(direction, image)
  if (!(curvature > 0)) return false
  const length = rho / curvature
  for (let i = 0; i < x.length; i++) {
    x[i] += length * direction[i]
    residual[i] -= length * image[i]
  }
  run.rho = dot(residual, residual)
  const share = run.rho / rho
  lanczos.diagonal.push(1 / length + run.carried)
  lanczos.beside.push(Math.sqrt(share) / length)
  run.carried = share / length
  for (let i = 0; i < x.length; i++) direction[i] = residual[i] + share * direction[i]
  return true
}
