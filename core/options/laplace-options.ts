/** @file The options of a Laplace approximation, checked and completed with their defaults. */
import { DEFAULT_MEMORY_LIMIT } from '../budget/memory.js'
import { demand, isList, tensorsOption, textOption } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import type { Batch } from '../tensor/batch.js'
import { inFull } from '../tensor/sample-weights.js'
import { checkClassLikelihood, type ClassWeight } from './class-weight.js'
import { checkCurvature, checkCustom, checkLikelihood, checkTunedCovariance, hasLinearModel } from './combinations.js'
import type { PosteriorSettings } from './hyperparameters.js'
import { hasLogits } from './likelihood-kinds.js'
import { noiseCovariance } from './noise-covariance.js'
import type { SubnetworkChoice, TensorChoice } from './parameter-choice.js'
import { type BlockChoice, BLOCKS, type Calibration, CALIBRATIONS, type CurvatureKind, CURVATURES, type EngineName,
  ENGINES, KFAC_APPROXIMATIONS, type KfacApproximation, type Likelihood, LIKELIHOODS, POSITIONS, type Positions,
  type Precision, PRECISIONS, PRIOR_STRUCTURES, type PriorStructure, type Structure, STRUCTURES, type Subset,
  SUBSET_CHOICES, type SubsetChoice, type SumStructure, TUNE_METHODS, type TuneMethod } from './words.js'

/** What can be chosen of a Laplace approximation. Only the likelihood must be. */
export interface LaplaceOptions {
  readonly likelihood: Likelihood
  /**
   * Which parameters get a posterior. `auto`, the default: all weights by their linear model where that is small enough
   * and the network has derivatives, else the last layer's; the result says which and why.
   */
  readonly subset?: SubsetChoice | undefined
  /** The parameters of subset `subnetwork`, the only ones that are uncertain. */
  readonly subnetwork?: SubnetworkChoice | undefined
  /** One of `STRUCTURES`; `gp` is another word for `functional`. */
  readonly structure?: Structure | 'gp' | undefined
  /** Of structure `blockdiag`: a block a layer (its weight and bias together, the default) or a tensor. */
  readonly blocks?: BlockChoice | undefined
  /**
   * Of structure `lowrank` at the network's weights: a number of eigenvectors, or below 1 the share of the trace of H
   * that they have. Without it `lowrank` is the linear model over all weights at its own mode.
   */
  readonly rank?: number | undefined
  /** Of structure `functional`: examples drawn by the seed, whose rows are kept; all of them by default. */
  readonly nSubset?: number | undefined
  /**
   * Of structure `functional`: each output has a process of its own, by the diagonal of the likelihood's Hessian, and
   * nothing is known of what outputs have in common.
   */
  readonly independentOutputs?: boolean | undefined
  /**
   * Of structure `functional`: the kernel of Jacobians is approximated by their part in the span of the Jacobians of
   * `nSubset` examples, the landmarks, and the data of all rows count there (Nystroem; Deng, Zhou and Zhu 2022).
   * Directions outside of the span have no variance.
   */
  readonly nystroem?: boolean | undefined
  readonly curvature?: CurvatureKind | undefined
  /** Of curvature `mc_fisher`: labels that are drawn for each row; 1 by default. */
  readonly draws?: number | undefined
  /** How Kronecker factors treat positions that share a weight. */
  readonly kfacApprox?: KfacApproximation | undefined
  /**
   * One number, one per tensor, or one per parameter (not for kron). When it is given, nothing is tuned unless `tune`
   * is.
   */
  readonly priorPrecision?: number | ArrayLike<number> | undefined
  readonly priorMean?: number | ArrayLike<number> | undefined
  /**
   * Standard deviation of the observations (regression), one number or one an output; tuned when it is not given. Rows
   * of a matrix, C x C, are the covariance of the noises of the outputs, where these are correlated; `full` is the one
   * that maximises the evidence at the network's weights.
   */
  readonly sigmaNoise?: number | ArrayLike<number> | readonly ArrayLike<number>[] | 'full' | undefined
  readonly temperature?: number | undefined
  /** Of likelihood `custom`: the number K of columns of a root of Lambda; 1 by default. */
  readonly roots?: number | undefined
  /** Of classes and labels: the share of label smoothing, 0 to 1; loss and evidence are of the smoothed labels. */
  readonly labelSmoothing?: number | undefined
  /**
   * Of classification and binary: how much each class counts, one number a class, or `balanced`: N / (K N_c). The rows
   * get these weights.
   */
  readonly classWeight?: 'balanced' | ArrayLike<number> | undefined
  /** How the prior precision is tuned. */
  readonly tune?: TuneMethod | undefined
  readonly priorStructure?: PriorStructure | undefined
  /**
   * Rows that the network has not been trained on, or the share of the rows given to `fit` that are held out of it
   * (drawn by the seed; of use only where the network has not seen them). With them the prior is tuned by `validated`
   * unless told otherwise.
   */
  readonly validation?: Batch | number | undefined
  /** A baseline in place of the posterior's answer: the network with a temperature fitted to the held-out rows. */
  readonly calibrate?: Calibration | undefined
  readonly seed?: number | undefined
  readonly engine?: EngineName | undefined
  /** What the network is computed in; by default as its weights are. */
  readonly precision?: Precision | undefined
  /** By default as many as there are processors. */
  readonly threads?: number | undefined
  /** Which input and output to use, where the network has several. */
  readonly input?: string | undefined
  readonly output?: string | undefined
  /** The layer that is meant by subset 'last_layer': the name of a module, of a parameter or of a node. */
  readonly lastLayerName?: string | undefined
  /** The tensors that are parameters, in the order of theta: names, globs, indices. By default those of the network. */
  readonly parameters?: TensorChoice | undefined
  /** Parameters that keep their values and take no part: names, globs, indices. */
  readonly freeze?: TensorChoice | undefined
  /**
   * Of a network that answers at several positions of an example (tokens, pixels, times): `each` is a term of the
   * likelihood with a label of its own, the default; or the `first`, the `last` or the `mean` of all answers for the
   * example.
   */
  readonly positions?: Positions | undefined
  /**
   * The axis of such an output that holds the classes or outputs, the examples being axis 0; by default the one that
   * the labels fit, or that of the network's head.
   */
  readonly classAxis?: number | undefined
  /** Examples that are computed at once; by default as many as fit into the processor's caches. */
  readonly batchSize?: number | undefined
  /** Bytes that the posterior may need. */
  readonly memoryLimit?: number | undefined
}

/** A curvature that takes the rows of the data more than once: by some rows of its own, or in eigenbases. */
export type FactoredStructure =
  | { readonly of: 'functional', readonly nSubset: number | undefined, readonly independentOutputs: boolean,
    readonly nystroem: boolean }
  | { readonly of: 'lowrank', readonly rank: number }
  | { readonly of: 'ekfac' }

/** Options with their defaults. */
export interface ResolvedOptions {
  readonly likelihood: Likelihood
  /** Of the curvature that is summed; with `linearModel` the posterior of all weights comes from their linear model. */
  readonly subset: Subset
  /**
   * The subset in the user's words: a last layer with something behind it is `all` of a network that has no other
   * parameters.
   */
  readonly subsetName: Subset
  readonly subnetwork: SubnetworkChoice | undefined
  readonly structure: SumStructure
  readonly blocks: BlockChoice
  /** A curvature that is known by some of its rows; `structure` is then that of the sums beside it. */
  readonly factored: FactoredStructure | undefined
  /** Whether the structure was left open, so that a small last layer gets its whole covariance. */
  readonly structureOpen: boolean
  /** Whether nothing is said of the prior and its tuning. */
  readonly priorOpen: boolean
  /** The linear model over all weights: sought, and left where it is too large or impossible; demanded; or not used. */
  readonly linearModel: 'preferred' | 'required' | 'none'
  readonly curvature: CurvatureKind
  readonly draws: number
  readonly kfacApprox: KfacApproximation
  readonly settings: Partial<PosteriorSettings>
  /** Noises that were given one an output. They are part of H, and `settings.sigmaNoise` is 1. */
  readonly outputNoise: Float64Array | undefined
  /** Their covariance, C x C, where they are correlated; `outputNoise` has the roots of its diagonal. */
  readonly noiseCovariance: Float64Array | undefined
  /** Whether that covariance is to be found by the evidence. */
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

/** Options with the one word of each structure. */
type FullOptions = Omit<LaplaceOptions, 'structure' | 'sigmaNoise'> & {
  readonly structure?: Structure | undefined
  readonly sigmaNoise?: GivenNoise | undefined
}

type GivenNoise = Exclude<LaplaceOptions['sigmaNoise'], 'full' | undefined>

const KNOWN: readonly (keyof LaplaceOptions)[] = [
  'likelihood',
  'subset',
  'subnetwork',
  'structure',
  'blocks',
  'rank',
  'nSubset',
  'independentOutputs',
  'nystroem',
  'curvature',
  'draws',
  'kfacApprox',
  'priorPrecision',
  'priorMean',
  'sigmaNoise',
  'temperature',
  'roots',
  'labelSmoothing',
  'classWeight',
  'tune',
  'priorStructure',
  'validation',
  'calibrate',
  'seed',
  'engine',
  'precision',
  'threads',
  'input',
  'output',
  'lastLayerName',
  'parameters',
  'freeze',
  'positions',
  'classAxis',
  'batchSize',
  'memoryLimit',
]

/** A word of an option, or its default when the option is absent. */
function word<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  return value === undefined ? allowed[0] : oneOf(option, value, allowed)
}

/** Which posterior is meant: options that name neither subset nor structure nor prior leave it to the fit. */
function resolvePosterior(options: FullOptions, linear: boolean,
  factored: FactoredStructure | undefined): Pick<ResolvedOptions,
  'subset' | 'subsetName' | 'structure' | 'linearModel'> {
  const subset = word('subset', options.subset, SUBSET_CHOICES)
  const structure = options.structure === undefined ? undefined : oneOf('structure', options.structure, STRUCTURES)
  if (factored !== undefined || structure === 'functional' || structure === 'ekfac') {
    const name = subset === 'auto' ? structure === 'ekfac' ? 'last_layer' : 'all' : subset
    return { subset: name === 'subnetwork' ? 'all' : name, subsetName: name,
      structure: structure === 'ekfac' ? 'kron' : 'diag', linearModel: 'none' }
  }
  if (structure === 'lowrank') {
    if (subset === 'last_layer' || subset === 'subnetwork') {
      throw new OptionError('BAD_COMBINATION',
        "Structure 'lowrank' is the linear model over all weights; use subset 'all' (or 'auto'), or another structure.",
        { subset, structure })
    }
    return { subset: 'all', subsetName: 'all', structure: 'kron', linearModel: 'required' }
  }
  if (subset === 'subnetwork') {
    return { subset: 'all', subsetName: 'subnetwork', structure: structure ?? 'full', linearModel: 'none' }
  }
  const linearModel = structure === undefined && subset !== 'last_layer' && leavesPriorOpen(options) && linear
    ? 'preferred'
    : 'none'
  const own = subset === 'auto' ? 'last_layer' : subset
  const usual = options.curvature === 'hessian' ? 'full' : 'kron'
  return { subset: own, subsetName: own, structure: structure ?? usual, linearModel }
}

/** @throws OptionError BAD_OPTION, BAD_COMBINATION for what says more of a structure than it has */
function factoredOf({ structure, rank, nSubset, blocks, independentOutputs, nystroem }: FullOptions):
  | FactoredStructure
  | undefined {
  for (const [option, value] of Object.entries({ independentOutputs, nystroem })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw new OptionError('BAD_OPTION', `Option ${option} must be true or false; got ${shown(value)}.`, { option })
    }
    if (value !== true || structure === 'functional') continue
    throw new OptionError('BAD_COMBINATION',
      `Option ${option} is one of structure 'functional', a process over the outputs; others have none.`, { option })
  }
  if (nSubset !== undefined && structure !== 'functional') {
    throw new OptionError('BAD_COMBINATION',
      "Option nSubset is the number of examples that structure 'functional' keeps; others sum all of them.", {
      option: 'nSubset',
    })
  }
  if (blocks !== undefined && structure !== 'blockdiag') {
    throw new OptionError('BAD_COMBINATION',
      "Option blocks says what the blocks of structure 'blockdiag' are; other structures have none.", {
      option: 'blocks',
    })
  }
  if (rank !== undefined && structure !== 'lowrank') {
    throw new OptionError('BAD_COMBINATION', "Option rank is that of structure 'lowrank'; others have none.", {
      option: 'rank',
    })
  }
  if (structure === 'ekfac') return { of: 'ekfac' }
  if (structure === 'functional') {
    return { of: 'functional', nSubset: whole('nSubset', nSubset, 1), independentOutputs: independentOutputs === true,
      nystroem: nystroem === true }
  }
  if (rank === undefined) return undefined
  demand(typeof rank === 'number', 'Option rank', 'a whole number, or a share below 1', rank)
  if (rank > 0 && rank < 1) return { of: 'lowrank', rank }
  return { of: 'lowrank', rank: whole('rank', rank, 1) ?? 1 }
}

/** Counted from the end where it is negative; which axes there are is known with the network. */
function axisOf({ classAxis }: LaplaceOptions): number | undefined {
  demand(classAxis === undefined || Number.isInteger(classAxis), 'Option classAxis', 'the number of an axis', classAxis)
  return classAxis
}

/** @throws OptionError BAD_COMBINATION unless a subnetwork goes with its subset */
function subnetworkOf({ subset, subnetwork }: LaplaceOptions): SubnetworkChoice | undefined {
  if ((subset === 'subnetwork') === (subnetwork !== undefined)) return checkedSubnetwork(subnetwork)
  throw new OptionError('BAD_COMBINATION', subnetwork === undefined
    ? "Subset 'subnetwork' needs its parameters (option subnetwork): flat indices, names, or a number of them with "
      + 'what they are chosen by.'
    : "Option subnetwork says which parameters subset 'subnetwork' means; with another subset nothing would use it.", {
    option: 'subnetwork',
  })
}

function checkedSubnetwork(choice: SubnetworkChoice | undefined): SubnetworkChoice | undefined {
  const due = "indices or names of parameters, or { count, by: 'magnitude' | 'random' | scores }"
  demand(choice === undefined || typeof choice === 'object' && choice !== null, 'Option subnetwork', due, choice)
  if (choice === undefined || isList(choice)) return choice
  knownOptions('subnetwork', choice, ['count', 'by', 'seed'])
  demand('count' in choice && (choice.by === 'magnitude' || choice.by === 'random' || isList(choice.by)),
    'Option subnetwork', due, choice)
  whole('subnetwork.count', choice.count, 1)
  whole('subnetwork.seed', choice.seed, 0)
  return choice
}

/** Whether nothing is said of the prior and its tuning. */
function leavesPriorOpen(
  { tune, priorPrecision, priorMean, temperature, priorStructure, kfacApprox, curvature = 'ggn' }: LaplaceOptions,
): boolean {
  return curvature === 'ggn' && (tune === undefined || tune === 'auto' || tune === 'validated') &&
    priorPrecision === undefined
    && priorMean === undefined && temperature === undefined && (kfacApprox === undefined || kfacApprox === 'expand')
    && (priorStructure === undefined || priorStructure === 'scalar')
}

/**
 * Checks options.
 * @throws OptionError UNKNOWN_OPTION, BAD_OPTION, BAD_COMBINATION, each with what is allowed
 */
export function resolveOptions(given: LaplaceOptions): ResolvedOptions {
  knownOptions('laplace', given, KNOWN)
  const tuneCovariance = given.sigmaNoise === 'full'
  const options: FullOptions = { ...given, structure: given.structure === 'gp' ? 'functional' : given.structure,
    sigmaNoise: given.sigmaNoise === 'full' ? undefined : given.sigmaNoise }
  tensorsOption('parameters', options.parameters)
  tensorsOption('freeze', options.freeze)
  const likelihood = oneOf('likelihood', options.likelihood, LIKELIHOODS)
  const factored = factoredOf(options)
  const noise = noiseOf(options)
  const own = { likelihood, classWeight: options.classWeight,
    noiseCovariance: tuneCovariance ? true : noise.noiseCovariance }
  const { subset, structure, linearModel, subsetName } = resolvePosterior(options, hasLinearModel(own), factored)
  const tune = options.tune === undefined ? undefined : oneOf('tune', options.tune, TUNE_METHODS)
  const priorStructure = word('priorStructure', options.priorStructure, PRIOR_STRUCTURES)
  checkTuning(tune, priorStructure, factored?.of ?? structure, subset, options.validation !== undefined)
  const calibrate = options.calibrate === undefined ? undefined : oneOf('calibrate', options.calibrate, CALIBRATIONS)
  checkHeldOut(options, tune, calibrate)
  const curvature = word('curvature', options.curvature, CURVATURES)
  checkLikelihood(own, options)
  checkCustom(likelihood, options)
  checkCurvature(curvature, options, tune)
  if (tuneCovariance) {
    checkTunedCovariance({ likelihood, structure: factored?.of ?? structure, subset, curvature, tune })
  }
  if (likelihood !== 'regression' && options.sigmaNoise !== undefined && options.sigmaNoise !== 1) {
    throw new OptionError('BAD_COMBINATION',
      `Option sigmaNoise is the noise of regression; the likelihood ${likelihood} has none.`, { option: 'sigmaNoise',
      likelihood })
  }
  return {
    likelihood,
    subset,
    subsetName,
    subnetwork: subnetworkOf(options),
    structure,
    blocks: word('blocks', options.blocks, BLOCKS),
    factored,
    structureOpen: options.structure === undefined,
    priorOpen: leavesPriorOpen(options),
    linearModel,
    tune,
    priorStructure,
    curvature,
    draws: whole('draws', options.draws, 1) ?? 1,
    kfacApprox: word('kfacApprox', options.kfacApprox, KFAC_APPROXIMATIONS),
    settings: settingsOf(options, noise),
    ...noise,
    tuneCovariance,
    roots: whole('roots', options.roots, 1),
    labelSmoothing: smoothingOf(options),
    classWeight: classWeightOf(options),
    tuneNoise: likelihood === 'regression' && options.sigmaNoise === undefined && !tuneCovariance,
    validation: isBatch(options.validation) ? inFull(options.validation, 'validation') : options.validation,
    calibrate,
    seed: whole('seed', options.seed, 0) ?? 0,
    engine: word('engine', options.engine, ENGINES),
    precision: options.precision === undefined ? undefined : oneOf('precision', options.precision, PRECISIONS),
    threads: whole('threads', options.threads, 1),
    input: textOption('input', options.input),
    output: textOption('output', options.output),
    lastLayerName: textOption('lastLayerName', options.lastLayerName),
    parameters: options.parameters,
    freeze: options.freeze,
    positions: options.positions === undefined ? undefined : oneOf('positions', options.positions, POSITIONS),
    classAxis: axisOf(options),
    batchSize: whole('batchSize', options.batchSize, 1),
    memoryLimit: whole('memoryLimit', options.memoryLimit, 1) ?? DEFAULT_MEMORY_LIMIT,
  }
}

/** @throws OptionError BAD_COMBINATION for a way of tuning that does not exist or lacks what it needs */
export function checkTuning(tune: TuneMethod | undefined, priorStructure: PriorStructure, structure: Structure,
  subset: Subset, hasValidation: boolean): void {
  const refuse = (message: string): OptionError =>
    new OptionError('BAD_COMBINATION', message, { tune: tune ?? null, priorStructure, structure, subset })
  if (priorStructure === 'diagonal' && (structure === 'kron' || structure === 'ekfac')) {
    throw refuse(
      `A ${structure} posterior takes one prior precision, or one for each tensor; one for each parameter ` +
        '(priorStructure diagonal) needs structure full or diag.',
    )
  }
  if (priorStructure !== 'scalar' && (structure === 'functional' || structure === 'lowrank')) {
    throw refuse(
      `Tuning finds one prior precision of structure '${structure}'; give several, or tune them with structure `
        + "'kron', 'full' or 'diag'.",
    )
  }
  if ((tune === 'linearized' || tune === 'auto') && (structure === 'functional' || structure === 'ekfac')) {
    throw refuse(`Tuning '${tune}' is by the linear model; with structure '${structure}' use 'marglik', 'grid' with `
      + "held-out rows, or 'none'.")
  }
  if (tune === 'linearized' && subset === 'all') {
    throw refuse(
      "Tuning 'linearized' is for subset last_layer; for subset all use 'marglik', or 'grid' with validation data.",
    )
  }
  if (tune === 'linearized' && priorStructure === 'diagonal') {
    throw refuse(
      "Tuning 'linearized' finds one prior precision, or one for each tensor; use 'marglik' for one for each " +
        'parameter.',
    )
  }
  if (tune === 'grid' && priorStructure !== 'scalar') {
    throw refuse("Tuning 'grid' finds one prior precision; use 'marglik' for one for each tensor or parameter.")
  }
  if (tune === 'validated' && priorStructure !== 'scalar') {
    throw refuse("Tuning 'validated' finds one prior precision; use 'marglik' for one for each tensor or parameter.")
  }
  if (tune === 'validated' && !hasValidation) {
    throw refuse(
      "Tuning 'validated' chooses prior, mean and link by held-out examples: give validation: { x, y }, "
        + 'or a share of the rows '
        + "(validation: 0.1), or use 'auto'.",
    )
  }
  if (tune === 'grid' && !hasValidation) {
    throw refuse(
      "Tuning 'grid' chooses the prior precision by held-out examples: give validation: { x, y }, or use " +
        "'linearized' or 'marglik'.",
    )
  }
}

/** @throws OptionError for held-out rows that nothing would use, and for baselines without any */
function checkHeldOut({ validation, likelihood, priorPrecision, priorStructure, subset, structure }: FullOptions,
  tune: TuneMethod | undefined, calibrate: Calibration | undefined): void {
  if (typeof validation === 'number') {
    if (!(validation > 0 && validation < 1)) {
      throw new OptionError('BAD_OPTION',
        'Option validation as a share of the rows must lie between 0 and 1, both excluded (0.1 is usual); '
          + `got ${shown(validation)}.`, {
        option: 'validation',
        value: validation,
      })
    }
    const open = tune === undefined && priorPrecision === undefined
      && (priorStructure === undefined || priorStructure === 'scalar')
    if (!open && tune !== 'validated' && tune !== 'grid') {
      throw new OptionError('BAD_COMBINATION',
        `A share of the rows (validation ${validation}) is held out for tuning one prior precision by `
          + "'validated' or 'grid'; with these "
          + 'options nothing would use them. Leave validation out.', { option: 'validation' })
    }
  } else if (validation !== undefined && !isBatch(validation)) {
    throw new OptionError('BAD_OPTION',
      'Option validation must be held-out rows with their labels, { x, y }, or a share of the rows between 0 and 1.', {
      option: 'validation',
    })
  }
  if (calibrate === undefined) return
  if (!hasLogits(likelihood)) {
    const counterpart = likelihood === 'regression'
      ? 'Its counterpart, the noise of every output, is fitted to held-out rows (validation) without it: leave '
      : 'Leave '
    throw new OptionError('BAD_COMBINATION',
      `Temperature scaling divides logits; the likelihood ${likelihood} has none. ${counterpart}calibrate out.`, {
      option: 'calibrate',
      likelihood,
    })
  }
  if (validation === undefined || (tune !== undefined && tune !== 'validated') || priorPrecision !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      "Option calibrate 'temperature' fits the temperature to held-out rows: give validation: { x, y } "
        + '(or a share of the rows), and '
        + 'neither priorPrecision nor another way of tuning.', { option: 'calibrate' })
  }
  if (subset === 'all' && structure !== undefined && structure !== 'lowrank') {
    throw new OptionError('BAD_COMBINATION',
      `Temperature scaling is an answer of the linear model; structure '${structure}' of all weights has none. Leave `
        + "structure out, or use subset 'last_layer'.", { option: 'calibrate', structure })
  }
}

function isBatch(value: unknown): value is Batch {
  return typeof value === 'object' && value !== null && 'x' in value && 'y' in value
}

/** Whether the noise of a regression was given: one number, or one an output. */
export function givesNoise({ outputNoise, settings }: Pick<ResolvedOptions, 'outputNoise' | 'settings'>): boolean {
  return outputNoise !== undefined || settings.sigmaNoise !== undefined
}

function settingsOf(options: FullOptions, { outputNoise }: OwnNoise): Partial<PosteriorSettings> {
  const { priorPrecision, priorMean, sigmaNoise, temperature } = options
  return {
    ...(priorPrecision === undefined ? {} : { priorPrecision: numbers('priorPrecision', priorPrecision) }),
    ...(priorMean === undefined ? {} : { priorMean: numbers('priorMean', priorMean) }),
    ...(sigmaNoise === undefined ? {} : { sigmaNoise: outputNoise === undefined ? commonNoise(sigmaNoise) : 1 }),
    ...(temperature === undefined ? {} : { temperature: number('temperature', temperature) }),
  }
}

/** The noise that the posterior divides H by, which is that of all outputs. */
function commonNoise(sigmaNoise: GivenNoise): number {
  const given = numbers('sigmaNoise', sigmaNoise)
  return typeof given === 'number' ? given : given[0]
}

type OwnNoise = Pick<ResolvedOptions, 'outputNoise' | 'noiseCovariance'>

/** Noises that are part of H: one an output, or their covariance. */
function noiseOf({ sigmaNoise }: FullOptions): OwnNoise {
  const none = { outputNoise: undefined, noiseCovariance: undefined }
  if (sigmaNoise === undefined) return none
  if (isMatrix(sigmaNoise)) {
    const covariance = noiseCovariance(sigmaNoise)
    const size = sigmaNoise.length
    const outputNoise = Float64Array.from(sigmaNoise, (_, c) => Math.sqrt(covariance[c * (size + 1)]))
    return { outputNoise, noiseCovariance: covariance }
  }
  const given = numbers('sigmaNoise', sigmaNoise)
  if (typeof given === 'number' || given.length === 1) return none
  const wrong = given.findIndex(value => !(value >= 1e-100 && value <= 1e100))
  if (wrong < 0) return { ...none, outputNoise: given }
  throw new OptionError('BAD_OPTION',
    `Option sigmaNoise must be positive and finite (1e-100 to 1e100); got ${given[wrong]} at index ${wrong}.`, {
    option: 'sigmaNoise',
    value: given[wrong],
    index: wrong,
  })
}

function isMatrix(value: GivenNoise): value is readonly ArrayLike<number>[] {
  return Array.isArray(value) && value.length > 0 && typeof value[0] === 'object'
}

/** @throws OptionError BAD_OPTION, BAD_COMBINATION */
function smoothingOf({ labelSmoothing, likelihood }: LaplaceOptions): number | undefined {
  if (labelSmoothing === undefined || labelSmoothing === 0) return undefined
  if (!hasLogits(likelihood)) {
    throw new OptionError('BAD_COMBINATION',
      `Option labelSmoothing is for classes and labels; targets of the likelihood ${likelihood} are numbers.`, {
      option: 'labelSmoothing',
      likelihood,
    })
  }
  if (number('labelSmoothing', labelSmoothing) > 0 && labelSmoothing < 1) return labelSmoothing
  throw new OptionError('BAD_OPTION',
    `Option labelSmoothing is a share of the labels, from 0 to below 1; got ${shown(labelSmoothing)}.`, {
    option: 'labelSmoothing',
    value: labelSmoothing,
  })
}

/** @throws OptionError BAD_OPTION, BAD_COMBINATION */
function classWeightOf({ classWeight, likelihood, structure, rank }: LaplaceOptions): ClassWeight | undefined {
  if (classWeight === undefined) return undefined
  checkClassLikelihood(likelihood)
  if (structure === 'ekfac' || structure === 'functional' || rank !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      `Structure '${structure ?? 'lowrank'}' keeps its rows, which count whole times; with weights of classes `
        + "(classWeight) use structure 'kron', 'full' or 'diag'.", { option: 'classWeight',
      structure: structure ?? null })
  }
  if (classWeight === 'balanced') return classWeight
  demand(isList(classWeight), 'Option classWeight', "'balanced', or one number a class", classWeight)
  const list = numberList('classWeight', classWeight)
  const wrong = list.findIndex(value => value < 0)
  if (wrong < 0) return list
  throw new OptionError('BAD_OPTION',
    `Option classWeight: weights are not negative; that of class ${wrong} is ${list[wrong]}.`, {
    option: 'classWeight',
    value: list[wrong],
    index: wrong,
  })
}

/** One number, or an array of numbers as float64. @throws OptionError BAD_OPTION */
export function numbers(option: string, value: unknown): number | Float64Array {
  return typeof value === 'number' ? value : numberList(option, value)
}

/** @throws OptionError BAD_OPTION for what is no list of finite numbers, or empty */
function numberList(option: string, value: unknown): Float64Array {
  if (isList(value) && value.length > 0 && Array.from(value).every(entry => Number.isFinite(entry))) {
    return Float64Array.from(value as ArrayLike<number>)
  }
  throw new OptionError('BAD_OPTION', `Option ${option} must be a number or a list of numbers.`, { option })
}

/** The value of an option that is one number. @throws OptionError BAD_OPTION */
export function number(option: string, value: unknown): number {
  if (typeof value === 'number') return value
  throw new OptionError('BAD_OPTION', `Option ${option} must be a number; got ${typeof value}.`, { option })
}

function whole(option: string, value: number | undefined, least: number): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return value
  throw new OptionError('BAD_OPTION', `Option ${option} must be a whole number from ${least}; got ${shown(value)}.`, {
    option,
    value,
  })
}
