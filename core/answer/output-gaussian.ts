/** @file Predictions of a posterior, batch by batch. */
import { checkBytes } from '../budget/memory.js'
import { tellExpected, type WorkOptions } from '../budget/progress.js'
import { jacobianGram } from '../curvature/jacobian-gram.js'
import { jacobianTimes } from '../curvature/jacobian-products.js'
import { denseJacobian, outputJacobian, termJacobian } from '../curvature/jacobian.js'
import { lastLayerJacobian, lastLayerTimes } from '../curvature/last-layer.js'
import { splitVectors } from '../curvature/parameter-vectors.js'
import { scaledJacobian } from '../curvature/scaled-jacobian.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { termsOf } from '../likelihood/output-layout.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import { type Inputs, networkInputs } from '../network/input-rows.js'
import { type BatchGaussian, cutsOutputs } from '../parallel/batch-gaussian.js'
import { decomposeAhead } from '../parallel/decompositions.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { PosteriorParts } from '../posterior/posterior-parts.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import { type VarianceKind, varianceNumbers } from '../posterior/variance-kind.js'
import type { Answer } from '../prediction/answer.js'
import { batchWithin, predictedAtOnce, seedsAtOnce } from '../programs/batch-size.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { multiplicationsPerExample, varianceWork } from '../programs/work.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { checkGaussian } from './representable.js'

/** Outputs of the network, and what was wanted of their covariances, term by term. */
export interface OutputGaussian {
  /** N, the terms of the likelihood: examples, times their positions. */
  readonly examples: number
  readonly f: Float64Array
  readonly variance: Float64Array
  /** f_lin, N x C, where there is a linear model with a mode of its own. */
  readonly linear?: Float64Array
}

/** Where predictions are made. */
export interface PredictionContext {
  readonly evaluator: Evaluator
  readonly pool: WorkerPool
  readonly posterior: StructuredPosterior
  /** w_lin - theta of a last layer whose linear model has a part in the answer, P. */
  readonly change?: Float64Array | undefined
  /** How network and linear model make the answer together. */
  readonly answer?: Answer | undefined
  readonly batchSize: number | undefined
  /** Bytes that the widest values of one batch may take. */
  readonly memoryLimit: number
  readonly note: (sentence: string) => void
}

/**
 * N(f, J P^-1 J') of every term; `none` computes f alone and leaves the variances empty.
 * @throws NumericalError OVERFLOW where they are no numbers
 */
export async function outputGaussian(context: PredictionContext, x: Examples, kind: VarianceKind | 'none',
  work: WorkOptions): Promise<OutputGaussian> {
  const rows = networkInputs(x, context.evaluator.network, context.evaluator.precision, context.note)
  const gaussian = await gaussianOfRows(context, x, rows, kind, work)
  await checkGaussian(context.evaluator, rows, gaussian)
  return gaussian
}

async function gaussianOfRows(context: PredictionContext, x: Examples, rows: Inputs, kind: VarianceKind | 'none',
  work: WorkOptions): Promise<OutputGaussian> {
  const { evaluator, posterior } = context
  const { outputs } = evaluator.network
  const examples = exampleCount(x)
  const terms = termsOf(evaluator.network)
  const wide = terms * outputs
  const width = kind === 'none' ? 0 : terms * varianceNumbers(kind, outputs)
  checkBytes('The covariances of the outputs', 8 * examples * width,
    'Predict fewer rows at a time, or use link probit, which needs variances only.')
  const f = new Float64Array(examples * wide)
  const variance = new Float64Array(examples * width)
  let linear: Float64Array | undefined
  if (kind !== 'none') await decomposeAhead(posterior, { ...context, stage: 'predict' }, work)
  const use = kind === 'none' ? 'outputs' : 'variances'
  const outputsAtOnce = jacobiansAtOnce(context, kind)
  const size = batchWithin(evaluator, outputsAtOnce, use, context, examples)
  const put = (from: number, result: BatchGaussian): void => {
    f.set(result.f, from * wide)
    variance.set(result.variance, from * width)
    if (result.change === undefined) return
    linear ??= new Float64Array(examples * wide)
    result.change.forEach((change, i) => {
      if (linear !== undefined) linear[from * wide + i] = result.f[i] + change
    })
  }
  if (kind === 'none' || evaluator.subset === 'last_layer') {
    await evaluator.engine.announceWork(examples * multiplicationsPerExample(evaluator, 0))
    await forEachBatch(examples, size, 'predict', work, async (from, to) => {
      put(from, await simpleBatch(context, sliceExamples(rows, evaluator.network.inputs, from, to), to - from, kind))
    })
    return { examples: examples * terms, f, variance, ...(linear === undefined ? {} : { linear }) }
  }
  // A single batch is computed where the posterior is: sending that to other threads would take longer.
  const parts = posterior.parts()
  const workers = examples <= size || isLarge(parts)
    ? [context.pool.local]
    : await context.pool.workers(examples * multiplicationsPerExample(evaluator, wide))
  const atOnce = cutsOutputs(parts) ? predictedAtOnce(evaluator, outputsAtOnce, context.batchSize, size) : size
  const request = { kind, outputsAtOnce }
  tellExpected(work, 'predict', examples, () => examples * expectedWork(context, outputsAtOnce) / workers.length)
  const running = new Map<number, Promise<void>>()
  let turn = 0
  await forEachBatch(examples, atOnce, 'predict', work, async (from, to) => {
    const at = turn++ % workers.length
    await running.get(at)
    const task = workers[at].gaussian(parts, sliceExamples(rows, evaluator.network.inputs, from, to), request).then(
      result => {
        put(from, result)
      },
    )
    // A failure is thrown when the worker's next turn comes, or at the end.
    task.catch(() => undefined)
    running.set(at, task)
    if (workers.length === 1) await task
  })
  await Promise.all(running.values())
  return { examples: examples * terms, f, variance, ...(linear === undefined ? {} : { linear }) }
}

/** Multiplications of a row, as it goes through the network for some outputs at a time. */
function expectedWork({ evaluator, posterior }: PredictionContext, outputsAtOnce: number): number {
  const { network } = evaluator
  const shape = { structure: posterior.structure === 'kron' ? 'kron' : 'diag' } as const
  return Math.ceil(network.outputs * termsOf(network) / outputsAtOnce)
    * (evaluator.work(outputsAtOnce) + varianceWork(evaluator, shape, outputsAtOnce))
}

/** Outputs of a row, or of some of its positions, whose Jacobians are there at once. */
function jacobiansAtOnce({ evaluator, posterior, memoryLimit }: PredictionContext,
  kind: VarianceKind | 'none'): number {
  const { subset, network } = evaluator
  const { outputs } = network
  // Covariances are between all outputs, and so is what a linear model says of them.
  const whole = termsOf(network) === 1 &&
    (kind === 'none' || kind === 'covariance' || subset !== 'all' || !cutsOutputs(posterior.parts()))
  return whole ? outputs : seedsAtOnce(evaluator, outputs, 'variances', { memoryLimit })
}

/** Bytes of the rows of a posterior beyond which no other thread gets a copy of them. */
const MOST_SENT = 2 ** 28

function isLarge(parts: PosteriorParts): boolean {
  switch (parts.kind) {
    case 'factored':
      return 8 * parts.rank * parts.deviations.length > MOST_SENT
    case 'span':
      return parts.vectors.bySlot.reduce((sum, { byteLength }) => sum + byteLength, 0) > MOST_SENT
    case 'outputs':
      return parts.parts.length > 0 && isLarge(parts.parts[0])
    default:
      return false
  }
}

/** A batch that needs no Jacobian. */
async function simpleBatch({ evaluator, posterior, change }: PredictionContext, x: Inputs, examples: number,
  kind: VarianceKind | 'none'): Promise<BatchGaussian> {
  if (kind === 'none') return { f: await evaluator.forward(x), variance: new Float64Array(0) }
  const rows = examples * termsOf(evaluator.network)
  return evaluator.readFeatures(x, ({ f, features }) => ({
    f: f.slice(),
    ...change === undefined ? {} : { change: lastLayerTimes(posterior.slots, features, rows, change) },
    variance: posterior.lastLayerVariance(features, rows, kind),
  }))
}

/** Outputs and the covariance of all outputs of all terms together: (N C) x (N C), term by term. */
export async function jointGaussian(context: PredictionContext, x: Examples,
  work: WorkOptions): Promise<OutputGaussian> {
  const { evaluator, posterior, change, note } = context
  const { outputs } = evaluator.network
  const examples = exampleCount(x) * termsOf(evaluator.network)
  const count = examples * outputs
  checkBytes('The joint covariance', 8 * (count * count + 3 * count * posterior.size),
    'Ask for fewer rows at a time, or without joint.')
  const rows = networkInputs(x, evaluator.network, evaluator.precision, note)
  const { f, jacobian } = await linearisation(evaluator, rows, examples)
  const linear = linearOutputs(posterior, evaluator, jacobian, f, change)
  if (posterior.curvature.structure === 'lowrank') {
    const joint = { examples, f: Float64Array.from(f), ...jointLowRank(posterior, jacobian), ...linear }
    await checkGaussian(evaluator, rows, joint)
    return joint
  }
  await decomposeAhead(posterior, { ...context, stage: 'predict' }, work)
  const variance = posterior.byOutput === undefined
    ? jointCovariance(posterior, jacobian)
    : jointIndependent(posterior.byOutput, jacobian)
  const joint = { examples, f: Float64Array.from(f), variance, ...linear }
  await checkGaussian(evaluator, rows, joint)
  return joint
}

/** J P^-1 J' of all rows. */
function jointCovariance(posterior: StructuredPosterior, jacobian: FactoredJacobian): Float64Array {
  const count = jacobian.examples * jacobian.seeds
  const root = posterior.whiten(denseJacobian(posterior.slots, jacobian), count)
  const variance = new Float64Array(count * count)
  gemm(false, true, count, count, root.length / count, 1, root, root, 0, variance)
  return variance
}

/** That of each output by a posterior of its own; between outputs there is none. */
function jointIndependent(own: readonly StructuredPosterior[], jacobian: FactoredJacobian): Float64Array {
  const { examples, seeds } = jacobian
  const variance = new Float64Array((examples * seeds) ** 2)
  own.forEach((posterior, c) => {
    const block = jointCovariance(posterior, outputJacobian(jacobian, c))
    block.forEach((value, i) => {
      variance[(Math.floor(i / examples) * seeds + c) * examples * seeds + i % examples * seeds + c] = value
    })
  })
  return variance
}

async function linearisation(evaluator: Evaluator, x: Inputs,
  examples: number): Promise<{ f: RealArray, jacobian: FactoredJacobian }> {
  if (evaluator.subset === 'all') {
    const { f, jacobian } = await evaluator.jacobian(x)
    return { f, jacobian: termJacobian(jacobian, termsOf(evaluator.network)) }
  }
  const { f, features } = await evaluator.features(x)
  return { f, jacobian: lastLayerJacobian(evaluator.slots, features, examples) }
}

/** f_lin from w_lin - theta, where there is a linear model. */
function linearOutputs({ slots, curvature }: StructuredPosterior, { theta }: Evaluator, jacobian: FactoredJacobian,
  f: RealArray, given: Float64Array | undefined): { readonly linear?: Float64Array } {
  const models = curvature.structure === 'lowrank' ? curvature.models : []
  if (models.length === 0 && given === undefined) return {}
  const linear = Float64Array.from(f)
  const { seeds } = jacobian
  const add = (change: Float64Array, outputs: readonly number[]): void => {
    const moved = jacobianTimes(jacobian, splitVectors(slots, change, 1))
    for (let n = 0; n < jacobian.examples; n++) for (const c of outputs) linear[n * seeds + c] += moved[n * seeds + c]
  }
  if (given !== undefined) add(given, Array.from({ length: seeds }, (_, c) => c))
  for (const { weights, outputs } of models) add(weights.map((value, i) => value - theta[i]), outputs)
  return { linear }
}

/** The joint covariance under a low-rank posterior: outputs with models of their own are independent. */
function jointLowRank({ curvature, slots }: StructuredPosterior,
  jacobian: FactoredJacobian): { readonly variance: Float64Array } {
  const { examples, seeds } = jacobian
  const count = examples * seeds
  const variance = new Float64Array(count * count)
  const { models, prior } = curvature.structure === 'lowrank' ? curvature : { models: [] }
  for (const model of models) {
    const seen = model.outputs.length === seeds ? jacobian : outputJacobian(jacobian, model.outputs[0])
    const own = prior === undefined ? seen : scaledJacobian(slots, seen, prior.scale)
    const block = jacobianGram(slots, own, own)
    const images = jacobianTimes(own, splitVectors(slots, model.rows, model.rank))
    const width = examples * model.outputs.length
    gemm(false, true, width, width, model.rank, -1 / model.delta, images, images, 1 / model.delta, block)
    const place = (i: number): number =>
      Math.floor(i / model.outputs.length) * seeds + model.outputs[i % model.outputs.length]
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) variance[place(i) * count + place(j)] = block[i * width + j]
    }
  }
  return { variance }
}

/**
 * The mean of the outputs: the network's; of a low-rank posterior that of its linear model; of a regression with an
 * answer the weighted mean of the two.
 */
export function gaussianMean({ posterior, answer }: PredictionContext, { f, linear }: OutputGaussian): Float64Array {
  if (linear === undefined) return f
  // Probabilities are mixed after the link, means before there is one.
  if (answer?.link === 'map') {
    return f.map((value, i) => answer.networkWeight * value + answer.linearWeight * linear[i])
  }
  return posterior.curvature.structure === 'lowrank' ? linear : f
}
