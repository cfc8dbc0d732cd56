/**
 * @file The linear model on more rows than can be solved exactly, by products with J and J' alone: its mode by Newton's
 * method with conjugate gradients, the leading eigenpairs of its curvature H from products with a basis, the rest of
 * its spectrum by Lanczos' method, and the prior precision that belongs to them.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { addTransposedTimes, matrixTimes } from '../kernels/matrix-vector.js'
import { randomGenerator } from '../tensor/random.js'
import { takeRows } from '../tensor/rows.js'
import { conjugateGradients, dot } from './conjugate-gradients.js'
import { type HessianRoots, hessianRoots } from './hessian-roots.js'
import { type Eigenpairs, eigenpairsOfProducts, orthonormalRows } from './leading-eigenpairs.js'
import type { LabelledRows } from './linear-problem.js'
import { boundedLogDelta, secantStep } from './mackay.js'
import { newtonMode, type NewtonPoint, type StepLimit } from './newton.js'
import type { RowProducts } from './row-products.js'
import { type QuadratureSize, type TailSpectrum, tailSpectrum } from './tail-spectrum.js'

/** Weights and the outputs there. */
export interface LinearPoint {
  /** w - mu, P. */
  readonly w: Float64Array
  /** N x C. */
  readonly f: Float64Array
}

/** The mode on all rows. */
export interface AllRowsMode extends LinearPoint {
  readonly loss: number
}

/** N rows and what is asked of them. */
export interface AllRows {
  readonly rows: LabelledRows
  readonly products: RowProducts
  /** The rows that H comes from, where they are a sample: each then counts for several. */
  readonly curved?: { readonly chosen: Int32Array, readonly products: RowProducts } | undefined
}

/** The roots of Lambda at outputs f of the rows that H comes from. */
function rootsAt({ rows, curved }: AllRows, f: Float64Array): HessianRoots {
  if (curved === undefined) return hessianRoots(rows, f)
  const { chosen } = curved
  const { rank, roots } = hessianRoots({ ...rows, examples: chosen.length }, takeRows(f, chosen, rows.outputs))
  const factor = Math.sqrt(rows.examples / chosen.length)
  return { rank, roots: roots.map(value => factor * value) }
}

/** Largest change of an output in the last step, relative to the largest output: on the way, and at the end. */
const LOOSE_TOLERANCE = 5e-2
const TOLERANCE = 1e-3
/**
 * Products of one system after which the direction is taken as it is; fewer where H comes from a sample of the rows,
 * which says less and less of the directions that come late.
 */
const MOST_PRODUCTS = 40
const MOST_SAMPLED_PRODUCTS = 12

interface AllRowsPoint extends NewtonPoint, AllRowsMode {}

/** How the mode for one prior precision is sought. */
export interface ModeSearch {
  readonly delta: number
  /** From where it is sought. */
  readonly start: LinearPoint
  /** About the leading eigenpairs of H, for the preconditioner. */
  readonly leading: Eigenpairs
  readonly tolerance: number
  readonly limit?: StepLimit | undefined
}

/** The mode. @throws NumericalError NO_CONVERGENCE; CancelledError */
export async function modeOnAllRows(all: AllRows, { delta, start, leading, tolerance, limit }: ModeSearch,
  work: WorkOptions): Promise<AllRowsMode> {
  const { rows, products, curved = { products } } = all
  const { likelihood, labels, examples, outputs } = rows
  const pointAt = (w: Float64Array, f: Float64Array): AllRowsPoint => {
    const loss = likelihood.loss(f, labels, examples, outputs)
    return { w, f, loss, objective: loss + delta / 2 * dot(w, w) }
  }
  return newtonMode(pointAt(start.w, start.f), tolerance, work, async ({ w, f }, forcing) => {
    const gradient = await products.transposedTimes(likelihood.residual(f, labels, examples, outputs))
    for (let i = 0; i < w.length; i++) gradient[i] += delta * w[i]
    const root = rootsAt(all, f)
    const { x } = await conjugateGradients({
      times: async v => {
        const product = await curved.products.curvatureTimes(root, v, 1)
        for (let i = 0; i < v.length; i++) product[i] += delta * v[i]
        return product
      },
      precondition: v => solvedBy(leading, v, delta),
    }, gradient, forcing, all.curved === undefined ? MOST_PRODUCTS : MOST_SAMPLED_PRODUCTS)
    const image = await products.times(x)
    return {
      at: length => pointAt(w.map((value, i) => value - length * x[i]), f.map((value, i) => value - length * image[i])),
    }
  }, limit)
}

/** (sum l_k q_k q_k' + delta)^-1 v. */
function solvedBy({ values, vectors }: Eigenpairs, v: Float64Array, delta: number): Float64Array {
  const inside = matrixTimes(values.length, v.length, vectors, v)
  const result = v.map(value => value / delta)
  for (let k = 0; k < values.length; k++) inside[k] *= -values[k] / (values[k] + delta) / delta
  addTransposedTimes(values.length, v.length, vectors, inside, result)
  return result
}

/** What the search on all rows starts from, and how far it may go. */
export interface AllRowsSearch {
  readonly delta: number
  /** Whether delta was given, and stays. */
  readonly given: boolean
  /** Where the mode may be: it is sought from the best point between them. */
  readonly start: readonly [LinearPoint, LinearPoint]
  /** About the leading eigenpairs of H: their span is where the search for better ones starts. */
  readonly leading: Eigenpairs
  /** How often the eigenpairs are sought anew, at least 1. */
  readonly passes: number
  readonly quadrature: QuadratureSize
  readonly seed: number
}

/** The linear model of all rows. */
export interface AllRowsModel {
  readonly delta: number
  readonly mode: AllRowsMode
  readonly leading: Eigenpairs
  /** gamma, and log |H + delta| - log |delta|. */
  readonly effectiveParameters: number
  readonly logDetRatio: number
  /** The part of gamma that the leading eigenpairs have. */
  readonly share: number
  readonly converged: boolean
  /** Whether the mode was found, not only approached as far as the time allowed. */
  readonly atMode: boolean
}

/** Rounds of the fixed point of delta, and the change of its logarithm that ends it. */
const MOST_ROUNDS = 12
const DELTA_TOLERANCE = 3e-3
/** Rounds where H comes from a sample, as time is short, and Newton steps of the first mode and of each other. */
const FEW_ROUNDS = 5
const FIRST_STEPS = 5
const LATER_STEPS = 1
/** The change of log delta after which H is another, as its mode is. */
const FAR = 0.3

/**
 * Mode, eigenpairs and the fixed point delta = gamma / |w|^2 (MacKay 1992), from those of a sample of the rows.
 * @throws NumericalError NO_CONVERGENCE; CancelledError
 */
export async function solveAllRows(all: AllRows, search: AllRowsSearch, work: WorkOptions): Promise<AllRowsModel> {
  const { given, passes } = search
  let logDelta = Math.log(search.delta)
  let atMode = true
  const rounds = all.curved === undefined ? MOST_ROUNDS : FEW_ROUNDS
  const within = (steps: number): StepLimit | undefined => {
    atMode = true
    return all.curved && { steps, reached: () => {
      atMode = false
    } }
  }
  let mode = await modeOnAllRows(all, { delta: search.delta, leading: search.leading, tolerance: LOOSE_TOLERANCE,
    start: bestBetween(all.rows, search.delta, search.start), limit: within(FIRST_STEPS) }, work)
  let spectrum = await spectrumAt(all, search, search.leading, mode.f, work)
  for (let pass = 1; pass < passes; pass++) spectrum = await spectrumAt(all, search, spectrum.leading, mode.f, work)
  let known = logDelta
  let before: { readonly at: number, readonly residual: number } | undefined
  let converged = given
  for (let round = 0; round < rounds && !converged; round++) {
    throwIfCancelled(work.signal)
    const gamma = tracesAt(spectrum, Math.exp(logDelta)).gamma
    const residual = boundedLogDelta(Math.log(gamma / dot(mode.w, mode.w))) - logDelta
    converged = Math.abs(residual) < DELTA_TOLERANCE
    if (converged && Math.abs(logDelta - known) > FAR) {
      ;[spectrum, known, converged] = [await spectrumAt(all, search, spectrum.leading, mode.f, work), logDelta, false]
      continue
    }
    const step = secantStep(logDelta, residual, before)
    before = { at: logDelta, residual }
    if (!converged) logDelta = boundedLogDelta(logDelta + step)
    mode = await modeOnAllRows(all, { delta: Math.exp(logDelta), start: mode, leading: spectrum.leading,
      tolerance: Math.abs(step) < 0.03 ? TOLERANCE : LOOSE_TOLERANCE, limit: within(LATER_STEPS) }, work)
  }
  if (given) {
    mode = await modeOnAllRows(all, { delta: search.delta, start: mode, leading: spectrum.leading, tolerance: TOLERANCE,
      limit: within(FIRST_STEPS) }, work)
  }
  const delta = Math.exp(logDelta)
  const { gamma, logDet, leadingGamma } = tracesAt(spectrum, delta)
  return { delta, mode, leading: spectrum.leading, effectiveParameters: gamma, logDetRatio: logDet,
    share: gamma > 0 ? leadingGamma / gamma : 1, converged, atMode }
}

/** Points that are tried between two. */
const TRIED = 16

/** The point of least objective on the way from one to the other, where outputs need no product. */
function bestBetween({ likelihood, labels, examples, outputs }: LabelledRows, delta: number,
  [one, other]: readonly [LinearPoint, LinearPoint]): LinearPoint {
  const mixed = (a: Float64Array, b: Float64Array, share: number): Float64Array =>
    a.map((value, i) => value + share * (b[i] - value))
  const [ww, wv, vv] = [dot(one.w, one.w), dot(one.w, other.w), dot(other.w, other.w)]
  let [best, least] = [0, Infinity]
  for (let share = 0; share <= 1; share += 1 / TRIED) {
    const squaredNorm = (1 - share) ** 2 * ww + 2 * share * (1 - share) * wv + share ** 2 * vv
    const objective = likelihood.loss(mixed(one.f, other.f, share), labels, examples, outputs) + delta / 2 * squaredNorm
    if (objective < least) [best, least] = [share, objective]
  }
  return { w: mixed(one.w, other.w, best), f: mixed(one.f, other.f, best) }
}

interface Spectrum {
  readonly leading: Eigenpairs
  readonly tail: TailSpectrum
}

/** The spectrum of H at outputs f. */
async function spectrumAt(all: AllRows, { quadrature, seed }: AllRowsSearch, about: Eigenpairs, f: Float64Array,
  work: WorkOptions): Promise<Spectrum> {
  const root = rootsAt(all, f)
  const { products } = all.curved ?? all
  const count = about.values.length
  const size = about.vectors.length / Math.max(1, count)
  throwIfCancelled(work.signal)
  const basis = orthonormalRows(count, about.vectors.slice())
  const leading = eigenpairsOfProducts(count, basis, await products.curvatureTimes(root, basis, count))
  const tail = await tailSpectrum((vectors, probes) => products.curvatureTimes(root, vectors, probes), size,
    leading.vectors, randomGenerator(seed), quadrature)
  return { leading, tail }
}

/** gamma = tr H (H + delta)^-1 and log |H + delta| - log |delta|. */
function tracesAt({ leading, tail }: Spectrum, delta: number): { gamma: number, logDet: number, leadingGamma: number } {
  let [leadingGamma, logDet] = [0, 0]
  for (const value of leading.values) {
    leadingGamma += value / (value + delta)
    logDet += Math.log1p(value / delta)
  }
  let gamma = leadingGamma
  tail.nodes.forEach((node, i) => {
    gamma += tail.weights[i] * node / (node + delta)
    logDet += tail.weights[i] * Math.log1p(node / delta)
  })
  return { gamma, logDet, leadingGamma }
}

/** U with P^-1 = (I - U'U) / delta: the eigenvectors scaled by sqrt(l / (l + delta)). */
export function lowRankFactor({ values, vectors }: Eigenpairs, delta: number,
  threshold: number): { readonly rank: number, readonly rows: Float64Array } {
  const size = vectors.length / Math.max(1, values.length)
  const rank = values.filter(value => value > threshold * delta).length
  const rows = vectors.slice(0, rank * size)
  for (let k = 0; k < rank; k++) {
    const scale = Math.sqrt(values[k] / (values[k] + delta))
    for (let i = k * size; i < (k + 1) * size; i++) rows[i] *= scale
  }
  return { rank, rows }
}

/**
 * The eigenpairs behind the factor U of a sample, as those of `factor` times as many rows like it.
 * @param most how many of them, the largest first
 */
export function eigenpairsOf({ rank, rows }: { readonly rank: number, readonly rows: Float64Array }, delta: number,
  factor: number, most = rank): Eigenpairs {
  const count = Math.min(rank, most)
  const size = rows.length / Math.max(1, rank)
  const vectors = rows.slice(0, count * size)
  const values = new Float64Array(count)
  for (let k = 0; k < count; k++) {
    const own = vectors.subarray(k * size, (k + 1) * size)
    const share = Math.min(dot(own, own), 1 - 1e-15)
    values[k] = factor * delta * share / (1 - share)
    const scale = share > 0 ? 1 / Math.sqrt(share) : 0
    for (let i = 0; i < size; i++) own[i] *= scale
  }
  return { values, vectors }
}
