/**
 * @file A posterior as plain data, for another thread of the same process; for everything else there are files. Unlike
 * a file it keeps what was computed once: eigen-decompositions, and the curvature of before a linear model.
 */
import type { PosteriorState } from '../answer/posterior-state.js'
import { chosenEngine } from '../engine/chosen-engine.js'
import type { Network } from '../network/network.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { Precision, Subset } from '../options/words.js'
import type { Runtime } from '../parallel/runtime.js'
import { createWorkerPool } from '../parallel/worker-pool.js'
import type { FactorEigen } from '../posterior/factor-eigen.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import { structuredPosterior } from '../posterior/structured.js'
import { createEvaluator } from '../programs/evaluator.js'
import { LaplacePosterior } from './laplace-posterior.js'

/** A posterior without what cannot be copied: programs, workers, functions. */
export interface PortablePosterior {
  readonly state: Omit<PosteriorState, 'evaluator' | 'pool' | 'runtime' | 'structured'>
  readonly network: Network
  readonly subset: Subset
  readonly precision: Precision
  readonly curvature: StructuredPosterior['curvature']
  readonly settings: PosteriorSettings
  /** Decompositions of the curvature's factors, in their order, where they have been made. */
  readonly eigens: readonly (FactorEigen | undefined)[]
}

/** A posterior as plain data, which shares its arrays. */
export function portablePosterior({ state: whole }: LaplacePosterior): PortablePosterior {
  const { evaluator: { network, subset, precision }, pool: _pool, runtime: _runtime, structured, ...state } = whole
  const { curvature, settings } = structured
  const eigens = structured.factors?.()
  return { state, network, subset, precision, curvature, settings,
    eigens: eigens === undefined ? [] : eigens.factors.map(factor => eigens.known(factor)) }
}

/** The posterior that was made portable. */
export function posteriorFrom(
  { state, network, subset, precision, curvature, settings, eigens }: PortablePosterior,
  runtime: Runtime,
): LaplacePosterior {
  const { engine: name, threads, likelihood } = state.options
  const evaluator = createEvaluator(network, subset, chosenEngine({ name, threads }, precision, runtime), precision)
  const structured = structuredPosterior(curvature, evaluator.slots, evaluator.theta, settings)
  if (eigens.length > 0) {
    const own = structured.factors?.()
    own?.factors.forEach((factor, i) => {
      const eigen = eigens[i]
      if (eigen !== undefined) own.keep(factor, eigen)
    })
  }
  return new LaplacePosterior({ ...state, evaluator, structured, runtime,
    pool: createWorkerPool(evaluator, likelihood, runtime, state.options) })
}
