/** @file Tunes the prior (and the noise) by the log marginal likelihood at the network's weights (MacKay 1992). */
import type { SmallSolver } from '../kernels/small-solver.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { PriorStructure } from '../options/words.js'
import type { DataFit } from '../posterior/evidence.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import { adam, type AdamSchedule } from './adam.js'
import { type EvidenceFunction, evidenceFunction } from './evidence.js'
import { tuneIndependentPrior } from './independent-prior.js'
import { maximise } from './newton.js'
import { priorGroups } from './prior-groups.js'

/** How the evidence is maximised. */
export interface MarginalLikelihoodOptions {
  readonly priorStructure: PriorStructure
  /** Whether sigma is tuned too. */
  readonly tuneNoise: boolean
  /** laplace-torch's schedule in place of a search to convergence. */
  readonly schedule?: AdamSchedule | undefined
  readonly solver?: SmallSolver | undefined
}

/** log10 of the prior precisions from which the search may start. */
const STARTS = [-6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6]

/** The settings that maximise the evidence, and a note when a maximum was not reached. */
export function tuneByMarginalLikelihood(posterior: StructuredPosterior, data: DataFit,
  options: MarginalLikelihoodOptions): { settings: PosteriorSettings, note?: string } {
  const { priorStructure, tuneNoise, schedule, solver } = options
  const target = (structure: PriorStructure): EvidenceFunction =>
    evidenceFunction(posterior, data, priorGroups(structure, posterior.slots), tuneNoise)
  const noise = tuneNoise ? [Math.log(posterior.settings.sigmaNoise)] : []
  if (schedule !== undefined) {
    const evidence = target(priorStructure)
    const start = new Float64Array(evidence.size).fill(Math.log(schedule.initialPriorPrecision))
    start.set(noise, evidence.size - noise.length)
    return { settings: evidence.settingsAt(adam(evidence, start, schedule)) }
  }
  if (priorStructure === 'diagonal' && posterior.structure === 'diag') {
    return { settings: tuneIndependentPrior(posterior, data, tuneNoise) }
  }
  const scalar = target('scalar')
  let best = maximise(scalar, bestStart(scalar, noise), solver)
  let evidence = scalar
  if (priorStructure !== 'scalar') {
    evidence = target(priorStructure)
    const start = new Float64Array(evidence.size).fill(best.point[0])
    start.set(best.point.subarray(1), evidence.size - noise.length)
    best = maximise(evidence, start, solver)
  }
  const settings = evidence.settingsAt(best.point)
  return best.converged
    ? { settings }
    : { settings, note: 'The search for the prior precision by the marginal likelihood stopped before it converged.' }
}

/** The best of a few prior precisions: the evidence may have more than one maximum. */
function bestStart(evidence: EvidenceFunction, noise: readonly number[]): Float64Array {
  const points = STARTS.map(power => Float64Array.of(power * Math.LN10, ...noise))
  const values = points.map(point => evidence.at(point, false).value)
  return points[values.indexOf(Math.max(...values))]
}
