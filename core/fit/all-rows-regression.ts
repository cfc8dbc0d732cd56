/**
 * @file The linear models of a regression on all rows, an output at a time, with prior and noise of a sample of them.
 * In units of its noise an output's problem is that of J'J with prior precision delta sigma^2.
 */
import { withoutProgress, type WorkOptions } from '../budget/progress.js'
import type { LowRankModel } from '../curvature/curvature.js'
import { restored, standardised, timesScale, type WeightPrior } from '../curvature/scaled-jacobian.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { type AllRows, eigenpairsOf, lowRankFactor, solveAllRows } from '../linear-model/all-rows.js'
import type { HessianRoots } from '../linear-model/hessian-roots.js'
import type { LinearProblem } from '../linear-model/linear-problem.js'
import type { RowProducts } from '../linear-model/row-products.js'
import { lowRankOutputs, lowRankPart } from '../posterior/low-rank-outputs.js'
import { column } from '../tensor/column.js'
import { type AllRowsPlan, THRESHOLD, type WholeRows, withProducts } from './all-rows-fit.js'
import { modeWeights } from './linear-fit-result.js'

/** The sample and all rows. */
export interface RegressionRequest extends WholeRows {
  readonly problem: LinearProblem
  /** In whose units the problem is. */
  readonly prior: WeightPrior | undefined
  /** An output each. */
  readonly models: readonly LowRankModel[]
  /** The network's outputs on all rows, N x C. */
  readonly f: Float64Array
}

/** The posteriors of all rows, and what they say of the sample's. */
export interface RegressionFit {
  readonly models: readonly LowRankModel[]
  /** f_lin on the sample's rows and its variance without noise, n x C each. */
  readonly f: Float64Array
  readonly variance: Float64Array
  /** The least part of an output's effective parameters that its posterior's eigenpairs have. */
  readonly share: number
  /** Whether the mode was found, not only approached. */
  readonly atMode: boolean
}

/** The linear models of all rows. @throws NumericalError, CancelledError */
export function regressionOnAllRows(plan: AllRowsPlan, request: RegressionRequest,
  work: WorkOptions): Promise<RegressionFit> {
  const { evaluator: { slots, theta }, problem, prior } = request
  return withProducts(plan, request, work, async (products, curved) => {
    const found = []
    const own = scaledProducts(products, prior)
    const few = curved && { ...curved, products: scaledProducts(curved.products, prior) }
    for (const c of request.models.keys()) found.push(await outputOnAllRows(plan, request, c, own, few, work))
    const models = found.map(({ model }) => model)
    // The problem's Jacobian is in the prior's units already.
    const parts = models.map(model => ({ ...lowRankPart(model, slots, theta, prior?.scale), scale: undefined }))
    const { change, variance } = lowRankOutputs(parts, slots, problem.jacobian, 'diagonal')
    return { models, f: problem.f.map((value, i) => value + change[i]), variance,
      share: Math.min(...found.map(({ share }) => share)), atMode: found.every(({ atMode }) => atMode) }
  })
}

async function outputOnAllRows(plan: AllRowsPlan,
  { evaluator, options, problem, prior, models, all, f }: RegressionRequest, c: number, products: RowProducts,
  curved: AllRows['curved'], work: WorkOptions): Promise<{ model: LowRankModel, share: number, atMode: boolean }> {
  const { theta, network: { outputs } } = evaluator
  const { deviation, examples: sample } = problem
  const model = models[c]
  const own = ofOutput(products, c, outputs)
  const w = prior === undefined
    ? model.weights.map((value, i) => value - theta[i] + deviation[i])
    : standardised(model.weights, prior)
  const moved = await own.times(w.map((value, i) => value - deviation[i]))
  const mean = column(f, c, outputs)
  const noise = model.delta * model.sigma ** 2
  const { mode, leading, effectiveParameters, logDetRatio, share, atMode } = await solveAllRows(
    {
      rows: { likelihood: likelihoodModel('regression'), labels: column(all.labels, c, outputs), examples: all.examples,
        outputs: 1 },
      products: own,
      curved: curved && { ...curved, products: ofOutput(curved.products, c, outputs) },
    },
    { delta: noise, given: true, start: [{ w, f: mean.map((value, n) => value + moved[n]) }, { w: deviation, f: mean }],
      leading: eigenpairsOf(model, noise, all.examples / sample, plan.rank), passes: plan.passes,
      quadrature: plan.quadrature, seed: options.seed },
    withoutProgress(work),
  )
  const variance = model.sigma ** 2
  const squaredNorm = mode.w.reduce((sum, value) => sum + value * value, 0)
  return { share, atMode,
    model: { ...model, ...lowRankFactor(leading, noise, THRESHOLD),
      weights: prior === undefined ? modeWeights(mode.w, theta, deviation) : restored(mode.w, prior), logDetRatio,
      effectiveParameters, evidence: -mode.loss / variance
        - 0.5 * (all.examples * Math.log(2 * Math.PI * variance) + logDetRatio + model.delta * squaredNorm) } }
}

/** N numbers as column c of N x C. */
function asColumn(values: Float64Array, c: number, outputs: number): Float64Array {
  const result = new Float64Array(values.length * outputs)
  values.forEach((value, n) => {
    result[n * outputs + c] = value
  })
  return result
}

/** The products with the Jacobian by the weights in units of their prior. */
function scaledProducts(products: RowProducts, prior: WeightPrior | undefined): RowProducts {
  if (prior === undefined) return products
  const { scale } = prior
  return {
    times: v => products.times(timesScale(v, scale)),
    transposedTimes: async u => timesScale(await products.transposedTimes(u), scale),
    curvatureTimes: async (root, vectors, count) =>
      timesScale(await products.curvatureTimes(root, timesScale(vectors, scale), count), scale),
  }
}

/** The products of one output of each row; its Hessian's root is a number. */
function ofOutput(products: RowProducts, c: number, outputs: number): RowProducts {
  if (outputs === 1) return products
  const embedded = ({ rank, roots }: HessianRoots): HessianRoots => ({ rank, roots: asColumn(roots, c, outputs) })
  return {
    times: async v => column(await products.times(v), c, outputs),
    transposedTimes: u => products.transposedTimes(asColumn(u, c, outputs)),
    curvatureTimes: (root, vectors, count) => products.curvatureTimes(embedded(root), vectors, count),
  }
}
