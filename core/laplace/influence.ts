/**
 * @file What single training rows do to a posterior: the linearised network without row n, by one Newton step from the
 * weights of the fit. With P_-n the precision of the other rows the weights move by P_-n^-1 J_n' r_n / (sigma^2 T), r_n
 * the slope of the row's loss by its outputs (Cook 1977; Koh and Liang 2017; Nickl et al. 2023).
 *
 * P_-n is that of the posterior that has forgotten the row. Where P = P_-n + J_n' Lambda_n J_n / (sigma^2 T), for full
 * curvatures, each block of block-diagonal ones and all rows of `functional`, all follows in closed form from
 * S_n = J_n P^-1 J_n'; sums of another kind have the row's part taken away.
 */
import { finiteFields } from '../answer/finite-results.js'
import type { PosteriorState } from '../answer/posterior-state.js'
import { type InputPrograms, predictionContext } from '../answer/programs-by-input.js'
import { rowJacobian } from '../answer/row-jacobian.js'
import { checkBytes } from '../budget/memory.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { gathered } from '../curvature/blocks.js'
import type { NetworkCurvature } from '../curvature/curvature.js'
import { OptionError } from '../errors/errors.js'
import { gemm } from '../kernels/linear-algebra.js'
import { checkLabels } from '../likelihood/labels.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { weighted } from '../likelihood/weighted.js'
import { leaveOneOut } from '../linear-model/leave-one-out.js'
import { sliceExamples } from '../network/batches.js'
import { networkInputs } from '../network/input-rows.js'
import { placesOfBlock } from '../network/parameter-blocks.js'
import { hessianFactor } from '../options/hyperparameters.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import type { Evaluator } from '../programs/evaluator.js'
import { exampleCount, exampleRange, type Examples } from '../tensor/examples.js'
import { checkWeights, demandWeightsAgain } from '../tensor/sample-weights.js'
import { float64, rows as rowRange, type Tensor } from '../tensor/tensor.js'
import { withChangedRows } from './changed-rows.js'

/** What N training rows do, and what the others say of each. */
export interface Influence {
  /** Outputs of every row by the posterior without it, N x C. */
  readonly mean: Tensor
  /** Their variances, N x C. */
  readonly variance: Tensor
  /**
   * The loss of every row at these outputs, N: its leave-one-out score. Infinite where the row is so unlikely without
   * itself that double precision has no number for it.
   */
  readonly loss: Tensor
  /** By how much the outputs of M other rows would change without each row, M x C x N; where such rows are given. */
  readonly change: Tensor | undefined
}

/** What is looked at. */
export interface InfluenceOptions {
  /** Rows whose outputs are looked at, M. */
  readonly at?: Examples | undefined
  /** How often each row counts in the fit: all of its weight is left out. */
  readonly sampleWeight?: ArrayLike<number> | undefined
}

/**
 * The influence of training rows.
 * @throws OptionError BAD_COMBINATION for posteriors that answer by a linear model, for networks with positions, and
 * for a weighted fit without the weights;
 * ResourceError, ShapeError, DataError, CancelledError
 */
export async function influence(state: PosteriorState, programs: InputPrograms, x: Examples, y: Tensor,
  { at, sampleWeight }: InfluenceOptions, work: WorkOptions): Promise<Influence> {
  refuse(state)
  const { evaluator, posterior } = predictionContext(state, programs, x)
  const { outputs } = evaluator.network
  const examples = exampleCount(x)
  const plain = likelihoodModel(state.options.likelihood, state.options)
  demandWeightsAgain(state.weighted, sampleWeight)
  const weights = checkWeights(sampleWeight, examples)
  const likelihood = weights === undefined ? plain : weighted(plain, weights)
  const { values: labels } = checkLabels(y, state.options.likelihood, examples, evaluator.network)
  const rows = await linearised(evaluator, posterior, x, work)
  const seen: SeenRows = { x, y, ...rows, likelihood, weights, labels, examples, outputs }
  const there = at === undefined ? undefined : await linearisedAt(state, programs, at, work)
  const left = state.options.curvature === 'ggn' && state.fitted !== undefined && !takenAway(state.fitted)
    ? inClosedForm(posterior, seen, there?.jacobian)
    : await byForgetting(state, seen, there?.jacobian, work)
  const width = plain.targetWidth(outputs)
  const loss = Float64Array.from({ length: examples },
    (_, n) =>
      plain.loss(left.f.subarray(n * outputs, (n + 1) * outputs), labels.subarray(n * width, (n + 1) * width), 1,
        outputs))
  return finiteFields({ mean: float64([examples, outputs], left.f),
    variance: float64([examples, outputs], left.variance), loss: float64([examples], loss),
    change: there && left.change && float64([there.f.length / outputs, outputs, examples], left.change) },
    'the influence')
}

/** Training rows, their outputs N x C and Jacobian (N C) x P. */
interface SeenRows {
  readonly x: Examples
  readonly y: Tensor
  readonly f: Float64Array
  readonly jacobian: Float64Array
  /** Each row as often as it counts. */
  readonly likelihood: LikelihoodModel
  readonly weights: Float64Array | undefined
  readonly labels: Float64Array
  readonly examples: number
  readonly outputs: number
}

/** Outputs and variances of every row by the others, N x C, and the changes of other rows, (M C) x N. */
interface LeftOutRows {
  readonly f: Float64Array
  readonly variance: Float64Array
  readonly change: Float64Array | undefined
}

/** Whether rows are no part of P of their own, so that a sum without each is made anew. */
function takenAway({ structure }: NetworkCurvature): boolean {
  return structure === 'kron' || structure === 'diag'
}

/** From S_n, one block after another: what blocks say of outputs adds up. */
function inClosedForm(posterior: StructuredPosterior, seen: SeenRows, there: Float64Array | undefined): LeftOutRows {
  const { f, jacobian, examples, outputs } = seen
  const { size, slots, curvature } = posterior
  const whole = posterior.covarianceTimes(jacobian, examples * outputs)
  // One scale for loss and covariance: the outputs of the scaled problem are those of the plain one.
  const factor = hessianFactor(posterior.settings)
  const left = { f: f.slice(), variance: new Float64Array(f.length),
    change: there && new Float64Array(there.length / size * examples) }
  const parts = curvature.structure === 'blockdiag'
    ? curvature.blocks.map(block => placesOfBlock(slots, block.slots))
    : [undefined]
  for (const places of parts) {
    const part = (values: Float64Array): Float64Array => places === undefined ? values : gathered(values, size, places)
    const width = places?.length ?? size
    const directions = part(whole)
    const own = blocks(part(jacobian), directions, examples, outputs, width).map(value => value * factor)
    const other = leaveOneOut(seen, f, own)
    for (let i = 0; i < f.length; i++) {
      left.f[i] += other.f[i] - f[i]
      left.variance[i] += other.covariance[i * outputs + i % outputs] / factor
    }
    if (there === undefined || left.change === undefined) continue
    const moved = moves(seen, other.f, factor)
    addChanges(left.change, part(there), directions, moved, width, outputs)
  }
  return left
}

/** From the posteriors that have forgotten each row. */
async function byForgetting(state: PosteriorState,
  { x, y, f, jacobian, likelihood, weights, labels, examples, outputs }: SeenRows, there: Float64Array | undefined,
  { signal, onProgress }: WorkOptions): Promise<LeftOutRows> {
  const { size, settings } = state.structured
  const factor = hessianFactor(settings)
  const count = there === undefined ? 0 : there.length / size
  const residual = likelihood.residual(f, labels, examples, outputs)
  const left = { f: f.slice(), variance: new Float64Array(f.length),
    change: there && new Float64Array(count * examples) }
  for (let n = 0; n < examples; n++) {
    throwIfCancelled(signal)
    const others = await withChangedRows(state, 'remove', exampleRange(x, n, n + 1), rowRange(y, n, n + 1), {
      sampleWeight: weights?.subarray(n, n + 1),
      ...(signal === undefined ? {} : { signal }),
    })
    const own = jacobian.subarray(n * outputs * size, (n + 1) * outputs * size)
    const directions = others.structured.covarianceTimes(own, outputs)
    const step = new Float64Array(size)
    gemm(true, false, size, 1, outputs, factor, directions, residual.subarray(n * outputs, (n + 1) * outputs), 0, step)
    gemm(false, false, outputs, 1, size, 1, own, step, 1, left.f.subarray(n * outputs, (n + 1) * outputs))
    const covariance = blocks(own, directions, 1, outputs, size)
    for (let c = 0; c < outputs; c++) left.variance[n * outputs + c] = covariance[c * outputs + c]
    if (there !== undefined) {
      const moved = new Float64Array(count)
      gemm(false, false, count, 1, size, 1, there, step, 0, moved)
      for (let i = 0; i < count; i++) if (left.change !== undefined) left.change[i * examples + n] = moved[i]
    }
    onProgress?.({ stage: 'predict', done: n + 1, total: examples })
  }
  return left
}

function refuse(
  { choice, mode, examples, options, structured: { curvature }, evaluator: { network: { positions, outputs } } }:
    PosteriorState,
): void {
  const { factored, classWeight, likelihood } = options
  if (likelihood === 'reward_modeling') {
    throw new OptionError('BAD_COMBINATION', 'The influence of pairs on rewards is not there: fit without them.', {
      option: 'likelihood',
    })
  }
  if (likelihood === 'custom') {
    throw new OptionError('BAD_COMBINATION',
      'The influence of rows needs the likelihood at outputs that move; one of your own is known at the '
        + "network's alone. Fit without the rows, or take them away (forget).", { option: 'likelihood' })
  }
  if (classWeight !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      'The influence of rows is that of rows that count once; those of this one have the weights of their classes. '
        + 'Fit without classWeight.', { option: 'classWeight' })
  }
  if (choice !== undefined || mode !== undefined || curvature.structure === 'lowrank') {
    throw new OptionError('BAD_COMBINATION',
      'The influence of rows is that on the network and its posterior; the prior and answer of this one come from its '
        + "rows by a linear model. Fit with a structure ('kron', 'full', 'diag', ...) and give the prior precision, or "
        + "tune it by 'marglik' or 'grid'.", { option: 'structure' })
  }
  const whole = curvature.structure === 'factored' && curvature.of === 'functional'
    && curvature.rank === examples * likelihoodModel(likelihood).seedCount(outputs)
  const some = factored?.of === 'functional'
  if (factored !== undefined && !whole) {
    throw new OptionError('BAD_COMBINATION',
      `What a posterior of structure '${factored.of}'${
        some ? ' with a part of the rows, or of what they say,' : ''
      } would be without one of `
        + "its rows does not follow from it. Fit structure 'full', 'blockdiag', 'kron' or 'diag', or 'functional' with "
        + 'all rows.', { option: 'structure', value: factored.of })
  }
  if (positions.length === 0) return
  throw new OptionError('BAD_COMBINATION',
    'The influence of rows is for networks with one answer an example; this one answers at several positions. Let one '
      + 'of them answer (option positions).', { option: 'positions' })
}

/** Outputs, N x C, and their Jacobian, (N C) x P. */
async function linearised(evaluator: Evaluator, { size }: StructuredPosterior, x: Examples,
  work: WorkOptions): Promise<{ readonly f: Float64Array, readonly jacobian: Float64Array }> {
  const { network, precision } = evaluator
  const { inputs, outputs } = network
  const examples = exampleCount(x)
  checkBytes('The Jacobians of the rows', 16 * examples * outputs * size, 'Ask for fewer rows at a time.')
  const rows = networkInputs(x, network, precision, () => undefined)
  const f = new Float64Array(examples * outputs)
  const jacobian = new Float64Array(examples * outputs * size)
  for (let n = 0; n < examples; n++) {
    throwIfCancelled(work.signal)
    const row = sliceExamples(rows, inputs, n, n + 1)
    const one = await rowJacobian(evaluator, row)
    f.set(one.f, n * outputs)
    jacobian.set(one.jacobian, n * outputs * size)
    work.onProgress?.({ stage: 'predict', done: n + 1, total: examples })
  }
  return { f, jacobian }
}

/** S_n = J_n P^-1 J_n' of every row, N x C x C. */
function blocks(jacobian: Float64Array, directions: Float64Array, examples: number, outputs: number,
  size: number): Float64Array {
  const result = new Float64Array(examples * outputs * outputs)
  for (let n = 0; n < examples; n++) {
    const part = (all: Float64Array): Float64Array => all.subarray(n * outputs * size, (n + 1) * outputs * size)
    const block = result.subarray(n * outputs * outputs, (n + 1) * outputs * outputs)
    gemm(false, true, outputs, outputs, size, 1, part(jacobian), part(directions), 0, block)
  }
  return result
}

/** hf (I - Lambda_n S_n hf)^-1 r_n = hf (r_n + Lambda_n (f_-n - f_n)), N x C: what a row leaves behind in theta. */
function moves({ likelihood, f, labels, examples, outputs }: SeenRows, left: Float64Array,
  factor: number): Float64Array {
  const moved = likelihood.residual(f, labels, examples, outputs)
  const seeds = likelihood.hessianSeeds(f, examples, outputs)
  for (let row = 0; row < seeds.length; row += outputs) {
    const n = row / outputs % examples * outputs
    let along = 0
    for (let c = 0; c < outputs; c++) along += seeds[row + c] * (left[n + c] - f[n + c])
    for (let c = 0; c < outputs; c++) moved[n + c] += seeds[row + c] * along
  }
  return moved.map(value => factor * value)
}

/** The other rows, whose outputs are looked at. */
function linearisedAt(state: PosteriorState, programs: InputPrograms, at: Examples,
  work: WorkOptions): ReturnType<typeof linearised> {
  const { evaluator, posterior } = predictionContext(state, programs, at)
  return linearised(evaluator, posterior, at, work)
}

/** Adds J* P^-1 J_n' m_n of every row n at the other rows, (M C) x N. */
function addChanges(sum: Float64Array, there: Float64Array, directions: Float64Array, moved: Float64Array, size: number,
  outputs: number): void {
  const [count, columns] = [there.length / size, moved.length]
  checkBytes('The influences', 8 * count * columns, 'Look at fewer rows at a time.')
  const together = new Float64Array(count * columns)
  gemm(false, true, count, columns, size, 1, there, directions, 0, together)
  const rows = columns / outputs
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < columns; k++) sum[i * rows + Math.floor(k / outputs)] += together[i * columns + k] * moved[k]
  }
}
