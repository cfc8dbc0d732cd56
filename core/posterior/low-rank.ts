/**
 * @file Low-rank posterior over all weights at the mode of the linear model: P^-1 = (I - U'U) / delta, where the rows
 * of U are the leading eigenvectors of the data's curvature with eigenvalue l, scaled by sqrt(l / (l + delta)). It
 * holds no training row. A regression of several outputs has one such posterior an output, with its own delta and
 * noise. Where the prior has a mean and scales D of its own, P^-1 = D (I - U'U) D / delta: U is that of the
 * standardised weights.
 */
import type { LowRankCurvature, LowRankModel } from '../curvature/curvature.js'
import { standardised, timesScale } from '../curvature/scaled-jacobian.js'
import { InternalError, OptionError } from '../errors/errors.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { joined } from '../tensor/joined.js'
import type { RandomGenerator } from '../tensor/random.js'
import { applied, shares } from './applied.js'
import { lowRankPart } from './low-rank-outputs.js'
import { checkSettings, deviation, logDensity, once, type StructuredPosterior } from './posterior.js'

/**
 * The posterior of a low-rank curvature.
 * @param theta the network's own weights, P
 */
export function lowRankPosterior(curvature: LowRankCurvature, slots: readonly ParameterSlot[], theta: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  checkSettings(settings, slots, 'lowrank')
  const { size, prior, models } = curvature
  const model = single(curvature)
  const shared = (): ScaledModel => ({ ...model ?? refuseShared(curvature), scale: prior?.scale })
  const logScales = prior?.scale.reduce((sum, value) => sum + Math.log(value), 0) ?? 0
  const logDetPrior = (): number => models.reduce((sum, { delta }) => sum + size * Math.log(delta) - 2 * logScales, 0)
  const mean = model?.weights ?? theta
  return {
    structure: 'lowrank',
    size,
    slots,
    curvature,
    mean,
    settings,
    withSettings: changes => {
      refuseFixed(curvature, settings, changes)
      return withSettings(curvature, slots, theta, { ...settings, ...changes })
    },
    logDetPrecision: () => models.reduce((sum, { logDetRatio }) => sum + logDetRatio, logDetPrior()),
    logDetPrior,
    scatter: () => {
      const distance = prior === undefined ? deviation(theta, settings) : standardised(theta, prior)
      const square = distance.reduce((sum, value) => sum + value * value, 0)
      return models.reduce((sum, { delta }) => sum + delta * square, 0)
    },
    posteriorVariance: () => variances(shared(), size),
    marginals: () => ({ means: joined(models.map(({ weights }) => weights.slice())),
      variances: joined(models.map(own => variances({ ...own, scale: prior?.scale }, size))) }),
    precisionMatrix: () => precisionMatrix(shared(), size),
    covarianceTimes: (vectors, count) => covarianceTimes(shared(), size, vectors, count),
    whiten: (vectors, count) => whiten(shared(), size, vectors, count),
    sample: (count, random) => draw(shared(), size, count, random),
    logProb: point => logProb(shared(), size, point),
    parts: once(() => ({ kind: 'lowrank', parts: models.map(own => lowRankPart(own, slots, theta, prior?.scale)) })),
    lastLayerVariance: () => {
      throw new InternalError('A low-rank posterior is over all weights.')
    },
    spectrum: () => ({ values: [spectrum(shared(), size)], byTensor: false }),
  }
}

function single({ models }: LowRankCurvature): LowRankModel | undefined {
  return models.length === 1 ? models[0] : undefined
}

function refuseShared({ models }: LowRankCurvature): never {
  throw new OptionError('BAD_COMBINATION',
    `Each of the ${models.length} outputs has a posterior over the weights of its own (its own prior and noise), so `
      + "that there is no joint one to draw weights from. Ask for functional samples, or fit structure 'kron'.", {
    outputs: models.length,
  })
}

/** What the mode of a linear model hangs on, and each output's own precision, cannot be changed after the fit. */
function refuseFixed({ models }: LowRankCurvature, { priorMean, priorPrecision }: PosteriorSettings,
  changes: Partial<PosteriorSettings>): void {
  if (changes.priorMean !== undefined && changes.priorMean !== priorMean) {
    throw new OptionError('BAD_COMBINATION',
      'A low-rank posterior lies at the mode of its own prior, whose mean cannot be changed: fit again with priorMean.',
      { option: 'priorMean' })
  }
  if (models.length > 1 && changes.priorPrecision !== undefined && changes.priorPrecision !== priorPrecision) {
    throw new OptionError('BAD_COMBINATION',
      `Each of the ${models.length} outputs has a prior precision of its own, which one number cannot change: fit `
        + 'again with priorPrecision.', { option: 'priorPrecision', outputs: models.length })
  }
}

/** delta (I - U'U)^-1 under another prior precision: the eigenvalues l stay, their shares l / (l + delta) change. */
function withSettings(curvature: LowRankCurvature, slots: readonly ParameterSlot[], theta: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  const [first] = curvature.models
  const { priorPrecision } = settings
  if (typeof priorPrecision !== 'number' && priorPrecision.length > 1) {
    throw new OptionError('BAD_OPTION', 'A low-rank posterior takes one prior precision.', { option: 'priorPrecision' })
  }
  const delta = typeof priorPrecision === 'number' ? priorPrecision : priorPrecision[0]
  const changed = curvature.models.length === 1 && delta !== first.delta ? [withDelta(first, delta)] : curvature.models
  return lowRankPosterior({ ...curvature, models: changed }, slots, theta, settings)
}

function withDelta(model: LowRankModel, delta: number): LowRankModel {
  const rows = model.rows.slice()
  const size = rows.length / Math.max(1, model.rank)
  let logDetRatio = 0
  shares(model).forEach((share, k) => {
    const l = model.delta * share / (1 - share)
    const scale = Math.sqrt(l / (l + delta) / share)
    for (let i = k * size; i < (k + 1) * size; i++) rows[i] *= scale
    logDetRatio += Math.log1p(l / delta)
  })
  return { ...model, delta, rows, logDetRatio }
}

function spectrum(model: LowRankModel, size: number): Float64Array {
  const values = new Float64Array(size)
  shares(model).forEach((share, k) => {
    values[k] = model.delta * share / (1 - share)
  })
  return values
}

/** A model with the prior's scales D. */
interface ScaledModel extends LowRankModel {
  readonly scale: Float64Array | undefined
}

/** V D for the rows of V. */
function inUnits({ scale }: ScaledModel, vectors: Float64Array): Float64Array {
  return scale === undefined ? vectors : timesScale(vectors, scale)
}

function variances(model: ScaledModel, size: number): Float64Array {
  const { rank, rows, delta } = model
  const result = new Float64Array(size).fill(1)
  for (let k = 0; k < rank; k++) for (let i = 0; i < size; i++) result[i] -= rows[k * size + i] ** 2
  return inUnits(model, inUnits(model, result.map(value => Math.max(0, value) / delta)))
}

function covarianceTimes(model: ScaledModel, size: number, vectors: Float64Array, count: number): Float64Array {
  return inUnits(model,
    applied(model, size, inUnits(model, vectors), count, share => -share).map(value => value / model.delta))
}

/** V (I - U'U)^1/2 / delta^1/2. */
function rootTimes(model: LowRankModel, size: number, vectors: Float64Array, count: number): Float64Array {
  const root = Math.sqrt(model.delta)
  return applied(model, size, vectors, count, share => Math.sqrt(1 - share) - 1).map(value => value / root)
}

function whiten(model: ScaledModel, size: number, vectors: Float64Array, count: number): Float64Array {
  return rootTimes(model, size, inUnits(model, vectors), count)
}

function precisionMatrix(model: ScaledModel, size: number): Float64Array {
  const { scale } = model
  const inverse = new Float64Array(size * size)
  for (let i = 0; i < size; i++) inverse[i * size + i] = 1 / (scale?.[i] ?? 1)
  return applied(model, size, inverse, size, share => share / (1 - share)).map((value, i) =>
    value * model.delta / (scale?.[i % size] ?? 1)
  )
}

function draw(model: ScaledModel, size: number, count: number, random: RandomGenerator): Float64Array {
  const result = inUnits(model, rootTimes(model, size, random.fillNormal(new Float64Array(count * size)), count))
  for (let n = 0; n < count; n++) for (let i = 0; i < size; i++) result[n * size + i] += model.weights[i]
  return result
}

function logProb(model: ScaledModel, size: number, point: Float64Array): number {
  const { scale, weights, delta } = model
  const distance = point.map((value, i) => (value - weights[i]) / (scale?.[i] ?? 1))
  const image = applied(model, size, distance, 1, share => share / (1 - share))
  const quadratic = delta * distance.reduce((sum, value, i) => sum + value * image[i], 0)
  const logScales = scale?.reduce((sum, value) => sum + Math.log(value), 0) ?? 0
  const logDet = size * Math.log(delta) - 2 * logScales +
    shares(model).reduce((sum, share) => sum - Math.log1p(-share), 0)
  return logDensity(size, logDet, quadratic)
}
