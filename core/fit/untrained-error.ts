/**
 * @file What the rows say of a last layer's network that its features cannot, which have been trained on them: how
 * often the same network with shuffled weights is wrong on rows that its own last layer has not seen.
 */
import type { WorkOptions } from '../budget/progress.js'
import { withOnes } from '../curvature/last-layer.js'
import { NumericalError } from '../errors/errors.js'
import { termsOf } from '../likelihood/output-layout.js'
import { ridgeError } from '../linear-model/ridge-error.js'
import { shuffledParameters } from '../linear-model/untrained.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import { lastLayerShape } from '../network/linear-shape.js'
import { parameterSlots, parameterVector, withParameters } from '../network/parameters.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import { batchWithin } from '../programs/batch-size.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import type { Batch } from '../tensor/batch.js'
import type { FitTask } from './fit-task.js'
import { rowsOf } from './kept-rows.js'
import type { TrainingRows } from './linear-fit-result.js'
import { rowReservoir } from './row-reservoir.js'

/** Rows that the share comes from: its standard error is then 1.6 % at most. */
const MOST_ROWS = 1000
/** Features that are enough for it; a narrower layer gets them from several shuffles. */
const ENOUGH_FEATURES = 400

/** Asks the rows of a fit how often a network that has not seen them is wrong. */
export interface UntrainedError {
  /** Rows of the fit: a seeded sample of them is kept. */
  watch(batch: Batch): void
  /** The share of the sample that is named wrongly; undefined where the shuffled network has no finite features. */
  rate(work: WorkOptions): Promise<number | undefined>
}

/**
 * What asks the rows where the share of a last layer's linear model hangs on it: for classes, one answer an example,
 * and a network with weights before its last layer.
 */
export function untrainedError({ evaluator, options }: Pick<FitTask, 'evaluator' | 'options'>):
  | UntrainedError
  | undefined {
  const { network, slots } = evaluator
  const hasClasses = options.likelihood === 'classification'
    || (options.likelihood === 'binary' && network.outputs === 1)
  const asks = hasClasses && termsOf(network) === 1 && slots.length < network.graph.parameters.length
  if (!asks) return undefined
  const sample = rowReservoir(MOST_ROWS, options.seed)
  return {
    watch: sample.add,
    rate: async work => {
      const kept = sample.rows()
      return kept.length === 0
        ? undefined
        : untrainedErrorRate(evaluator, options, rowsOf(kept, { evaluator }, options.likelihood), work)
    },
  }
}

async function untrainedErrorRate(evaluator: Evaluator, options: ResolvedOptions, rows: TrainingRows,
  work: WorkOptions): Promise<number | undefined> {
  const { network, slots } = evaluator
  const { labels, examples } = rows
  const width = lastLayerShape(slots).in
  const shuffles = Math.ceil(ENOUGH_FEATURES / width)
  const all = new Float64Array(examples * width * shuffles)
  try {
    for (let k = 0; k < shuffles; k++) {
      const features = await shuffledFeatures(evaluator, options, rows, options.seed + k, work)
      if (!features.every(Number.isFinite)) return undefined
      for (let n = 0; n < examples; n++) {
        all.set(features.subarray(n * width, (n + 1) * width), (n * shuffles + k) * width)
      }
    }
    // One logit stands for two classes.
    const classes = Math.max(2, network.outputs)
    return ridgeError({ phi: withOnes(all, examples, width * shuffles, true), labels, examples, classes }, work)
  } catch (error) {
    if (error instanceof NumericalError) return undefined
    throw error
  }
}

/** Features of the network with the values of each tensor before its last layer in another order, N x D. */
async function shuffledFeatures(evaluator: Evaluator, options: ResolvedOptions, { x, examples }: TrainingRows,
  seed: number, work: WorkOptions): Promise<Float64Array> {
  const untrained = shuffledNetwork(evaluator, seed)
  const { network } = untrained
  const width = lastLayerShape(untrained.slots).in
  const all = new Float64Array(examples * width)
  try {
    const size = batchWithin(untrained, network.outputs, 'outputs', options, examples)
    const quiet = work.signal === undefined ? {} : { signal: work.signal }
    await forEachBatch(examples, size, 'tune', quiet, async (from, to) => {
      const { features } = await untrained.features(sliceExamples(x, network.inputs, from, to))
      all.set(features, from * width)
    })
    return all
  } finally {
    untrained.dispose()
  }
}

/** The last layer's network with the values of each tensor before it in another order. */
function shuffledNetwork({ network, slots, engine, precision }: Evaluator, seed: number): Evaluator {
  const own = new Set(slots.map(({ name }) => name))
  const before = parameterSlots(network.graph,
    network.graph.parameters.map(({ name }) => name).filter(name => !own.has(name)))
  const theta = shuffledParameters(parameterVector(network.graph, before), before, seed, network.outputs)
  return createEvaluator({ ...network, graph: withParameters(network.graph, before, theta) }, 'last_layer', engine,
    precision)
}
