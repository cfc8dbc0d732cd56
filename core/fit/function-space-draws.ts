/**
 * @file Draws of the weights by the rows of the data, where these are few: with W = (s / delta)^1/2 V, whose rows stay
 * in factors, x = e0 + W' (1 + W W')^-1 (e - W e0) is of N(0, (1 + W'W)^-1) for standard normal e and e0 (Matheron's
 * rule; Wilson et al. 2021, "Pathwise conditioning of Gaussian processes"). One product with V and one with V' a draw,
 * and the eigenvalues of H themselves.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { jacobianGram } from '../curvature/jacobian-gram.js'
import { addTransposedProduct, jacobianTimes } from '../curvature/jacobian-products.js'
import { joinVectors, splitVectors, zeroVectors } from '../curvature/parameter-vectors.js'
import { NumericalError } from '../errors/errors.js'
import { cholesky, type RealArray, symmetricEigenvalues, triangularSolve } from '../kernels/linear-algebra.js'
import type { SpectralDensity } from '../linear-model/lanczos-quadrature.js'
import { parameterCount } from '../network/parameter-slot.js'
import { hessianFactor, onePrecision, type PosteriorSettings } from '../options/hyperparameters.js'
import { once } from '../posterior/posterior.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { vectorsAtOnce } from '../sums/shared-rows.js'
import { randomGenerator } from '../tensor/random.js'
import type { Drawn, DrawSpace } from './draw-space.js'
import type { FitTask } from './fit-task.js'
import { keptJacobian, type SomeRows } from './seeded-rows.js'

/** The draws of a task with one prior precision over whole tensors. @throws CancelledError */
export async function functionSpaceDraws(task: FitTask, rows: SomeRows, work: WorkOptions): Promise<DrawSpace> {
  const { slots } = task.evaluator
  const jacobian = await keptJacobian(task, rows, work)
  const gram = jacobianGram(slots, jacobian, jacobian)
  const count = jacobian.examples * jacobian.seeds
  const eigenvalues = once(() => symmetricEigenvalues(count, gram).map(value => Math.max(0, value)))
  const density = (settings: PosteriorSettings): SpectralDensity => {
    const unit = hessianFactor(settings) / onePrecision(settings.priorPrecision)
    return { values: eigenvalues().map(value => value * unit), multiplicities: new Float64Array(count).fill(1) }
  }
  return {
    density: settings => Promise.resolve(density(settings)),
    draws: async (samples, settings, own) => ({ ...await drawn(task, jacobian, gram, samples, settings, own),
      density: density(settings), evidenceError: 0, converged: true }),
    dispose: () => Promise.resolve(),
  }
}

async function drawn({ evaluator: { slots, precision }, options }: FitTask, jacobian: FactoredJacobian,
  gram: Float64Array, samples: number, settings: PosteriorSettings,
  work: WorkOptions): Promise<Pick<Drawn, 'rows' | 'residual'>> {
  const size = parameterCount(slots)
  const count = jacobian.examples * jacobian.seeds
  const delta = onePrecision(settings.priorPrecision)
  const unit = Math.sqrt(hessianFactor(settings) / delta)
  const lower = factorOfSum(count, gram, unit * unit)
  const like = (values: Float64Array): RealArray => precision === 'float32' ? Float32Array.from(values) : values
  /** W v, rows x K for K vectors; W' u, K x P. */
  const times = (v: Float64Array, vectors: number): Float64Array =>
    jacobianTimes(jacobian, splitVectors(slots, like(v), vectors)).map(value => value * unit)
  const transposedTimes = (u: Float64Array, vectors: number): Float64Array => {
    const sums = zeroVectors(slots, vectors)
    addTransposedProduct(sums, jacobian, like(u.map(value => value * unit)))
    return joinVectors(slots, sums)
  }
  const random = randomGenerator(options.seed)
  const rows = precision === 'float32' ? new Float32Array(samples * size) : new Float64Array(samples * size)
  const atOnce = Math.min(samples, vectorsAtOnce(size))
  let residual = 0
  for (let from = 0; from < samples; from += atOnce) {
    throwIfCancelled(work.signal)
    work.onProgress?.({ stage: 'fit', done: from, total: samples })
    const own = Math.min(atOnce, samples - from)
    const [e, e0] = [new Float64Array(count * own), new Float64Array(own * size)].map(each => random.fillNormal(each))
    const u = times(e0, own).map((value, i) => e[i] - value)
    triangularSolve(false, count, own, lower, u)
    triangularSolve(true, count, own, lower, u)
    const x = transposedTimes(u, own)
    for (let i = 0; i < x.length; i++) x[i] += e0[i]
    if (from === 0) residual = largestResidual(x, e0, transposedTimes(times(x, own).map((w, i) => w - e[i]), own), size)
    for (let i = 0; i < x.length; i++) rows[from * size + i] = x[i] / Math.sqrt(delta * samples)
  }
  work.onProgress?.({ stage: 'fit', done: samples, total: samples })
  return { rows, residual }
}

/** The factor of 1 + W W'. @throws NumericalError NOT_POSITIVE_DEFINITE */
function factorOfSum(count: number, gram: Float64Array, factor: number): Float64Array {
  const lower = gram.map((value, i) => factor * value + (i % (count + 1) === 0 ? 1 : 0))
  const pivot = cholesky(count, lower)
  if (pivot < 0) return lower
  throw new NumericalError('NOT_POSITIVE_DEFINITE',
    'The equations of the draws cannot be solved in double precision: the data outweigh the prior too much. Give a '
      + 'larger prior precision or noise.', { pivot })
}

/** |x - e0 + W' (W x - e)| of the draw where it is largest, over the square root of P. */
function largestResidual(x: Float64Array, e0: Float64Array, rest: Float64Array, size: number): number {
  let most = 0
  for (let from = 0; from < x.length; from += size) {
    let sum = 0
    for (let i = from; i < from + size; i++) sum += (x[i] - e0[i] + rest[i]) ** 2
    most = Math.max(most, Math.sqrt(sum / size))
  }
  return most
}
