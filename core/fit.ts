/** @file Sums the curvature over the training data, batch by batch. */
import { batchSizeFor, forEachBatch, sliceExamples } from './batches.js'
import { accumulateCurvature, zeroCurvature } from './curvature/accumulate.js'
import type { Curvature } from './curvature/curvature.js'
import { accumulateLastLayer } from './curvature/last-layer.js'
import { checkLabels, networkInput } from './data.js'
import type { Evaluator } from './evaluator.js'
import type { RealArray } from './kernels/linear-algebra.js'
import type { LikelihoodModel } from './likelihood/likelihood.js'
import type { ResolvedOptions } from './laplace-options.js'
import { checkMemory } from './memory.js'
import type { WorkOptions } from './progress.js'
import type { LinearData } from './tuning/linear-model.js'
import type { Tensor } from './tensor.js'

/** The sums of a fit, without the name of what they belong to. */
export interface FitSums { readonly examples: number, readonly loss: number, readonly curvature: Curvature }

/** A fit under way. Data that were added stay added; after an error it must be thrown away. */
export interface Accumulation {
  /** Adds examples; returns how many there are. @throws ShapeError, DataError, CancelledError */
  add(x: Tensor, y: Tensor, work: WorkOptions): Promise<number>
  sums(): FitSums
  /** Features and labels of everything that was added, when they were kept. */
  linearData(): LinearData | undefined
}

/** What one example needs at its widest, in numbers: its seeds' gradients and its activations. */
export function numbersPerExample({ linears, network, subset }: Evaluator, seeds: number): number {
  const widest = linears.reduce((most, { in: inputs, out }) => Math.max(most, inputs, subset === 'all' ? seeds * out : out), network.outputs)
  return 4 * widest
}

/**
 * Starts at zero.
 * @param keepFeatures whether features and labels are kept, for tuning by the linear model
 * @throws ResourceError OUT_OF_MEMORY before anything is allocated
 */
export function startAccumulation(evaluator: Evaluator, likelihood: LikelihoodModel, options: ResolvedOptions, keepFeatures: boolean, note: (sentence: string) => void): Accumulation {
  const { slots, linears, network, subset } = evaluator
  checkMemory(options.structure, slots, linears, options.memoryLimit)
  const { outputs } = network
  const seeds = { count: likelihood.seedCount(outputs), from: (f: RealArray, examples: number) => likelihood.hessianSeeds(f, examples, outputs) }
  const size = options.batchSize ?? batchSizeFor(numbersPerExample(evaluator, seeds.count))
  let curvature = zeroCurvature(options.structure, slots, linears)
  let examples = 0
  let loss = 0
  const kept: { features: RealArray, labels: Float64Array }[] = []
  const addBatch = async (x: Tensor, labels: Float64Array, count: number): Promise<void> => {
    if (subset === 'all') {
      const { f, jacobian } = await evaluator.seeded(x, seeds)
      curvature = accumulateCurvature(curvature, slots, jacobian, options.kfacApprox)
      loss += likelihood.loss(f, labels, count, outputs)
    } else {
      const { f, features } = await evaluator.features(x)
      curvature = accumulateLastLayer(curvature, slots, features, f, count, likelihood)
      loss += likelihood.loss(f, labels, count, outputs)
      if (keepFeatures) kept.push({ features, labels })
    }
    examples += count
  }
  return {
    async add(x, y, work) {
      const rows = networkInput(x, network.input, evaluator.precision, note)
      const n = x.shape[0]
      const { values } = checkLabels(y, likelihood.name, n, outputs)
      const width = likelihood.targetWidth(outputs)
      await forEachBatch(n, size, 'fit', work, (from, to) => addBatch(sliceExamples(rows, network.input, from, to), values.subarray(from * width, to * width), to - from))
      return examples
    },
    sums: () => ({ examples, loss, curvature }),
    linearData: () => (keepFeatures ? joined(kept, examples) : undefined),
  }
}

function joined(parts: readonly { readonly features: RealArray, readonly labels: Float64Array }[], examples: number): LinearData {
  if (parts.length === 1) return { ...parts[0], examples }
  const length = parts.reduce((sum, part) => sum + part.features.length, 0)
  const single = parts.every(part => part.features instanceof Float32Array)
  const features = single ? new Float32Array(length) : new Float64Array(length)
  const labels = new Float64Array(parts.reduce((sum, part) => sum + part.labels.length, 0))
  let [at, label] = [0, 0]
  for (const part of parts) {
    features.set(part.features, at)
    labels.set(part.labels, label)
    at += part.features.length
    label += part.labels.length
  }
  return { features, labels, examples }
}
