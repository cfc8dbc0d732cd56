/** @file Rows of a Jacobian times seeds, batch by batch: roots of the likelihood's Hessian, or outputs themselves. */
import { formatBytes } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import { denseJacobian, joinJacobians, selectExamples } from '../curvature/jacobian.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { ResourceError } from '../errors/errors.js'
import { type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import { parameterCount } from '../network/parameter-slot.js'
import { batchWithin } from '../programs/batch-size.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import type { FitTask } from './fit-task.js'
import type { TrainingRows } from './linear-fit-result.js'

/** What the rows of a Jacobian start from: K x N x C numbers at the outputs f, for K rows of an example. */
export interface RowSeeds {
  readonly count: number
  at(f: RealArray, examples: number): RealArray
}

/** A root of Lambda: H is the sum of all rows' outer products. */
export function roots({ evaluator: { network: { outputs } }, options }: FitTask): RowSeeds {
  const likelihood = likelihoodModel(options.likelihood, options)
  return { count: likelihood.seedCount(outputs), at: (f, examples) => likelihood.hessianSeeds(f, examples, outputs) }
}

/** The root of Lambda's diagonal: a row for each output, which knows nothing of the others. */
export function outputRoots({ evaluator: { network: { outputs } }, options }: FitTask): RowSeeds {
  const likelihood = likelihoodModel(options.likelihood, options)
  return { count: outputs,
    at: (f, examples) => ofOutputs(f, outputs, likelihood.hessianDiagonal(f, examples, outputs).map(Math.sqrt)) }
}

/** The outputs themselves. */
export function plainOutputs({ evaluator: { network: { outputs } } }: FitTask): RowSeeds {
  return { count: outputs, at: f => ofOutputs(f, outputs, new Float64Array(f.length).fill(1)) }
}

/** Seeds of one output each, times a factor, N x C. */
function ofOutputs(f: RealArray, outputs: number, factors: Float64Array): RealArray {
  const seeds = zerosLike(f, f.length * outputs)
  factors.forEach((factor, i) => {
    seeds[i % outputs * f.length + i] = factor
  })
  return seeds
}

/** Some rows without labels. */
export type SomeRows = Omit<TrainingRows, 'labels'>

/** The Jacobian times seeds, batch by batch. */
export async function eachSeeded({ evaluator, options }: FitTask, { x, examples }: SomeRows, { count, at }: RowSeeds,
  work: WorkOptions, visit: (jacobian: FactoredJacobian, from: number) => void): Promise<void> {
  const { slots, network, subset } = evaluator
  const size = batchWithin(evaluator, count, 'sums', options, examples)
  await forEachBatch(examples, size, 'fit', work, async (from, to) => {
    const batch = sliceExamples(x, network.inputs, from, to)
    const seeds = (f: RealArray): RealArray => at(f, to - from)
    if (subset === 'all') visit((await evaluator.seeded(batch, { count, from: seeds })).jacobian, from)
    else {
      const { f, features } = await evaluator.features(batch)
      const own = lastLayerJacobian(slots, features, to - from)
      visit({ ...own, seeds: count, factors: own.factors.map(factor => ({ ...factor, g: seeds(f) })) }, from)
    }
  })
}

/** The Jacobian of all rows times a root of Lambda, in factors. */
export async function keptJacobian(task: FitTask, rows: SomeRows, work: WorkOptions): Promise<FactoredJacobian> {
  const batches: FactoredJacobian[] = []
  await eachSeeded(task, rows, roots(task), work, own => {
    // What a program hands over is its own until it runs again.
    batches.push(selectExamples(own, Int32Array.from({ length: own.examples }, (_, n) => n)))
  })
  return joinJacobians(batches)
}

/**
 * Rows of V for rows of data: those of J times seeds, one seed of an example after another.
 * @throws ResourceError OUT_OF_MEMORY, CancelledError
 */
export async function writtenRows(task: FitTask, { x, examples }: SomeRows, seeds: RowSeeds,
  work: WorkOptions): Promise<Float64Array> {
  const { evaluator: { slots }, options } = task
  const { count } = seeds
  const size = parameterCount(slots)
  const bytes = 8 * examples * count * size
  if (3 * bytes > options.memoryLimit) {
    throw new ResourceError('OUT_OF_MEMORY',
      `The rows of ${examples} examples with ${size} parameters would need ${formatBytes(3 * bytes)}, more than the `
        + `limit of ${formatBytes(options.memoryLimit)} (option memoryLimit). Take fewer examples (option nSubset).`, {
      needed: 3 * bytes,
      limit: options.memoryLimit,
    })
  }
  const V = new Float64Array(examples * count * size)
  await eachSeeded(task, { x, examples }, seeds, work, (jacobian, from) => {
    V.set(denseJacobian(slots, jacobian), from * count * size)
  })
  return V
}
