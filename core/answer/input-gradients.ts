/**
 * @file Gradients of predictions with respect to the input, for Bayesian optimisation and attributions: of the mean f,
 * of the variances diag(J P^-1 J'), whose gradient is 2 d(J_c v)/dx at v = P^-1 J_c', and of the probabilities that the
 * probit link makes of both.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { OptionError } from '../errors/errors.js'
import { sigmoid } from '../likelihood/sigmoid.js'
import { softmax } from '../likelihood/softmax.js'
import { sliceExamples } from '../network/batches.js'
import { networkInputs } from '../network/input-rows.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Likelihood } from '../options/words.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import { inputGradients as programsOf } from '../programs/input-gradients-program.js'
import { arraysOf, exampleCount, type Examples } from '../tensor/examples.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import { finiteFields } from './finite-results.js'
import type { PosteriorState } from './posterior-state.js'
import { type InputPrograms, predictionContext } from './programs-by-input.js'
import { rowJacobian } from './row-jacobian.js'

/** Gradients of every row with respect to its own input: N x C, then the shape of an input. */
export interface InputGradients {
  readonly mean: Tensor
  readonly variance: Tensor
  /** Of link probit; undefined for likelihoods of numbers. */
  readonly probabilities: Tensor | undefined
}

/**
 * The gradients for N rows.
 * @throws OptionError BAD_COMBINATION for posteriors whose answer mixes network and linear model, and for networks with
 * positions; GraphError NOT_DIFFERENTIABLE; ShapeError, DataError, CancelledError
 */
export async function inputGradients(state: PosteriorState, programs: InputPrograms, x: Examples,
  work: WorkOptions): Promise<InputGradients> {
  refuse(state)
  const { evaluator, posterior, note } = predictionContext(state, programs, x)
  const { network: { inputs, outputs } } = evaluator
  const rows = networkInputs(x, evaluator.network, evaluator.precision, note)
  const own = programsOf(evaluator.network, evaluator.slots, evaluator.engine, evaluator.precision)
  const examples = exampleCount(x)
  const { width } = own
  const { likelihood } = state.options
  const [mean, variance] = [0, 1].map(() => new Float64Array(examples * outputs * width))
  const probabilities = !hasLogits(likelihood) ? undefined : new Float64Array(examples * outputs * width)
  try {
    for (let n = 0; n < examples; n++) {
      throwIfCancelled(work.signal)
      const row = sliceExamples(rows, inputs, n, n + 1)
      const { f, jacobian } = await rowJacobian(evaluator, row)
      const size = posterior.size
      const directions = directionsOf(posterior, jacobian, outputs)
      for (let c = 0; c < outputs; c++) {
        const at = (n * outputs + c) * width
        mean.set(await own.outputs(row, c), at)
        const moved = await own.moved(row, c, directions.subarray(c * size, (c + 1) * size))
        variance.set(moved.map(value => 2 * value), at)
      }
      const part = (all: Float64Array): Float64Array => all.subarray(n * outputs * width, (n + 1) * outputs * width)
      probabilities?.set(
        probitGradients(likelihood, f, variances(jacobian, directions, outputs), part(mean), part(variance)),
        n * outputs * width,
      )
      work.onProgress?.({ stage: 'predict', done: n + 1, total: examples })
    }
  } finally {
    own.dispose()
  }
  const shape = [examples, outputs, ...arraysOf(x)[0].values.shape.slice(1)]
  return finiteFields({ mean: float64(shape, mean), variance: float64(shape, variance),
    probabilities: probabilities && float64(shape, probabilities) }, 'the gradients')
}

function refuse({ choice, structured: { curvature }, evaluator: { network: { positions } } }: PosteriorState): void {
  if (choice !== undefined || curvature.structure === 'lowrank') {
    throw new OptionError('BAD_COMBINATION',
      'Gradients with respect to the input are of the network and its posterior; this answer mixes them with a linear '
        + "model. Fit with a structure ('kron', 'full', 'diag', ...) and tune by 'marglik', 'grid' or 'none'.", {
      option: 'structure',
    })
  }
  if (positions.length === 0) return
  throw new OptionError('BAD_COMBINATION',
    'Gradients with respect to the input are for networks with one answer an example; this one answers at several '
      + 'positions. Let one of them answer (option positions).', { option: 'positions' })
}

/** P^-1 J_c' of every output, C x P; of independent outputs by the posterior of each. */
function directionsOf(posterior: StructuredPosterior, jacobian: Float64Array, outputs: number): Float64Array {
  const { byOutput, size } = posterior
  if (byOutput === undefined) return posterior.covarianceTimes(jacobian, outputs)
  const directions = new Float64Array(jacobian.length)
  byOutput.forEach((own, c) => {
    directions.set(own.covarianceTimes(jacobian.subarray(c * size, (c + 1) * size), 1), c * size)
  })
  return directions
}

/** J_c P^-1 J_c'. */
function variances(jacobian: Float64Array, directions: Float64Array, outputs: number): Float64Array {
  const size = jacobian.length / outputs
  return Float64Array.from({ length: outputs }, (_, c) => {
    let sum = 0
    for (let i = c * size; i < (c + 1) * size; i++) sum += jacobian[i] * directions[i]
    return sum
  })
}

/** Of p = softmax(k), or sigmoid, with k_c = f_c / sqrt(1 + pi/8 v_c): C x width. */
function probitGradients(likelihood: Likelihood, f: Float64Array, v: Float64Array, mean: Float64Array,
  variance: Float64Array): Float64Array {
  const outputs = f.length
  const width = mean.length / outputs
  const scale = v.map(value => 1 / Math.sqrt(1 + Math.PI / 8 * value))
  const k = f.map((value, c) => value * scale[c])
  const slopes = mean.map((value, i) => {
    const c = Math.floor(i / width)
    return value * scale[c] - f[c] * Math.PI / 16 * variance[i] * scale[c] ** 3
  })
  if (likelihood !== 'classification') {
    return slopes.map((value, i) => {
      const p = sigmoid(k[Math.floor(i / width)])
      return p * (1 - p) * value
    })
  }
  const p = softmax(k, 1, outputs)
  const average = new Float64Array(width)
  slopes.forEach((value, i) => {
    average[i % width] += p[Math.floor(i / width)] * value
  })
  return slopes.map((value, i) => p[Math.floor(i / width)] * (value - average[i % width]))
}
