/** @file Draws of network outputs: from the Gaussian of the linearised network, or with sampled weights. */
import { checkBytes } from '../budget/memory.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { jacobianTimes } from '../curvature/jacobian-products.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { splitVectors } from '../curvature/parameter-vectors.js'
import type { Engine } from '../engine/engine.js'
import { oneOf } from '../errors/suggest.js'
import { gemm } from '../kernels/linear-algebra.js'
import { inOwnLayout, termsOf } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import { type Inputs, networkInputs } from '../network/input-rows.js'
import { lastLayerShape } from '../network/linear-shape.js'
import { withParameters } from '../network/parameters.js'
import { whole } from '../options/option-values.js'
import { type Predictive, PREDICTIVES } from '../options/words.js'
import { semidefiniteRoot } from '../prediction/monte-carlo.js'
import { batchWithin, positionsAtOnce } from '../programs/batch-size.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { randomGenerator } from '../tensor/random.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'
import { finiteDraws } from './finite-results.js'
import { gaussianMean, outputGaussian, type PredictionContext } from './output-gaussian.js'
import type { PosteriorState } from './posterior-state.js'
import { type InputPrograms, predictionContext } from './programs-by-input.js'

/** The options of draws of outputs. */
export interface SampleOptions {
  readonly seed?: number | undefined
  /** `glm` (the linearised network) unless given. */
  readonly predictive?: Predictive | undefined
}

/**
 * Draws of the raw outputs of a posterior, count x N x C; with positions count, then as the network's outputs.
 * @throws ShapeError, DataError, OptionError, CancelledError
 */
export async function functionalSamples(state: PosteriorState, programs: InputPrograms, x: Examples, count: number,
  options: SampleOptions, work: WorkOptions): Promise<Tensor> {
  const predictive = options.predictive === undefined ? 'glm' : oneOf('predictive', options.predictive, PREDICTIVES)
  const context = predictionContext(state, programs, x)
  const draws = whole('count', count, 1)
  const samples = await outputSamples(context, x, draws, options.seed ?? state.options.seed, predictive, work)
  return inOwnLayout(context.evaluator.network, finiteDraws(samples, 'An output'), [draws, exampleCount(x)])
}

/** Draws of predictions, count x N x C: probabilities, or means for regression. @throws as functionalSamples */
export async function predictiveSamples(state: PosteriorState, programs: InputPrograms, x: Examples, count: number,
  options: SampleOptions, work: WorkOptions): Promise<Tensor> {
  const predictive = options.predictive === undefined ? 'glm' : oneOf('predictive', options.predictive, PREDICTIVES)
  const context = predictionContext(state, programs, x)
  const samples = await outputSamples(context, x, whole('count', count, 1), options.seed ?? state.options.seed,
    predictive, work)
  const [draws, terms, outputs] = samples.shape
  const p = likelihoodModel(state.options.likelihood).inverseLink(toFloat64(samples), draws * terms, outputs)
  const predicted = finiteDraws(float64(samples.shape, p), 'A prediction')
  return inOwnLayout(context.evaluator.network, predicted, [draws, exampleCount(x)])
}

/**
 * Draws of the raw outputs, S x N x C, term by term. `glm`: from N(f, J P^-1 J') of each example, with the same
 * standard normals for every example, so that a draw does not depend on the batch; of networks with positions the
 * linearised network with weights drawn from the posterior, so that the positions of a draw belong together. `nn`: the
 * network with weights drawn from the posterior.
 */
export async function outputSamples(context: PredictionContext, x: Examples, count: number, seed: number,
  predictive: Predictive, work: WorkOptions): Promise<Tensor> {
  const { network } = context.evaluator
  const { outputs } = network
  const examples = exampleCount(x) * termsOf(network)
  checkBytes('The samples', 8 * count * examples * outputs, 'Draw fewer samples, or for fewer rows at a time.')
  const data = predictive === 'glm'
    ? await linearisedSamples(context, x, count, seed, work)
    : await sampledWeightOutputs(context, x, count, seed, work)
  return float64([count, examples, outputs], data)
}

async function linearisedSamples(context: PredictionContext, x: Examples, count: number, seed: number,
  work: WorkOptions): Promise<Float64Array> {
  const { outputs } = context.evaluator.network
  const { curvature } = context.posterior
  const separate = curvature.structure === 'lowrank' && curvature.models.length > 1
  if (termsOf(context.evaluator.network) > 1 && !separate) return positionSamples(context, x, count, seed, work)
  const own = await outputGaussian(context, x, 'covariance', work)
  const { variance, examples } = own
  const mean = gaussianMean(context, own)
  const draws = randomGenerator(seed).fillNormal(new Float64Array(count * outputs))
  const result = new Float64Array(count * examples * outputs)
  const deviations = new Float64Array(count * outputs)
  for (let n = 0; n < examples; n++) {
    const root = semidefiniteRoot(variance.subarray(n * outputs * outputs, (n + 1) * outputs * outputs), outputs)
    gemm(false, true, count, outputs, outputs, 1, draws, root, 0, deviations)
    for (let s = 0; s < count; s++) {
      for (let c = 0; c < outputs; c++) {
        result[(s * examples + n) * outputs + c] = mean[n * outputs + c] + deviations[s * outputs + c]
      }
    }
  }
  return result
}

/** mean + J (theta_s - theta) with theta_s from the posterior: count x (N T) x C. */
async function positionSamples(context: PredictionContext, x: Examples, count: number, seed: number,
  work: WorkOptions): Promise<Float64Array> {
  const { evaluator, posterior } = context
  const { network, slots } = evaluator
  checkBytes('The sampled weights', 16 * count * posterior.size, 'Draw fewer samples at a time.')
  const mean = gaussianMean(context, await outputGaussian(context, x, 'diagonal', work))
  const changes = posterior.sample(count, randomGenerator(seed)).map((value, i) =>
    value - posterior.mean[i % posterior.size]
  )
  const vectors = splitVectors(slots, changes, count)
  const rows = networkInputs(x, network, evaluator.precision, context.note)
  const [terms, examples] = [termsOf(network), exampleCount(x)]
  const width = terms * network.outputs
  const result = new Float64Array(count * examples * width)
  for (let s = 0; s < count; s++) result.set(mean, s * mean.length)
  const add = (n: number, j: number, s: number, value: number): void => {
    result[(s * examples + n) * width + j] += value
  }
  const atOnce = positionsAtOnce(evaluator, network.outputs)
  const size = batchWithin(evaluator, network.outputs * atOnce, 'sums', context, examples)
  await forEachBatch(examples, size, 'predict', work, async (from, to) => {
    const batch = sliceExamples(rows, network.inputs, from, to)
    if (evaluator.subset === 'last_layer') {
      const { features } = await evaluator.features(batch)
      const jacobian = lastLayerJacobian(slots, features, (to - from) * terms)
      jacobianTimes(jacobian, vectors).forEach((value, i) => {
        const output = Math.floor(i / count)
        add(from + Math.floor(output / width), output % width, i % count, value)
      })
      return
    }
    for (let first = 0; first < terms; first += atOnce) {
      const { jacobian } = await evaluator.jacobian(batch, { terms, from: first, count: atOnce })
      const seeds = Math.min(atOnce, terms - first) * network.outputs
      jacobianTimes(jacobian, vectors).forEach((value, i) => {
        const row = Math.floor(i / count)
        const [n, j] = [Math.floor(row / jacobian.seeds), row % jacobian.seeds]
        if (j < seeds) add(from + n, first * network.outputs + j, i % count, value)
      })
    }
  })
  return result
}

async function sampledWeightOutputs(context: PredictionContext, x: Examples, count: number, seed: number,
  work: WorkOptions): Promise<Float64Array> {
  const { evaluator, posterior } = context
  checkBytes('The sampled weights', 8 * count * posterior.size, 'Draw fewer samples at a time.')
  const sampled = { x: networkInputs(x, evaluator.network, evaluator.precision, context.note),
    examples: exampleCount(x), thetas: posterior.sample(count, randomGenerator(seed)), count }
  return evaluator.subset === 'last_layer'
    ? lastLayerSamples(context, sampled, work)
    : networkSamples(context, sampled, work)
}

/** Rows, and S draws of the weights, S x P. */
interface SampledWeights {
  readonly x: Inputs
  readonly examples: number
  readonly thetas: Float64Array
  readonly count: number
}

/** f_s = W_s phi + b_s, and what else the network adds to its last layer. */
async function lastLayerSamples(context: PredictionContext, { x, examples, thetas, count }: SampledWeights,
  work: WorkOptions): Promise<Float64Array> {
  const { evaluator } = context
  const { slots, theta, network } = evaluator
  const { weight, bias, in: inputs, out } = lastLayerShape(slots)
  const terms = termsOf(network)
  const result = new Float64Array(count * examples * terms * out)
  const size = batchWithin(evaluator, out, 'outputs', context, examples)
  await forEachBatch(examples, size, 'predict', work, async (from, to) => {
    const { f, features } = await evaluator.features(sliceExamples(x, network.inputs, from, to))
    const phi = Float64Array.from(features)
    const rows = (to - from) * terms
    for (let s = 0; s < count; s++) {
      const change = thetas.subarray(s * theta.length, (s + 1) * theta.length).map((value, i) => value - theta[i])
      const part = result.subarray((s * examples + from) * terms * out, (s * examples + to) * terms * out)
      gemm(false, true, rows, out, inputs, 1, phi,
        change.subarray(slots[weight].offset, slots[weight].offset + slots[weight].size), 0, part)
      for (let i = 0; i < part.length; i++) part[i] += f[i] + (bias < 0 ? 0 : change[slots[bias].offset + i % out])
    }
  })
  return result
}

async function networkSamples(context: PredictionContext, { x, examples, thetas, count }: SampledWeights,
  work: WorkOptions): Promise<Float64Array> {
  const { evaluator } = context
  const { network, slots, theta, precision } = evaluator
  const { engine }: { engine: Engine } = evaluator
  const width = network.outputs * termsOf(network)
  const result = new Float64Array(count * examples * width)
  const size = batchWithin(evaluator, 0, 'outputs', context, examples)
  for (let s = 0; s < count; s++) {
    throwIfCancelled(work.signal)
    const program = await engine.compile(
      withParameters(network.graph, slots, thetas.subarray(s * theta.length, (s + 1) * theta.length)),
      precision,
    )
    await forEachBatch(examples, size, 'predict', { ...(work.signal === undefined ? {} : { signal: work.signal }) },
      async (from, to) => {
        const outputs = await program.run(sliceExamples(x, network.inputs, from, to))
        result.set(outputs.get(network.output)?.data ?? [], (s * examples + from) * width)
      })
    program.dispose()
    work.onProgress?.({ stage: 'predict', done: s + 1, total: count })
  }
  return result
}
