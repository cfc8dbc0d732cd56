/** @file The programs that evaluate a network, for inputs of the fit's size and of another. */
import { chosenEngine } from '../engine/chosen-engine.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import { matchInputs } from '../network/match-inputs.js'
import { exampleShapes, prepareNetwork } from '../network/network.js'
import { createWorkerPool } from '../parallel/worker-pool.js'
import { createEvaluator } from '../programs/evaluator.js'
import type { Examples } from '../tensor/examples.js'
import type { PredictionContext } from './output-gaussian.js'
import { posteriorNetwork } from './posterior-network.js'
import type { PosteriorState } from './posterior-state.js'

/** What evaluates a network on inputs of one size. */
type Programs = Pick<PredictionContext, 'evaluator' | 'pool'>

/** The programs for examples of the sizes of x. */
export interface InputPrograms {
  (x: Examples): Programs
}

/**
 * The programs of a posterior: those of the fit, and others for another length of sequences or size of images. The last
 * others are kept, so that predictions for many batches of one size compile once.
 */
export function programsByInput(
  { graph, evaluator, pool, options, runtime, structured }: PosteriorState,
): InputPrograms {
  let last: Programs & { readonly size: string } | undefined
  const own = { evaluator, pool }
  if (graph.inputs.every(({ openAxes }) => openAxes === undefined)) return () => own
  return x => {
    const shapes = exampleShapes(matchInputs(x, evaluator.network))
    const settled = settleOpenAxes(graph, shapes)
    if (settled === graph) return own
    const size = [...shapes.values()].join(';')
    if (last?.size === size) return last
    const network = prepareNetwork(settled, options.likelihood, options)
    const other = createEvaluator(posteriorNetwork(network, structured.curvature), options.subset,
      chosenEngine({ name: options.engine, threads: options.threads }, evaluator.precision, runtime),
      evaluator.precision)
    last = { size, evaluator: other, pool: createWorkerPool(other, options.likelihood, runtime, options) }
    return last
  }
}

/** What predictions for x work with; `note` receives sentences about the data. */
export function predictionContext(state: PosteriorState, programs: InputPrograms, x: Examples,
  note: (sentence: string) => void = () => undefined): PredictionContext {
  const { evaluator, pool } = programs(x)
  const { structured: posterior, choice: answer, options: { batchSize, memoryLimit } } = state
  return { evaluator, pool, posterior, change: linearChange(state), answer, batchSize, memoryLimit, note }
}

/**
 * w_lin - theta of a last layer whose linear model has a part in the answer; one over all weights is the posterior's
 * own mean.
 */
export function linearChange({ structured, choice, mode }: PosteriorState): Float64Array | undefined {
  return choice === undefined || mode === undefined ?
    undefined
    : mode.weights.map((value, i) => value - structured.mean[i])
}
