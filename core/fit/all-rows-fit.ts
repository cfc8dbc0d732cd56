/**
 * @file The linear model of all rows where only a sample of them can be solved exactly: what it costs, and its
 * posterior.
 */
import type { WorkOptions } from '../budget/progress.js'
import type { LowRankModel } from '../curvature/curvature.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { type AllRows, eigenpairsOf, lowRankFactor, solveAllRows } from '../linear-model/all-rows.js'
import type { LinearProblem } from '../linear-model/linear-problem.js'
import type { RowProducts } from '../linear-model/row-products.js'
import type { QuadratureSize } from '../linear-model/tail-spectrum.js'
import { takeExamples } from '../network/batches.js'
import type { Inputs } from '../network/input-rows.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { Likelihood } from '../options/words.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import { lowRankOutputs, lowRankPart } from '../posterior/low-rank-outputs.js'
import type { Evaluator } from '../programs/evaluator.js'
import { layerMultiplications } from '../programs/work.js'
import { type SharedRows, sharedRows, vectorsAtOnce } from '../sums/shared-rows.js'
import { sampledRows } from '../tensor/rows.js'

/** How far the search on all rows may go. */
export interface AllRowsPlan {
  /** Eigenpairs that are sought, and how often. */
  readonly rank: number
  readonly passes: number
  readonly quadrature: QuadratureSize
  /** Rows that the curvature comes from; gradient and mode are always those of all rows. */
  readonly curvatureRows: number
  readonly multiplications: number
  readonly seconds: number
  /** At its widest, without the rows. */
  readonly bytes: number
}

/** Seconds that all rows may take. */
const MOST_SECONDS = 600
/** Multiplications a second of a network's programs in float64 on two cores; twice as many in float32. */
const SPEED = 1e10
/** Products with J and J' of all rows on the way, a pair each, and with H. */
const PAIRS = 11
const CURVATURE_PAIRS = 125
/** Eigenpairs that are fewer than these are no covariance. */
const FEWEST_PAIRS = 16
/** The memory limit over that of the eigenvectors: basis, products and what each worker has of them, and twice that. */
const COPIES = 16
/** What is held at the widest, measured, over the eigenvectors: basis, products, and what each thread has of them. */
const HELD = 8
/** The curvature comes from so many times the rows of the sample at least. */
const FEWEST_SAMPLES = 4
/** Weights from which on one random vector says as much of a trace as several. */
const MANY_WEIGHTS = 100_000
const STEPS = 8

/** The best search that the time allows; undefined where the sample is as good. @param rank that of the sample */
export function planAllRows(evaluator: Evaluator, { likelihood, memoryLimit }: ResolvedOptions, examples: number,
  sample: number, rank: number): AllRowsPlan | undefined {
  const { precision, theta, network: { outputs } } = evaluator
  // A regression has a model an output.
  const models = likelihood === 'regression' ? outputs : 1
  const { pair, block: perBlock } = costsOf(evaluator, likelihood)
  const quadrature = { probes: theta.length < MANY_WEIGHTS ? 4 : 1, steps: STEPS }
  const speed = (precision === 'float32' ? 2 * SPEED : SPEED) / models
  const most = Math.min(rank, Math.max(1, Math.floor(memoryLimit / (COPIES * 8 * theta.length * models))))
  const planOf = (passes: number, count: number): AllRowsPlan => {
    const gradients = examples * PAIRS * pair
    const perRow = CURVATURE_PAIRS * pair + passes * (perBlock(count) + STEPS * perBlock(quadrature.probes))
    const affordable = Math.floor((MOST_SECONDS * speed - gradients) / perRow)
    const curvatureRows = Math.max(0, Math.min(examples, affordable))
    const multiplications = gradients + curvatureRows * perRow
    return { rank: count, passes, quadrature, curvatureRows, multiplications: models * multiplications,
      seconds: multiplications / speed, bytes: HELD * 8 * theta.length * models * count }
  }
  const once = [most, Math.min(most, 4 * FEWEST_PAIRS), Math.min(most, FEWEST_PAIRS)].map(count => planOf(1, count))
  // All rows before more eigenpairs, and more eigenpairs before more than enough rows.
  return [planOf(2, most), ...once].find(({ curvatureRows }) => curvatureRows === examples) ??
    once.find(({ curvatureRows }) => curvatureRows >= FEWEST_SAMPLES * sample)
}

/** Multiplications of a pair of products with J and J', and of products of H with some vectors, one row. */
function costsOf(evaluator: Evaluator, likelihood: Likelihood): { pair: number, block(count: number): number } {
  const seeds = likelihood === 'regression' ? 1 : likelihoodModel(likelihood).seedCount(evaluator.network.outputs)
  const forward = layerMultiplications(evaluator)
  // Forward, and with tangents; or forward, backward, and the products of both.
  const pair = 6 * forward
  const blocks = (count: number): number => Math.ceil(count / vectorsAtOnce(evaluator.theta.length))
  return { pair, block: count => Math.min(count * pair, (blocks(count) * (1 + seeds) + 2 * count) * forward) }
}

/** The products, each of which says how much of the plan is done once it is there. */
function metered(products: RowProducts, rows: number, { pair, block }: ReturnType<typeof costsOf>,
  done: (multiplications: number) => void): RowProducts {
  const counted = async (product: Promise<Float64Array>, multiplications: number): Promise<Float64Array> => {
    const result = await product
    done(rows * multiplications)
    return result
  }
  return {
    times: v => counted(products.times(v), pair / 2),
    transposedTimes: u => counted(products.transposedTimes(u), pair / 2),
    curvatureTimes: (root, vectors, count) => counted(products.curvatureTimes(root, vectors, count), block(count)),
  }
}

/** Tells how much of the work is done, in hundredths; more work than was planned stays at the last of them. */
function hundredths(total: number, { onProgress }: WorkOptions): (part: number) => void {
  let [sum, told] = [0, -1]
  return part => {
    sum += part
    const done = Math.min(99, Math.floor(100 * sum / total))
    if (done > told) onProgress?.({ stage: 'tune', done, total: 100 })
    told = Math.max(told, done)
  }
}

/** All rows, and what multiplies them. */
export interface WholeRows {
  readonly evaluator: Evaluator
  readonly pool: WorkerPool
  readonly options: ResolvedOptions
  readonly all: { readonly x: Inputs, readonly labels: Float64Array, readonly examples: number }
}

/** The sample and all rows. */
export interface AllRowsRequest extends WholeRows {
  /** The linear model on the sample, and what was found of it. */
  readonly problem: LinearProblem
  readonly model: LowRankModel
  /** Whether its prior precision stays. */
  readonly given: boolean
  /** The network's outputs on all rows, N x C. */
  readonly f: Float64Array
}

/** The posterior of all rows, and what it says of the sample's. */
export interface AllRowsFit {
  readonly model: LowRankModel
  /** f_lin on the sample's rows, n x C. */
  readonly f: Float64Array
  /** J P^-1 J' of the sample's rows, n x C x C. */
  readonly covariance: Float64Array
  /** The part of the effective parameters that the posterior's eigenpairs have. */
  readonly share: number
  readonly converged: boolean
  /** Whether the mode was found, not only approached. */
  readonly atMode: boolean
}

/** Eigenvalues of the curvature below this share of delta are left out of the posterior's factor. */
export const THRESHOLD = 0.01

/** The linear model of all rows, from that of the sample. @throws NumericalError, CancelledError */
export function onAllRows(plan: AllRowsPlan, request: AllRowsRequest, work: WorkOptions): Promise<AllRowsFit> {
  return withProducts(plan, request, work, (products, curved) => solved(plan, request, products, curved, work))
}

/** Calls `use` with the products of all rows, and of those that H comes from where these are fewer. */
export async function withProducts<T>(plan: AllRowsPlan, { evaluator, pool, all: { x, examples }, options }: WholeRows,
  work: WorkOptions, use: (products: RowProducts, curved: AllRows['curved']) => Promise<T>): Promise<T> {
  const chosen = plan.curvatureRows < examples ? sampledRows(examples, plan.curvatureRows, options.seed) : undefined
  const share = (own: Inputs, count: number): Promise<SharedRows> =>
    sharedRows(pool, evaluator, own, count, plan.multiplications, work)
  const costs = costsOf(evaluator, options.likelihood)
  const done = hundredths(plan.multiplications, work)
  const all = await share(x, examples)
  const some = chosen === undefined
    ? undefined
    : await share(takeExamples(x, evaluator.network.inputs, chosen), chosen.length)
  try {
    return await use(metered(all, examples, costs, done), chosen === undefined || some === undefined
      ? undefined
      : { chosen, products: metered(some, chosen.length, costs, done) })
  } finally {
    await all.dispose()
    await some?.dispose()
  }
}

async function solved(plan: AllRowsPlan,
  { evaluator, options, problem, model, given, all: { labels, examples }, f }: AllRowsRequest, products: RowProducts,
  curved: AllRows['curved'], work: WorkOptions): Promise<AllRowsFit> {
  const { slots, theta, network: { outputs } } = evaluator
  const { deviation } = problem
  const w = model.weights.map((value, i) => value - theta[i] + deviation[i])
  const moved = await products.times(w.map((value, i) => value - deviation[i]))
  const quiet = work.signal === undefined ? {} : { signal: work.signal }
  const { delta, mode, leading, effectiveParameters, logDetRatio, share, converged, atMode } = await solveAllRows(
    { rows: { likelihood: likelihoodModel(options.likelihood, options), labels, examples, outputs }, products, curved },
    { delta: model.delta, given, start: [{ w, f: f.map((value, i) => value + moved[i]) }, { w: deviation, f }],
      leading: eigenpairsOf(model, model.delta, examples / problem.examples, plan.rank), passes: plan.passes,
      quadrature: plan.quadrature, seed: options.seed },
    quiet,
  )
  const squaredNorm = mode.w.reduce((sum, value) => sum + value * value, 0)
  const whole: LowRankModel = { ...model, ...lowRankFactor(leading, delta, THRESHOLD), delta,
    weights: mode.w.map((value, i) => value + theta[i] - deviation[i]), logDetRatio, effectiveParameters,
    evidence: -mode.loss - 0.5 * (logDetRatio + delta * squaredNorm) }
  const own = lowRankOutputs([lowRankPart(whole, slots, theta)], slots, problem.jacobian, 'covariance')
  return { model: whole, f: problem.f.map((value, i) => value + own.change[i]), covariance: own.variance, share,
    converged, atMode }
}
