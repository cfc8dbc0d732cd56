/**
 * @file What single training rows do to a posterior, in closed form: the linearised network without row n, by one
 * Newton step from the weights of the fit. With P_-n = P - J_n' Lambda_n J_n / (sigma^2 T) the weights move by
 * P_-n^-1 J_n' r_n / (sigma^2 T), r_n the slope of the row's loss by its outputs (Cook 1977; Koh and Liang 2017; Nickl
 * et al. 2023). Exact for structure full; others take their own P for what has row n in it.
 */
import { checkBytes } from '../budget/memory.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { OptionError } from '../errors/errors.js'
import { gemm } from '../kernels/linear-algebra.js'
import { checkLabels } from '../likelihood/labels.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { leaveOneOut } from '../linear-model/leave-one-out.js'
import { sliceExamples } from '../network/batches.js'
import { networkInputs } from '../network/input-rows.js'
import { hessianFactor } from '../options/hyperparameters.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import type { Evaluator } from '../programs/evaluator.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import type { PosteriorState } from './posterior-state.js'
import { type InputPrograms, predictionContext } from './programs-by-input.js'
import { rowJacobian } from './row-jacobian.js'

/** What N training rows do, and what the others say of each. */
export interface Influence {
  /** Outputs of every row by the posterior without it, N x C. */
  readonly mean: Tensor
  /** Their variances, N x C. */
  readonly variance: Tensor
  /** The loss of every row at these outputs, N: its leave-one-out score. */
  readonly loss: Tensor
  /** By how much the outputs of M other rows would change without each row, M x C x N; where such rows are given. */
  readonly change: Tensor | undefined
}

/**
 * The influence of training rows.
 * @param at rows whose outputs are looked at, M
 * @throws OptionError BAD_COMBINATION for posteriors that answer by a linear model, and for networks with positions;
 * ResourceError, ShapeError, DataError, CancelledError
 */
export async function influence(state: PosteriorState, programs: InputPrograms, x: Examples, y: Tensor,
  at: Examples | undefined, work: WorkOptions): Promise<Influence> {
  refuse(state)
  const { evaluator, posterior } = predictionContext(state, programs, x)
  const { outputs } = evaluator.network
  const examples = exampleCount(x)
  const likelihood = likelihoodModel(state.options.likelihood, state.options.outputNoise)
  const { values: labels } = checkLabels(y, state.options.likelihood, examples, evaluator.network)
  const { f, jacobian } = await linearised(evaluator, posterior, x, work)
  const directions = posterior.covarianceTimes(jacobian, examples * outputs)
  // One scale for loss and covariance: the outputs of the scaled problem are those of the plain one.
  const factor = hessianFactor(posterior.settings)
  const own = blocks(jacobian, directions, examples, outputs, posterior.size).map(value => value * factor)
  const left = leaveOneOut({ likelihood, labels, examples, outputs }, f, own)
  const width = likelihood.targetWidth(outputs)
  const loss = Float64Array.from({ length: examples },
    (_, n) =>
      likelihood.loss(left.f.subarray(n * outputs, (n + 1) * outputs), labels.subarray(n * width, (n + 1) * width), 1,
        outputs))
  const variance = Float64Array.from({ length: examples * outputs },
    (_, i) => left.covariance[i * outputs + i % outputs] / factor)
  return { mean: float64([examples, outputs], left.f), variance: float64([examples, outputs], variance),
    loss: float64([examples], loss), change: at === undefined ?
      undefined :
      await changes(state, programs, at, directions, moves(likelihood, f, labels, left.f, factor, examples, outputs),
        work) }
}

function refuse(
  { choice, mode, structured: { curvature }, evaluator: { network: { positions } } }: PosteriorState,
): void {
  if (choice !== undefined || mode !== undefined || curvature.structure === 'lowrank') {
    throw new OptionError('BAD_COMBINATION',
      'The influence of rows is that on the network and its posterior; the prior and answer of this one come from its '
        + "rows by a linear model. Fit with a structure ('kron', 'full', 'diag', ...) and give the prior precision, or "
        + "tune it by 'marglik' or 'grid'.", { option: 'structure' })
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
function moves(likelihood: LikelihoodModel, f: Float64Array, labels: Float64Array, left: Float64Array, factor: number,
  examples: number, outputs: number): Float64Array {
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

/** J* P^-1 J_n' m_n of every row n at the other rows, M x C x N. */
async function changes(state: PosteriorState, programs: InputPrograms, at: Examples, directions: Float64Array,
  moved: Float64Array, work: WorkOptions): Promise<Tensor> {
  const { evaluator, posterior } = predictionContext(state, programs, at)
  const { outputs } = evaluator.network
  const { jacobian } = await linearised(evaluator, posterior, at, work)
  const [count, columns] = [jacobian.length / posterior.size, moved.length]
  checkBytes('The influences', 8 * count * columns, 'Look at fewer rows at a time.')
  const together = new Float64Array(count * columns)
  gemm(false, true, count, columns, posterior.size, 1, jacobian, directions, 0, together)
  const rows = columns / outputs
  const result = new Float64Array(count * rows)
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < columns; k++) result[i * rows + Math.floor(k / outputs)] += together[i * columns + k] * moved[k]
  }
  return float64([exampleCount(at), outputs, rows], result)
}
