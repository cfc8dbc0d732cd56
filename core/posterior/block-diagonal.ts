/**
 * @file Block-diagonal posterior: independent full posteriors, each over the parameters of its block, so that
 * log-determinants, quadratic forms and output covariances add up.
 */
import { checkBytes } from '../budget/memory.js'
import { assembled, gathered, scatter } from '../curvature/blocks.js'
import type { Curvature } from '../curvature/curvature.js'
import { placesOfBlock, slotsOfBlock } from '../network/parameter-blocks.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { identity } from '../tensor/identity.js'
import { fullPosterior } from './full.js'
import { lastLayerVariance, type PosteriorParts } from './posterior-parts.js'
import { aroundMean, checkSettings, once, priorByParameter, type StructuredPosterior } from './posterior.js'

type BlockCurvature = Extract<Curvature, { structure: 'blockdiag' }>

/** The posterior of one block, and what of theta it is over. */
interface BlockPosterior {
  readonly slots: readonly number[]
  readonly places: Int32Array
  readonly posterior: StructuredPosterior
}

/** The posterior of a block-diagonal curvature; each block is decomposed when it is first needed. */
export function blockDiagonalPosterior(curvature: BlockCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  return withBlocks(curvature, slots, mean, settings, own =>
    curvature.blocks.map(({ slots: members, matrix }) => {
      const places = placesOfBlock(slots, members)
      const full = { structure: 'full', size: places.length, matrix } as const
      return { slots: members, places,
        posterior: fullPosterior(full, slotsOfBlock(slots, members), gathered(mean, mean.length, places), own(places)) }
    }))
}

/** @param make the blocks, from the settings of the parameters at some places */
function withBlocks(curvature: BlockCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings,
  make: (own: (places: Int32Array) => PosteriorSettings) => readonly BlockPosterior[]): StructuredPosterior {
  checkSettings(settings, slots, 'blockdiag')
  const size = mean.length
  const blocks = once(() => make(places => settingsAt(settings, slots, places)))
  const sum = (of: (posterior: StructuredPosterior, places: Int32Array) => number): number =>
    blocks().reduce((total, { posterior, places }) => total + of(posterior, places), 0)
  /** What each block makes of its columns of count x P rows. */
  const byBlock = (count: number,
    of: (posterior: StructuredPosterior, places: Int32Array) => Float64Array): Float64Array => {
    const result = new Float64Array(count * size)
    for (const { posterior, places } of blocks()) scatter(of(posterior, places), size, places, result)
    return result
  }
  const dense = (of: (block: BlockPosterior) => Float64Array): Float64Array =>
    assembled(blocks().map(block => ({ slots: block.slots, matrix: of(block) })), slots, size)
  const covariance = once(() => dense(covarianceOf))
  const logDetPrecision = once(() => sum(posterior => posterior.logDetPrecision()))
  return {
    structure: 'blockdiag',
    curvature,
    ...aroundMean(mean, slots, settings),
    withSettings: changes => {
      const next = { ...settings, ...changes }
      return withBlocks(curvature, slots, mean, next,
        own => blocks().map(block => ({ ...block, posterior: block.posterior.withSettings(own(block.places)) })))
    },
    logDetPrecision,
    posteriorVariance: () => byBlock(1, posterior => posterior.posteriorVariance()),
    precisionMatrix: () => {
      checkBytes('The dense matrix', 16 * size * size, 'Work with the blocks.')
      return dense(({ posterior }) => posterior.precisionMatrix())
    },
    jitter: () => Math.max(0, ...blocks().map(({ posterior }) => posterior.jitter?.() ?? 0)),
    covarianceTimes: (vectors, count) =>
      byBlock(count, (posterior, places) => posterior.covarianceTimes(gathered(vectors, size, places), count)),
    whiten: (vectors, count) =>
      byBlock(count, (posterior, places) => posterior.whiten(gathered(vectors, size, places), count)),
    sample: (count, random) => byBlock(count, posterior => posterior.sample(count, random)),
    logProb: theta => sum((posterior, places) => posterior.logProb(gathered(theta, size, places))),
    parts: once((): PosteriorParts => ({ kind: 'factors', blocks: blocks().flatMap(({ slots: own, posterior }) => {
      const parts = posterior.parts()
      return parts.kind === 'factors' ? parts.blocks.map(({ lower }) => ({ slots: own, lower })) : []
    }) })),
    lastLayerVariance: (features, examples, kind) =>
      lastLayerVariance({ kind: 'covariance', covariance: covariance() }, slots, features, examples, kind),
    spectrum: () => ({ values: blocks().flatMap(({ posterior }) => posterior.spectrum().values),
      byTensor: curvature.blocks.every(({ slots: own }) => own.length === 1) }),
  }
}

function covarianceOf({ posterior, places }: BlockPosterior): Float64Array {
  return posterior.covarianceTimes(identity(places.length), places.length)
}

/** The settings of some parameters: those that are given one a tensor or one a parameter are one for each of them. */
function settingsAt(settings: PosteriorSettings, slots: readonly ParameterSlot[],
  places: Int32Array): PosteriorSettings {
  const { priorPrecision, priorMean } = settings
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  const own = (values: Float64Array): Float64Array => gathered(values, size, places)
  return { ...settings, priorPrecision: typeof priorPrecision === 'number' || priorPrecision.length === 1
    ? priorPrecision
    : own(priorByParameter(settings, slots)), priorMean: typeof priorMean === 'number' ? priorMean : own(priorMean) }
}
