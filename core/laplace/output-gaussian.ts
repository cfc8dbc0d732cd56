/** @file Predictions of a posterior, batch by batch. */
import { checkBytes } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import { denseJacobian } from '../curvature/jacobian.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { batchSizeFor, forEachBatch, sliceExamples } from '../network/batches.js'
import { networkInput } from '../network/input-rows.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { BatchGaussian } from '../parallel/worker.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { multiplicationsPerExample, numbersPerExample } from '../programs/cost.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import type { Tensor } from '../tensor/tensor.js'

/** Outputs of the network and their variances (N x C) or covariances (N x C x C). */
export interface OutputGaussian {
  readonly examples: number
  readonly f: Float64Array
  readonly variance: Float64Array
}

/** Where predictions are made. */
export interface PredictionContext {
  readonly evaluator: Evaluator
  readonly pool: WorkerPool
  readonly posterior: StructuredPosterior
  readonly batchSize: number | undefined
  readonly note: (sentence: string) => void
}

/** N(f, J P^-1 J') of every example; `none` computes f alone and leaves the variances empty. */
export async function outputGaussian(context: PredictionContext, x: Tensor, kind: VarianceKind | 'none',
  work: WorkOptions): Promise<OutputGaussian> {
  const { evaluator, posterior } = context
  const { outputs } = evaluator.network
  const rows = networkInput(x, evaluator.network.input, evaluator.precision, context.note)
  const examples = x.shape[0]
  const width = kind === 'none' ? 0 : kind === 'covariance' ? outputs * outputs : outputs
  checkBytes('The covariances of the outputs', 8 * examples * width,
    'Predict fewer rows at a time, or use link probit, which needs variances only.')
  const f = new Float64Array(examples * outputs)
  const variance = new Float64Array(examples * width)
  const size = context.batchSize ?? batchSizeFor(numbersPerExample(evaluator, outputs))
  const put = (from: number, result: BatchGaussian): void => {
    f.set(result.f, from * outputs)
    variance.set(result.variance, from * width)
  }
  if (kind === 'none' || evaluator.subset === 'last_layer') {
    evaluator.engine.announceWork(examples * multiplicationsPerExample(evaluator, 0))
    await forEachBatch(examples, size, 'predict', work, async (from, to) => {
      put(from,
        await simpleBatch(evaluator, posterior, sliceExamples(rows, evaluator.network.input, from, to), to - from,
          kind))
    })
    return { examples, f, variance }
  }
  const workers = await context.pool.workers(examples * multiplicationsPerExample(evaluator, outputs))
  const parts = posterior.parts()
  const running = new Map<number, Promise<void>>()
  let turn = 0
  await forEachBatch(examples, size, 'predict', work, async (from, to) => {
    const at = turn++ % workers.length
    await running.get(at)
    const task = workers[at].gaussian(parts, sliceExamples(rows, evaluator.network.input, from, to), kind).then(
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
  return { examples, f, variance }
}

/** A batch that needs no Jacobian. */
async function simpleBatch(evaluator: Evaluator, posterior: StructuredPosterior, x: Tensor, examples: number,
  kind: VarianceKind | 'none'): Promise<BatchGaussian> {
  if (kind === 'none') return { f: await evaluator.forward(x), variance: new Float64Array(0) }
  const { f, features } = await evaluator.features(x)
  return { f, variance: posterior.lastLayerVariance(features, examples, kind) }
}

/** Outputs and the covariance of all outputs of all examples together: (N C) x (N C), example by example. */
export async function jointGaussian({ evaluator, posterior, note }: PredictionContext,
  x: Tensor): Promise<OutputGaussian> {
  const { outputs } = evaluator.network
  const examples = x.shape[0] ?? 0
  const count = examples * outputs
  checkBytes('The joint covariance', 8 * (count * count + 3 * count * posterior.size),
    'Ask for fewer rows at a time, or without joint.')
  const rows = networkInput(x, evaluator.network.input, evaluator.precision, note)
  const { f, jacobian } = await linearisation(evaluator, rows, examples)
  const root = posterior.whiten(denseJacobian(posterior.slots, jacobian), count)
  const variance = new Float64Array(count * count)
  gemm(false, true, count, count, posterior.size, 1, root, root, 0, variance)
  return { examples, f: Float64Array.from(f), variance }
}

async function linearisation(evaluator: Evaluator, x: Tensor,
  examples: number): Promise<{ f: RealArray, jacobian: FactoredJacobian }> {
  if (evaluator.subset === 'all') return evaluator.jacobian(x)
  const { f, features } = await evaluator.features(x)
  return { f, jacobian: lastLayerJacobian(evaluator.slots, features, examples) }
}
