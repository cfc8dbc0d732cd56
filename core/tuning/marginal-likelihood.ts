/** @file Tunes the prior (and the noise) by the log marginal likelihood at the network's weights (MacKay 1992). */
import { denseMatrices, gathered } from '../curvature/blocks.js'
import { NumericalError } from '../errors/errors.js'
import type { SmallSolver } from '../kernels/small-solver.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { PriorStructure } from '../options/words.js'
import type { DataFit } from '../posterior/evidence.js'
import { priorByParameter, type StructuredPosterior } from '../posterior/posterior.js'
import { adam, type AdamSchedule } from './adam.js'
import { LOWEST_PRECISION } from './bounds.js'
import { coarseEvidence, type EvidenceFunction, evidenceFunction } from './evidence.js'
import { tuneIndependentPrior } from './independent-prior.js'
import { maximise, type Maximum } from './newton.js'
import { conditionFloor, conditionNote, floorNote, outputFloor } from './noise-floor.js'
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
/** Relative differences of sigma: above what is needed, and up to which it counts as at its floor. */
const MARGIN = 1.001
const NEAR = 1e-6
/** Differences of the log evidence below this decide nothing. */
const FLAT = 1e-2

/** Times that the search is repeated when its noise is less than a full curvature bears. */
const MOST_REPEATS = 5

/** The settings that maximise the evidence, and a note when a maximum was not reached or the noise is at its floor. */
export function tuneByMarginalLikelihood(posterior: StructuredPosterior, data: DataFit,
  options: MarginalLikelihoodOptions): { settings: PosteriorSettings, note?: string } {
  if (!options.tuneNoise) return tuned(search(posterior, data, options, undefined), undefined)
  let least = Math.max(LOWEST_PRECISION, Math.sqrt(outputFloor(posterior, data)))
  let found = search(posterior, data, options, least)
  const matrices = denseMatrices(posterior.curvature, posterior.slots)
  if (matrices === undefined) return tuned(found, atFloor(found, least) ? floorNote : undefined)
  const floors = matrices.map(({ places, matrix }) => ({ places, borne: conditionFloor(places.length, matrix, true) }))
  const floor: NoiseBearing = (delta, wanted) =>
    floors.reduce((most, { places, borne }) => borne(gathered(delta, delta.length, places), most), wanted)
  let note = floorNote
  for (let repeat = 0; repeat < MOST_REPEATS; repeat++) {
    const needed = leastFactored(floor, found.settings, posterior.slots)
    if (needed <= found.settings.sigmaNoise) break
    // A little more than is needed: delta moves with sigma.
    least = needed * MARGIN
    note = conditionNote
    found = search(posterior, data, options, least)
  }
  const needed = leastFactored(floor, found.settings, posterior.slots)
  return tuned({ ...found, settings: { ...found.settings, sigmaNoise: needed } },
    atFloor(found, least) || needed > found.settings.sigmaNoise ? note : undefined)
}

function atFloor({ settings }: Found, least: number): boolean {
  return settings.sigmaNoise <= least * (1 + NEAR)
}

/** The least sigma^2 T that the curvature bears with delta of every parameter, or what is wanted where that is more. */
type NoiseBearing = ReturnType<typeof conditionFloor>

/** The least sigma that the curvature bears, or the one that the settings have where it is more. */
function leastFactored(floor: NoiseBearing, settings: PosteriorSettings, slots: readonly ParameterSlot[]): number {
  const { sigmaNoise, temperature } = settings
  const wanted = sigmaNoise * sigmaNoise * temperature
  const borne = floor(priorByParameter(settings, slots), wanted)
  return borne > wanted ? Math.sqrt(borne / temperature) : sigmaNoise
}

/** What a search came to. */
interface Found {
  readonly settings: PosteriorSettings
  readonly converged: boolean
}

function tuned({ settings, converged }: Found,
  noiseNote: ((sigma: number) => string) | undefined): { settings: PosteriorSettings, note?: string } {
  const notes = [
    ...(converged
      ? []
      : ['The search for the prior precision by the marginal likelihood stopped before it converged.']),
    ...(noiseNote === undefined ? [] : [noiseNote(settings.sigmaNoise)]),
  ]
  return notes.length === 0 ? { settings } : { settings, note: notes.join(' ') }
}

/** The maximum of the evidence with sigma not below `least`; undefined leaves sigma as it is. */
function search(posterior: StructuredPosterior, data: DataFit,
  { priorStructure, schedule, solver }: MarginalLikelihoodOptions, least: number | undefined): Found {
  const target = (structure: PriorStructure): EvidenceFunction =>
    evidenceFunction(posterior, data, priorGroups(structure, posterior.slots), least)
  const noise = least === undefined ? [] : [Math.max(Math.log(least), Math.log(posterior.settings.sigmaNoise))]
  if (schedule !== undefined) {
    const evidence = target(priorStructure)
    const start = new Float64Array(evidence.size).fill(Math.log(schedule.initialPriorPrecision))
    start.set(noise, evidence.size - noise.length)
    return { settings: evidence.settingsAt(adam(evidence, start, schedule)), converged: true }
  }
  if (priorStructure === 'diagonal' && posterior.structure === 'diag') {
    return { settings: tuneIndependentPrior(posterior, data, least), converged: true }
  }
  const coarse = (structure: PriorStructure): EvidenceFunction | undefined =>
    coarseEvidence(posterior, data, priorGroups(structure, posterior.slots), least)
  const evidence = target(priorStructure)
  const ofAll = priorStructure === 'scalar' ? evidence : target('scalar')
  const coarseOfAll = coarse('scalar') ?? ofAll
  const together = maximise(coarseOfAll, bestStart(coarseOfAll, noise), solver)
  const best = coarseOfAll === evidence
    ? together
    : reached(evidence, priorStructure === 'scalar' ? undefined : coarse(priorStructure),
      spread(together.point, evidence.size, noise.length), solver)
  const lowest = least === undefined ? undefined : lowestWhereFlat(evidence, best.point, data, posterior.settings)
  return lowest === undefined
    ? { settings: evidence.settingsAt(best.point), converged: best.converged }
    : { settings: evidence.settingsAt(lowest), converged: true }
}

/** The maximum from a start, sought on the coarse evidence first. */
function reached(evidence: EvidenceFunction, coarse: EvidenceFunction | undefined, start: Float64Array,
  solver: SmallSolver | undefined): Maximum {
  return maximise(evidence, coarse === undefined ? start : maximise(coarse, start, solver).point, solver)
}

/** The point with one precision for all groups; the noise, if it is tuned, stays last. */
function spread(point: Float64Array, size: number, noises: number): Float64Array {
  const start = new Float64Array(size).fill(point[0])
  start.set(point.subarray(1), size - noises)
  return start
}

/**
 * The point with sigma at its floor, where the evidence there is as good as at `point`. Of a network that has as many
 * directions as there are targets, and fits them, the evidence is flat from some small sigma down to 0: where a search
 * stops on it is chance.
 */
function lowestWhereFlat({ at, lowest }: EvidenceFunction, point: Float64Array, data: DataFit,
  { temperature }: PosteriorSettings): Float64Array | undefined {
  const noise = point.length - 1
  const moved = point.slice()
  moved[noise] = lowest[noise]
  // Without log|P|, which only grows as sigma falls: most fits are decided by this.
  const misfit = data.loss / temperature * (Math.exp(-2 * moved[noise]) - Math.exp(-2 * point[noise]))
  if (misfit - data.examples * data.outputs * (point[noise] - moved[noise]) > FLAT) return undefined
  return at(moved, false).value >= at(point, false).value - FLAT ? moved : undefined
}

/** The best of a few prior precisions: the evidence may have more than one maximum. */
function bestStart(evidence: EvidenceFunction, noise: readonly number[]): Float64Array {
  const points = STARTS.map(power => Float64Array.of(power * Math.LN10, ...noise))
  const values = points.map(point => evidence.at(point, false).value)
  const best = points[values.indexOf(Math.max(...values))] as Float64Array | undefined
  if (best !== undefined && values.some(Number.isFinite)) return best
  throw new NumericalError('NO_CONVERGENCE',
    'The evidence is no number at any prior precision that was tried, because ' +
      'noise or temperature is too far from 1. Set it nearer to 1, or give the prior precision (tune none).', {})
}
