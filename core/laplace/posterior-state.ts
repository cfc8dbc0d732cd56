/** @file All that a fitted posterior is made of. */
import type { Crew } from '../parallel/worker-pool.js'
import type { Curvature } from '../curvature/curvature.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { Graph } from '../graph/graph.js'
import type { Host } from '../parallel/runtime.js'
import type { ResolvedOptions } from '../options/laplace-options.js'
import type { TuneMethod } from '../options/words.js'
import type { StructuredPosterior } from '../posterior/posterior.js'

/** Where the evidence of a linearised model was taken: its own mode and the loss there. */
export interface EvidenceMode { readonly weights: Float64Array, readonly loss: number }

/** All that a posterior is made of. */
export interface PosteriorState {
  /** The network as it was read. */
  readonly graph: Graph
  readonly evaluator: Evaluator
  readonly crew: Crew
  readonly options: ResolvedOptions
  readonly host: Host
  readonly examples: number
  /** Loss at the network's weights. */
  readonly loss: number
  /** Curvature at the network's weights; undefined for a loaded posterior whose curvature is at a linear mode. */
  readonly fitted: Curvature | undefined
  readonly structured: StructuredPosterior
  readonly mode: EvidenceMode | undefined
  readonly tuned: TuneMethod
  readonly effectiveParameters: number | undefined
  readonly notes: readonly string[]
}
