/**
 * @file Tunes the prior (and the noise) by the evidence of the linear model at its own mode (MacKay 1992; Antoran et
 * al., "Adapting the Linearised Laplace Model Evidence for Modern Deep Learning", ICML 2022).
 *
 * w(delta) = argmin s loss(f_lin(w)) + delta/2 |w - mu|^2 for the last layer's linear model, H its curvature there,
 * and the fixed point delta = gamma / |w - mu|^2 with gamma = sum l / (l + delta) over the eigenvalues l of s H; for
 * regression also sigma^2 = sum r^2 / (N C - gamma), not below a floor.
 */
import { breathe, shareOfRounds, shareReporter, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { denseMatrices, gathered } from '../curvature/blocks.js'
import type { Curvature } from '../curvature/curvature.js'
import { hessianFactor, onePrecision, type PosteriorSettings } from '../options/hyperparameters.js'
import type { PriorStructure, SumShape } from '../options/words.js'
import { boundedPrecision, HIGHEST_PRECISION, LOWEST_PRECISION } from './bounds.js'
import { type LinearMode, linearMode, type LinearObjective } from './linear-mode.js'
import type { LinearModel } from './linear-model.js'
import { conditionFloor, floorNote, targetFloor } from './noise-floor.js'
import { precisionInverse } from './precision-inverse.js'
import { asPriorPrecision, overParameters, type PriorGroup, priorGroups, squaredDeviations } from './prior-groups.js'
import { rotatedModes } from './rotated-mode.js'

/** What tuning by the evidence of the linear model is told. */
export interface LinearizedOptions {
  readonly shape: SumShape
  readonly priorStructure: PriorStructure
  readonly tuneNoise: boolean
  /** Prior mean, noise and temperature; the prior precision is what is sought. */
  readonly settings: PosteriorSettings
  /** The network's weights, from which the first mode is sought. */
  readonly start: Float64Array
  readonly work: WorkOptions
  /** Whether the rows are a sample of the data. */
  readonly sampled?: boolean
}

/** What it finds. */
export interface LinearizedFit {
  readonly settings: PosteriorSettings
  /** H at the linear mode. */
  readonly curvature: Curvature
  /** The linear mode w(delta) and the loss there. */
  readonly mode: Float64Array
  readonly loss: number
  /** gamma. */
  readonly effectiveParameters: number
  readonly notes: readonly string[]
}

const MOST_ROUNDS = 300
const USUAL_ROUNDS = 15
/**
 * Largest change of a logarithm in the last round; of large models, whose rounds take seconds, five digits are enough.
 */
const TOLERANCE = 1e-10
const LARGE_TOLERANCE = 1e-5
/** The same where the rows are a sample of the data: another sample would change the third digit. */
const SAMPLE_TOLERANCE = 1e-3
/** Multiplications of one product with the Hessian from which on a model is large. */
const LARGE = 1e7
/**
 * Largest step of the mode, relative to its size, after which it counts as found: of the last mode, and of the first.
 */
const FINAL_TOLERANCE = 1e-10
const FIRST_TOLERANCE = 0.03

/** One evaluation of the fixed-point map. */
interface Round {
  readonly point: Float64Array
  readonly mode: LinearMode
  /** Changes of the image below this are rounding. */
  readonly rounding: number
  readonly gamma: Float64Array
  readonly image: Float64Array
}

/**
 * The fixed point, sought from delta = 1; of a large model, from where it would be if the loss were quadratic.
 * @throws NumericalError NO_CONVERGENCE, CancelledError
 */
export async function tuneLinearized(model: LinearModel, options: LinearizedOptions): Promise<LinearizedFit> {
  const groups = priorGroups(options.priorStructure, model.slots)
  const floored = options.tuneNoise ? noiseFloor(model, groups, options.settings.temperature) : undefined
  const large = model.examples * model.size > LARGE
  const rotated = large && groups.length === 1 && options.settings.priorMean === 0 ?
    rotatedModes(model, options.start, options.sampled)
    : undefined
  let start = options.start
  let rounds = 0
  const onShare = shareReporter(options.work, 'tune')
  const evaluate = async (point: Float64Array, tolerance: number): Promise<Round> => {
    await breathe()
    throwIfCancelled(options.work.signal)
    onShare(shareOfRounds(rounds++, USUAL_ROUNDS))
    const settings = settingsAt(options, groups, point, floored)
    const found = await rotated?.modeAt(hessianFactor(settings), onePrecision(settings.priorPrecision), tolerance,
      options.work)
    const mode = found ??
      await linearMode(model, objectiveOf(model, groups, settings), start, tolerance, options.work.signal)
    if (found === undefined) start = mode.w
    const { gamma, rounding } = effectiveParameters(model, options.shape, groups, settings, mode)
    const squares = found === undefined ? squaredDeviations(groups, mode.w, settings) : [found.squaredNorm]
    const precision = gamma.map((value, g) => boundedPrecision(value / squares[g]))
    const noise = floored === undefined ? [] : [floored(precision, noiseVariance(model, mode, gamma))]
    const image = Float64Array.from([...precision.map(Math.log), ...noise.map(variance => 0.5 * Math.log(variance))])
    return { point, mode, gamma, image, rounding }
  }
  const first = new Float64Array(groups.length + (options.tuneNoise ? 1 : 0))
  if (rotated !== undefined) first[0] = Math.log(rotated.firstPrecision(hessianFactor(options.settings)))
  if (options.tuneNoise) first[groups.length] = Math.log(options.settings.sigmaNoise)
  const goal = large ? options.sampled === true ? SAMPLE_TOLERANCE : LARGE_TOLERANCE : TOLERANCE
  const { point, round } = await fixedPoint(first, goal, evaluate)
  // Another sample of the rows would change more than one more round does.
  const last = (options.sampled === true ? round : undefined) ??
    await evaluate(point, Math.max(FINAL_TOLERANCE, goal / 10))
  const edge = point.subarray(0, groups.length).some(value =>
    Math.exp(value) <= 2 * LOWEST_PRECISION || Math.exp(value) >= HIGHEST_PRECISION / 2
  )
  const settings = settingsAt(options, groups, last.point, floored)
  const notes = [
    ...(edge ? ['The prior precision ran to the edge of its range: the data say nothing about these weights.'] : []),
    ...(round !== undefined || edge ? [] : [`Tuning stopped after ${MOST_ROUNDS} rounds before it converged.`]),
    ...(floored !== undefined && atFloor(settings, floored) ? [floorNote(settings.sigmaNoise)] : []),
  ]
  return {
    settings,
    curvature: model.curvature(last.mode.f, options.shape),
    mode: last.mode.w,
    loss: last.mode.loss,
    effectiveParameters: last.gamma.reduce((a, b) => a + b, 0),
    notes,
  }
}

/**
 * The linear mode for given hyper-parameters, its curvature and gamma. @throws NumericalError NO_CONVERGENCE,
 * CancelledError
 */
export async function linearizedAt(model: LinearModel, shape: SumShape, settings: PosteriorSettings,
  start: Float64Array, { signal }: WorkOptions): Promise<LinearizedFit> {
  const groups = priorGroups('scalar', model.slots)
  const mode = await linearMode(model, objectiveOf(model, groups, settings), start, FINAL_TOLERANCE, signal)
  const { gamma } = effectiveParameters(model, shape, groups, settings, mode)
  return { settings, curvature: model.curvature(mode.f, shape), mode: mode.w, loss: mode.loss,
    effectiveParameters: gamma.reduce((a, b) => a + b, 0), notes: [] }
}

/**
 * sigma^2, from the precisions of the groups and the sigma^2 that is wanted: the same, or the floor where it is
 * larger.
 */
type NoiseFloor = (precision: Float64Array, wanted: number) => number

/** H is phi1' phi1 for every output, so that one block of it is enough. */
function noiseFloor(model: LinearModel, groups: readonly PriorGroup[], temperature: number): NoiseFloor {
  const { examples, outputs, size, width, indices } = model
  const least = targetFloor(model.meanSquare(), examples <= width)
  const condition = conditionFloor(width, model.gram(), false)
  return (precision, wanted) => {
    const perWeight = overParameters(groups, precision, size)
    const perInput = new Float64Array(width).fill(Infinity)
    for (let i = 0; i < outputs * width; i++) {
      perInput[i % width] = Math.min(perInput[i % width], perWeight[indices[i]])
    }
    const target = Math.max(wanted, least)
    const borne = condition(perInput, target * temperature)
    return borne > target * temperature ? borne / temperature : target
  }
}

/** Whether a slightly smaller noise would be raised. */
function atFloor({ priorPrecision, sigmaNoise }: PosteriorSettings, floored: NoiseFloor): boolean {
  const smaller = sigmaNoise * sigmaNoise * (1 - 1e-6)
  return floored(typeof priorPrecision === 'number' ? Float64Array.of(priorPrecision) : priorPrecision, smaller) >
    smaller
}

function settingsAt({ settings, tuneNoise }: LinearizedOptions, groups: readonly PriorGroup[], point: Float64Array,
  floored: NoiseFloor | undefined): PosteriorSettings {
  const precision = point.subarray(0, groups.length).map(Math.exp)
  const priorPrecision = asPriorPrecision(precision)
  if (!tuneNoise || floored === undefined) return { ...settings, priorPrecision }
  const sigmaNoise = Math.exp(point[groups.length])
  const variance = floored(precision, sigmaNoise * sigmaNoise)
  return { ...settings, priorPrecision,
    sigmaNoise: variance > sigmaNoise * sigmaNoise ? Math.sqrt(variance) : sigmaNoise }
}

function objectiveOf(model: LinearModel, groups: readonly PriorGroup[], settings: PosteriorSettings): LinearObjective {
  const { priorPrecision, priorMean } = settings
  const precision = overParameters(groups, typeof priorPrecision === 'number' ? [priorPrecision] : priorPrecision,
    model.size)
  return { scale: hessianFactor(settings), precision,
    priorMean: typeof priorMean === 'number' ? new Float64Array(model.size).fill(priorMean) : priorMean }
}

/** gamma of every group: n_g - delta_g times the trace of P^-1 over it. */
function effectiveParameters(model: LinearModel, shape: SumShape, groups: readonly PriorGroup[],
  settings: PosteriorSettings, { f }: LinearMode): { gamma: Float64Array, rounding: number } {
  const { priorPrecision } = settings
  const scale = hessianFactor(settings)
  const delta = typeof priorPrecision === 'number' ? [priorPrecision] : priorPrecision
  const { structure } = shape
  if (structure === 'full' || structure === 'blockdiag') {
    const perWeight = overParameters(groups, delta, model.size)
    const variances = new Float64Array(model.size)
    let most = 0
    for (const { places, matrix } of denseMatrices(model.curvature(f, shape), model.slots) ?? []) {
      const size = places.length
      const { inverse, rounding } = precisionInverse(matrix, size, scale, gathered(perWeight, model.size, places))
      for (let i = 0; i < size; i++) variances[places[i]] = inverse[i * size + i]
      most = Math.max(most, rounding)
    }
    const gamma = Float64Array.from(groups, ({ from, to }, g) => {
      let trace = 0
      for (let i = from; i < to; i++) trace += variances[i]
      return to - from - delta[g] * trace
    })
    return { gamma, rounding: most }
  }
  const gamma = new Float64Array(groups.length)
  model.spectrum(f, structure).forEach(({ outputs, inputs }, tensor) => {
    const g = groups.length === 1 ? 0 : tensor
    for (const output of outputs) {
      for (const input of inputs) gamma[g] += scale * output * input / (scale * output * input + delta[g])
    }
  })
  return { gamma, rounding: 0 }
}

/** sigma^2 = sum r^2 / (N C - gamma): the loss of regression is half the sum of squares. */
function noiseVariance(model: LinearModel, { loss }: LinearMode, gamma: Float64Array): number {
  const freedom = Math.max(1, model.examples * model.outputs - gamma.reduce((a, b) => a + b, 0))
  return 2 * loss / freedom
}

/**
 * x = map(x) by Anderson's method of depth 1 (for one unknown: the secant method), which falls back to a plain step
 * whenever the residual has grown. `map` gets the precision that its inner search needs. The round is the one that
 * ended the search; there is none where it did not converge.
 */
async function fixedPoint(start: Float64Array, goal: number,
  map: (point: Float64Array, tolerance: number) => Promise<Round>
): Promise<{ point: Float64Array, round: Round | undefined }> {
  let before: { image: Float64Array, residual: Float64Array } | undefined
  let point = start
  let smallest = Infinity
  let tolerance = FIRST_TOLERANCE
  let last: Round | undefined
  for (let round = 0; round < MOST_ROUNDS; round++) {
    last = await map(point, tolerance)
    const { image, rounding } = last
    const residual = image.map((value, i) => value - point[i])
    const size = residual.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    if (size <= Math.max(goal, rounding)) return { point: image, round: last }
    // A Newton step leaves an error far below its own length, so that the mode follows the residual.
    tolerance = Math.min(FIRST_TOLERANCE, Math.max(FINAL_TOLERANCE, 0.1 * size))
    const grown = size > smallest
    smallest = Math.min(smallest, size)
    point = grown || before === undefined ? image : mixed(image, residual, before)
    before = { image, residual }
  }
  return { point, round: undefined }
}

/** What is added to the logarithm of a precision beyond a plain step is below this, or below ten plain steps. */
const LONGEST_JUMP = 1

/**
 * (1 - theta) image + theta image_before, with theta from the residuals; never far from the plain step. Where the data
 * hardly tell the precision, plain steps shrink by a hundredth each, so that the fixed point is a hundred of them away.
 */
function mixed(image: Float64Array, residual: Float64Array,
  before: { image: Float64Array, residual: Float64Array }): Float64Array {
  let numerator = 0
  let denominator = 0
  for (let i = 0; i < image.length; i++) {
    const change = residual[i] - before.residual[i]
    numerator += residual[i] * change
    denominator += change * change
  }
  const theta = denominator > 0 ? numerator / denominator : 0
  const point = image.map((value, i) => value - theta * (value - before.image[i]))
  const jump = point.reduce((most, value, i) => Math.max(most, Math.abs(value - image[i])), 0)
  return Math.abs(theta) < 10 || jump < LONGEST_JUMP ? point : image
}
