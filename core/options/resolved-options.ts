/** @file The options of a Laplace approximation, checked and completed with their defaults. */
import { DEFAULT_MEMORY_LIMIT } from '../budget/memory.js'
import { demand, tensorsOption, textOption } from '../errors/demand.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import type { Batch } from '../tensor/batch.js'
import { inFull } from '../tensor/sample-weights.js'
import { type ClassWeight, classWeightOf } from './class-weight.js'
import { checkCurvature, checkCustom, checkLikelihood, checkTunedCovariance, hasLinearModel } from './combinations.js'
import { givenSettings, type PosteriorSettings } from './hyperparameters.js'
import { smoothingOf } from './label-smoothing.js'
import { LAPLACE_OPTIONS, type LaplaceOptions, type PlainOptions } from './laplace-options.js'
import { checkNoise, commonNoise, type OutputNoise, outputNoiseOf } from './noise.js'
import { optionalWord, whole, word } from './option-values.js'
import type { SubnetworkChoice, TensorChoice } from './parameter-choice.js'
import { type FactoredStructure, factoredStructure, leavesPriorOpen, type PosteriorChoice, posteriorChoice,
  subnetworkOf } from './posterior-choice.js'
import { checkHeldOut, checkTuning, isBatch } from './tuning-options.js'
import { type BlockChoice, BLOCKS, type Calibration, CALIBRATIONS, type CurvatureKind, CURVATURES, type EngineName,
  ENGINES, KFAC_APPROXIMATIONS, type KfacApproximation, type Likelihood, LIKELIHOODS, POSITIONS, type Positions,
  type Precision, PRECISIONS, PRIOR_STRUCTURES, type PriorStructure, TUNE_METHODS, type TuneMethod } from './words.js'

/** Options with their defaults. */
export interface ResolvedOptions extends PosteriorChoice, OutputNoise {
  readonly likelihood: Likelihood
  readonly subnetwork: SubnetworkChoice | undefined
  readonly blocks: BlockChoice
  /** A curvature that is known by some of its rows; `structure` is then that of the sums beside it. */
  readonly factored: FactoredStructure | undefined
  /** Whether the structure was left open, so that a small last layer gets its whole covariance. */
  readonly structureOpen: boolean
  /** Whether nothing is said of the prior and its tuning. */
  readonly priorOpen: boolean
  readonly curvature: CurvatureKind
  readonly draws: number
  readonly kfacApprox: KfacApproximation
  readonly settings: Partial<PosteriorSettings>
  /** Whether the covariance of the outputs' noises is to be found by the evidence. */
  readonly tuneCovariance: boolean
  readonly roots: number | undefined
  /** Whether the logit is a difference of rewards: it is no probability, whatever the rows show. */
  readonly ofPairs?: boolean | undefined
  readonly labelSmoothing: number | undefined
  readonly classWeight: ClassWeight | undefined
  /** Undefined: not chosen, the default. */
  readonly tune: TuneMethod | undefined
  readonly priorStructure: PriorStructure
  /** Whether the noise is tuned with the prior. */
  readonly tuneNoise: boolean
  /** Held-out rows, or the share of the rows of the fit that are held out. */
  readonly validation: Batch | number | undefined
  readonly calibrate: Calibration | undefined
  readonly seed: number
  readonly engine: EngineName
  readonly precision: Precision | undefined
  readonly threads: number | undefined
  readonly input: string | undefined
  readonly output: string | undefined
  readonly lastLayerName: string | undefined
  readonly parameters: TensorChoice | undefined
  readonly freeze: TensorChoice | undefined
  readonly positions: Positions | undefined
  readonly classAxis: number | undefined
  readonly batchSize: number | undefined
  readonly memoryLimit: number
}

/**
 * Checks options.
 * @throws OptionError UNKNOWN_OPTION, BAD_OPTION, BAD_COMBINATION, each with what is allowed
 */
export function resolveOptions(given: LaplaceOptions): ResolvedOptions {
  knownOptions('laplace', given, LAPLACE_OPTIONS)
  const tuneCovariance = given.sigmaNoise === 'full'
  const options: PlainOptions = { ...given, structure: given.structure === 'gp' ? 'functional' : given.structure,
    sigmaNoise: given.sigmaNoise === 'full' ? undefined : given.sigmaNoise }
  tensorsOption('parameters', options.parameters)
  tensorsOption('freeze', options.freeze)
  const likelihood = oneOf('likelihood', options.likelihood, LIKELIHOODS)
  const factored = factoredStructure(options)
  const noise = outputNoiseOf(options)
  const own = { likelihood, classWeight: options.classWeight,
    noiseCovariance: tuneCovariance ? true : noise.noiseCovariance }
  const choice = posteriorChoice(options, hasLinearModel(own), factored)
  const chosen = { subset: choice.subset, structure: factored?.of ?? choice.structure }
  const tune = optionalWord('tune', options.tune, TUNE_METHODS)
  const priorStructure = word('priorStructure', options.priorStructure, PRIOR_STRUCTURES)
  checkTuning({ ...chosen, tune, priorStructure, linearModel: choice.linearModel,
    hasValidation: options.validation !== undefined })
  const calibrate = optionalWord('calibrate', options.calibrate, CALIBRATIONS)
  checkHeldOut(options, tune, calibrate)
  const curvature = word('curvature', options.curvature, CURVATURES)
  checkLikelihood(own, options)
  checkCustom(likelihood, options)
  checkCurvature(curvature, options, tune)
  if (tuneCovariance) checkTunedCovariance({ ...chosen, likelihood, curvature, tune })
  checkNoise(likelihood, options)
  return {
    likelihood,
    ...choice,
    subnetwork: subnetworkOf(options),
    blocks: word('blocks', options.blocks, BLOCKS),
    factored,
    structureOpen: options.structure === undefined,
    priorOpen: leavesPriorOpen(options),
    tune,
    priorStructure,
    curvature,
    draws: whole('draws', options.draws, 1) ?? 1,
    kfacApprox: word('kfacApprox', options.kfacApprox, KFAC_APPROXIMATIONS),
    settings: settingsOf(options, noise),
    ...noise,
    tuneCovariance,
    tuneNoise: likelihood === 'regression' && options.sigmaNoise === undefined && !tuneCovariance,
    roots: whole('roots', options.roots, 1),
    labelSmoothing: smoothingOf(options),
    classWeight: classWeightOf(options),
    validation: isBatch(options.validation) ? inFull(options.validation, 'validation') : options.validation,
    calibrate,
    ...computing(options),
    ...networkChoice(options),
  }
}

/** The options with the prior precision left to be tuned. */
export function withOpenPrior(
  { settings: { priorPrecision: _, ...settings }, ...options }: ResolvedOptions,
): ResolvedOptions {
  return { ...options, settings }
}

/** How it is computed. */
function computing(options: PlainOptions) {
  return {
    seed: whole('seed', options.seed, 0) ?? 0,
    engine: word('engine', options.engine, ENGINES),
    precision: optionalWord('precision', options.precision, PRECISIONS),
    threads: whole('threads', options.threads, 1),
    batchSize: whole('batchSize', options.batchSize, 1),
    memoryLimit: whole('memoryLimit', options.memoryLimit, 1) ?? DEFAULT_MEMORY_LIMIT,
  }
}

/** What is meant by the network: its input and output, its parameters, its positions. */
function networkChoice(options: PlainOptions) {
  return {
    input: textOption('input', options.input),
    output: textOption('output', options.output),
    lastLayerName: textOption('lastLayerName', options.lastLayerName),
    parameters: options.parameters,
    freeze: options.freeze,
    positions: optionalWord('positions', options.positions, POSITIONS),
    classAxis: axisOf(options),
  }
}

/** The settings that were given; noise in H is not noise of the posterior, which is 1. */
function settingsOf({ sigmaNoise, ...changes }: PlainOptions,
  { outputNoise }: OutputNoise): Partial<PosteriorSettings> {
  const noise = outputNoise !== undefined ? 1 : sigmaNoise === undefined ? undefined : commonNoise(sigmaNoise)
  return givenSettings({ ...changes, sigmaNoise: noise })
}

/** Counted from the end where it is negative; which axes there are is known with the network. */
function axisOf({ classAxis }: PlainOptions): number | undefined {
  demand(classAxis === undefined || Number.isInteger(classAxis), 'Option classAxis', 'the number of an axis', classAxis)
  return classAxis
}
