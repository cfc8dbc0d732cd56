/** @file All that a fitted posterior is made of. */
import type { Curvature } from '../curvature/curvature.js'
import type { Graph } from '../graph/graph.js'
import type { ResolvedOptions } from '../options/laplace-options.js'
import type { TuneMethod } from '../options/words.js'
import type { Runtime } from '../parallel/runtime.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { EvidenceMode } from '../posterior/evidence.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { SavedPosterior } from '../storage/posterior-file.js'
import type { Choice } from '../tuning/choice.js'
import type { TrainingRecord } from '../tuning/training-scores.js'

/** All that a posterior is made of. */
export interface PosteriorState {
  /** The network as it was read. */
  readonly graph: Graph
  readonly evaluator: Evaluator
  readonly pool: WorkerPool
  readonly options: ResolvedOptions
  readonly runtime: Runtime
  readonly examples: number
  /** Loss at the network's weights. */
  readonly loss: number
  /** Curvature at the network's weights; undefined for a loaded posterior whose curvature is at a linear mode. */
  readonly fitted: Curvature | undefined
  readonly structured: StructuredPosterior
  readonly mode: EvidenceMode | undefined
  readonly tuned: TuneMethod
  readonly effectiveParameters: number | undefined
  /** How network and linear model make the answer together, and why; undefined: the network's mean alone. */
  readonly choice: Choice | undefined
  /** The training rows' leave-one-out variances, ascending: what new rows' variances are compared with. */
  readonly trainingVariances: Float64Array | undefined
  /** How network and posterior agree with the rows of the fit; undefined for files of version 0.1.0. */
  readonly training: TrainingRecord | undefined
  readonly notes: readonly string[]
}

/** The state without the posterior's scores on its rows, which no longer hold under another prior. */
export function withoutScores(state: PosteriorState): PosteriorState {
  return state.training === undefined ? state : { ...state, training: { ...state.training, posterior: undefined } }
}

/** What a file keeps of a posterior. */
export function recordOf(state: PosteriorState, digest: string, network: boolean): SavedPosterior {
  const { graph, options, evaluator, structured, examples, loss, mode, tuned, effectiveParameters, choice,
    trainingVariances, training, notes } = state
  const { likelihood, subset, curvature, kfacApprox, seed } = options
  return {
    options: {
      likelihood,
      subset,
      structure: structured.structure,
      curvature,
      kfacApprox,
      seed,
      precision: evaluator.precision,
      input: evaluator.network.input.name,
      output: options.output ?? graph.outputs[0] ?? '',
    },
    graph: network ? graph : undefined,
    digest,
    curvature: structured.curvature,
    settings: structured.settings,
    examples,
    loss,
    mode,
    tuned,
    effectiveParameters,
    choice,
    trainingVariances,
    training,
    notes,
  }
}

/** sigma of every output, C. */
export function noiseOf({ structured, evaluator, choice }: PosteriorState): Float64Array {
  const { outputs } = evaluator.network
  return outputs > 1 && choice?.sigmaNoise?.length === outputs
    ? Float64Array.from(choice.sigmaNoise)
    : new Float64Array(outputs).fill(structured.settings.sigmaNoise)
}

/** sigma as one number where all outputs have the same, else one an output. */
export function sigmaOf(state: PosteriorState): number | Float64Array {
  const noise = noiseOf(state)
  return noise.every(sigma => sigma === noise[0]) ? noise[0] : noise
}
