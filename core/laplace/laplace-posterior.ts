/** @file A fitted Laplace approximation: what it knows, and what can be asked of it. */
import { checkBytes } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import { chosenEngine } from '../engine/chosen-engine.js'
import { ShapeError, StateError } from '../errors/errors.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { graphDigest } from '../network/digest.js'
import { prepareNetwork } from '../network/network.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { checkTuning } from '../options/laplace-options.js'
import { type Likelihood, LINKS, type Predictive, PREDICTIVES, PRIOR_STRUCTURES, type Structure, type Subset,
  TUNE_METHODS, type TuneMethod } from '../options/words.js'
import { createWorkerPool } from '../parallel/worker-pool.js'
import { type CurvatureMatrix, curvatureMatrix, describeSlots, precisionOf } from '../posterior/curvature-matrix.js'
import { type DataFit, type EvidenceMode, logDetRatio, logLikelihood } from '../posterior/evidence.js'
import { priorByParameter, priorScatter, type StructuredPosterior } from '../posterior/posterior.js'
import { createEvaluator } from '../programs/evaluator.js'
import { writePosterior } from '../storage/posterior-file.js'
import { randomGenerator } from '../tensor/random.js'
import { float64, formatShape, type Tensor, toFloat64 } from '../tensor/tensor.js'
import { jointGaussian, outputGaussian, type PredictionContext } from './output-gaussian.js'
import { PREDICT_OPTIONS, type PredictOptions, PRIOR_CHANGES, type PriorChanges, settingsFrom, TUNE_OPTIONS,
  type TuneOptions, wholeCount } from './posterior-options.js'
import { type PosteriorState, recordOf } from './posterior-state.js'
import { asArray, type PosteriorSummary } from './posterior-summary.js'
import { predictGlm, type Prediction, predictWithSampledWeights } from './prediction.js'
import { outputSamples } from './sampling.js'
import { type TuneData, tunePosterior } from './tune.js'

/** Who evaluates the network. */
type Place = Pick<PredictionContext, 'evaluator' | 'pool'>

/** The posterior N(mean, P^-1) over a network's weights. It never changes: new hyper-parameters make a new one. */
export class LaplacePosterior {
  /** For the library's own use. */
  readonly state: PosteriorState
  private readonly model: LikelihoodModel
  private networkDigest: string | undefined
  private otherPlace: Place & { readonly size: string } | undefined

  constructor(state: PosteriorState) {
    this.state = state
    this.model = likelihoodModel(state.options.likelihood)
  }

  get likelihood(): Likelihood {
    return this.state.options.likelihood
  }
  get subset(): Subset {
    return this.state.options.subset
  }
  get structure(): Structure {
    return this.state.options.structure
  }
  get seed(): number {
    return this.state.options.seed
  }
  get outputs(): number {
    return this.state.evaluator.network.outputs
  }
  get parameterCount(): number {
    return this.state.structured.size
  }
  get notes(): readonly string[] {
    return this.state.notes
  }
  get examples(): number {
    return this.state.examples
  }
  /** Loss at the network's weights. */
  get loss(): number {
    return this.state.loss
  }
  get tuned(): TuneMethod {
    return this.state.tuned
  }
  /** gamma, where tuning has found it: how many parameters the data determine. */
  get effectiveParameters(): number | undefined {
    return this.state.effectiveParameters
  }
  /** The network's weights in the subset, P. */
  get mean(): Float64Array {
    return this.state.structured.mean
  }
  get priorPrecision(): number | Float64Array {
    return this.settings.priorPrecision
  }
  /** One for each parameter. */
  get priorPrecisionDiag(): Float64Array {
    return priorByParameter(this.settings, this.state.structured.slots)
  }
  get priorMean(): number | Float64Array {
    return this.settings.priorMean
  }
  get sigmaNoise(): number {
    return this.settings.sigmaNoise
  }
  get temperature(): number {
    return this.settings.temperature
  }
  /** SHA-256 of the network. */
  get digest(): string {
    return this.networkDigest ??= graphDigest(this.state.graph)
  }

  private get settings(): PosteriorSettings {
    return this.state.structured.settings
  }
  private get data(): DataFit {
    return { likelihood: this.model, loss: this.state.mode?.loss ?? this.state.loss, examples: this.state.examples,
      outputs: this.outputs }
  }

  /** The data term of the Hessian, without noise, temperature and prior. */
  get H(): CurvatureMatrix {
    return curvatureMatrix(this.state.structured.curvature)
  }
  get posteriorPrecision(): CurvatureMatrix {
    return precisionOf(this.state.structured)
  }
  /** log p(D | theta): at the network's weights, or where the linear model has its mode. */
  get logLikelihood(): number {
    return logLikelihood(this.data, this.settings)
  }
  /** (theta - mu0)' P0 (theta - mu0). */
  get scatter(): number {
    return scatterOf(this.state.structured, this.state.mode)
  }
  get logDetPosteriorPrecision(): number {
    return this.state.structured.logDetPrecision()
  }
  get logDetPriorPrecision(): number {
    return this.state.structured.logDetPrior()
  }
  get logDetRatio(): number {
    return logDetRatio(this.state.structured)
  }

  /**
   * log p(D) = log p(D | theta) - 1/2 (log|P| - log|P0| + scatter), also for other hyper-parameters.
   * @throws OptionError BAD_OPTION; NumericalError NOT_POSITIVE_DEFINITE
   */
  logMarginalLikelihood(changes: Pick<PriorChanges, 'priorPrecision' | 'sigmaNoise'> = {}): number {
    const structured = this.state.structured.withSettings(settingsFrom(changes))
    return logLikelihood(this.data, structured.settings) -
      0.5 * (logDetRatio(structured) + scatterOf(structured, this.state.mode))
  }

  /** The diagonal of P^-1. */
  posteriorVariance(): Float64Array {
    return this.state.structured.posteriorVariance()
  }

  /** P^-1, P x P. @throws ResourceError OUT_OF_MEMORY */
  posteriorCovariance(): Tensor {
    const { size } = this.state.structured
    checkBytes('The dense covariance', 24 * size * size, 'Use posteriorVariance, or a smaller subset.')
    const identity = new Float64Array(size * size)
    for (let i = 0; i < size; i++) identity[i * size + i] = 1
    return float64([size, size], this.state.structured.covarianceTimes(identity, size))
  }

  /** Draws of the weights, count x P. */
  sample(count: number, { seed = this.seed }: { readonly seed?: number } = {}): Tensor {
    checkBytes('The sampled weights', 16 * count * this.parameterCount, 'Draw fewer samples at a time.')
    return float64([wholeCount('count', count), this.parameterCount],
      this.state.structured.sample(count, randomGenerator(seed)))
  }

  /** Log density at theta: P, or S x P. @returns S numbers */
  logProb(theta: Tensor): Tensor {
    const size = this.parameterCount
    if (theta.shape[theta.shape.length - 1] !== size || theta.shape.length > 2) {
      throw new ShapeError(
        `theta must have ${size} numbers a row, one for each parameter of the posterior; it is ${
          formatShape(theta.shape)
        }.`,
        { expected: ['S', size], actual: theta.shape },
      )
    }
    const values = toFloat64(theta)
    const count = values.length / size
    return float64([count],
      Array.from({ length: count }, (_, s) => this.state.structured.logProb(values.subarray(s * size, (s + 1) * size))))
  }

  /** Outputs (N x C) and J P^-1 J': N x C x C, or (N C) x (N C) with `joint`. */
  async functionalVariance(x: Tensor, { joint = false }: { readonly joint?: boolean | undefined } = {},
    work: WorkOptions = {}): Promise<{ mean: Tensor, covariance: Tensor }> {
    const context = this.context(x, () => undefined)
    const { f, variance, examples } = joint
      ? await jointGaussian(context, x)
      : await outputGaussian(context, x, 'covariance', work)
    const shape = joint ? [examples * this.outputs, examples * this.outputs] : [examples, this.outputs, this.outputs]
    return { mean: float64([examples, this.outputs], f), covariance: float64(shape, variance) }
  }

  /**
   * Predictions for rows of inputs.
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  async predict(x: Tensor, options: PredictOptions = {}, work: WorkOptions = {}): Promise<Prediction> {
    knownOptions('predict', options, PREDICT_OPTIONS)
    const link = options.link === undefined ? 'probit' : oneOf('link', options.link, LINKS)
    const predictive = options.predictive === undefined ? 'glm' : oneOf('predictive', options.predictive, PREDICTIVES)
    const notes: string[] = []
    const request = {
      link,
      likelihood: this.model,
      sigmaNoise: this.sigmaNoise,
      seed: options.seed ?? this.seed,
      samples: options.samples === undefined ? undefined : wholeCount('samples', options.samples),
      joint: options.joint === true,
      covariance: options.covariance === true,
      uncertainty: options.uncertainty !== false,
    }
    const context = this.context(x, sentence => {
      notes.push(sentence)
    })
    return predictive === 'glm'
      ? predictGlm(context, x, request, notes, work)
      : predictWithSampledWeights(context, x, request, notes, work)
  }

  /** The plain network: logits or means, N x C. */
  async forward(x: Tensor, work: WorkOptions = {}): Promise<Tensor> {
    const { f, examples } = await outputGaussian(this.context(x, () => undefined), x, 'none', work)
    return float64([examples, this.outputs], f)
  }

  /** Draws of the raw outputs, count x N x C. */
  async functionalSamples(x: Tensor, count: number,
    options: { readonly seed?: number | undefined, readonly predictive?: Predictive | undefined } = {},
    work: WorkOptions = {}): Promise<Tensor> {
    const predictive = options.predictive === undefined ? 'glm' : oneOf('predictive', options.predictive, PREDICTIVES)
    return outputSamples(this.context(x, () => undefined), x, wholeCount('count', count), options.seed ?? this.seed,
      predictive, work)
  }

  /** Draws of predictions: probabilities, or means for regression; count x N x C. */
  async predictiveSamples(x: Tensor, count: number,
    options: { readonly seed?: number | undefined, readonly predictive?: Predictive | undefined } = {},
    work: WorkOptions = {}): Promise<Tensor> {
    const samples = await this.functionalSamples(x, count, options, work)
    const [draws, examples, outputs] = samples.shape
    return float64(samples.shape, this.model.inverseLink(toFloat64(samples), draws * examples, outputs))
  }

  /** The posterior of the same data under other hyper-parameters. @throws OptionError BAD_OPTION */
  withPrior(changes: PriorChanges): LaplacePosterior {
    knownOptions('withPrior', changes, PRIOR_CHANGES)
    return new LaplacePosterior({ ...this.state, structured: this.state.structured.withSettings(settingsFrom(changes)),
      tuned: 'none', effectiveParameters: undefined })
  }

  /**
   * The posterior with the prior (and noise) tuned: by `linearized` where there are training data and a last layer, else by `marglik`.
   * @throws OptionError BAD_COMBINATION; StateError when this posterior was tuned by `linearized` and loaded from a file
   */
  async tune(options: TuneOptions = {}, data: TuneData = {}, work: WorkOptions = {}): Promise<LaplacePosterior> {
    knownOptions('tune', options, TUNE_OPTIONS)
    const tune = options.tune === undefined
      ? (data.data !== undefined && this.subset === 'last_layer' ? 'linearized' : 'marglik')
      : oneOf('tune', options.tune, TUNE_METHODS)
    const priorStructure = options.priorStructure === undefined
      ? 'scalar'
      : oneOf('priorStructure', options.priorStructure, PRIOR_STRUCTURES)
    checkTuning(tune, priorStructure, this.structure, this.subset, data.validation !== undefined)
    if (tune === 'none') return this
    if (this.state.fitted === undefined && tune !== 'linearized') {
      throw new StateError('DIGEST_MISMATCH',
        `This posterior was tuned by 'linearized' and saved; its curvature at the network's own weights, which '${tune}' needs, was not kept. Fit again with tune: '${tune}'.`,
        { tune })
    }
    const request = { tune, priorStructure, tuneNoise: this.likelihood === 'regression' && options.sigmaNoise === true,
      schedule: options.schedule }
    return new LaplacePosterior(await tunePosterior(this.state, request, data, work))
  }

  /** The posterior as bytes, with its network unless told otherwise. */
  save({ network = true }: { readonly network?: boolean | undefined } = {}): Uint8Array {
    return writePosterior(recordOf(this.state, this.digest, network))
  }

  summary(): PosteriorSummary {
    const { likelihood, subset, structure, curvature, seed } = this.state.options
    const { priorPrecision, priorMean, sigmaNoise, temperature } = this.settings
    return {
      likelihood,
      subset,
      structure,
      curvature,
      seed,
      sigmaNoise,
      temperature,
      outputs: this.outputs,
      parameterCount: this.parameterCount,
      examples: this.examples,
      loss: this.loss,
      logLikelihood: this.logLikelihood,
      logMarginalLikelihood: this.logMarginalLikelihood(),
      priorPrecision: asArray(priorPrecision),
      priorMean: asArray(priorMean),
      tuned: this.tuned,
      effectiveParameters: this.effectiveParameters,
      precision: this.state.evaluator.precision,
      engine: this.state.evaluator.engine.name,
      notes: this.notes,
      digest: this.digest,
      parameters: describeSlots(this.state.structured.slots),
    }
  }

  private context(x: Tensor, note: (sentence: string) => void): PredictionContext {
    return { ...this.placeFor(x), posterior: this.state.structured, batchSize: this.state.options.batchSize, note }
  }

  /** Who evaluates: for another length of sequences or size of images than that of the fit, another evaluator. */
  private placeFor(x: Tensor): Place {
    const { graph, evaluator, pool, options, runtime } = this.state
    const settled = settleOpenAxes(graph, evaluator.network.input.name, x.shape.slice(1))
    if (settled === graph) return { evaluator, pool }
    const size = x.shape.slice(1).join()
    if (this.otherPlace?.size === size) return this.otherPlace
    const other = createEvaluator(prepareNetwork(settled, options.likelihood, options), options.subset,
      chosenEngine({ name: options.engine, threads: options.threads }, evaluator.precision, runtime),
      evaluator.precision)
    this.otherPlace = { size, evaluator: other, pool: createWorkerPool(other, options.likelihood, runtime, options) }
    return this.otherPlace
  }
}

function scatterOf(structured: StructuredPosterior, mode: EvidenceMode | undefined): number {
  return mode === undefined ? structured.scatter() : priorScatter(mode.weights, structured.settings, structured.slots)
}
