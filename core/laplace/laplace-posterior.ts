/** @file A fitted Laplace approximation: what it knows, and what can be asked of it. */
import { functionalVariance, networkOutputs } from '../answer/functional-variance.js'
import { type InputGradients, inputGradients } from '../answer/input-gradients.js'
import { type MeasuredCoverage, measuredCoverage } from '../answer/measured-coverage.js'
import { evidenceAtMode, evidenceOf, logLikelihoodOf } from '../answer/posterior-evidence.js'
import type { CompareOptions, ConformalOptions, PredictOptions, TuneOptions } from '../answer/posterior-options.js'
import { checkNoiseChange, noiseCovarianceOf, type PosteriorState, recordOf, sigmaOf,
  withoutScores } from '../answer/posterior-state.js'
import { inputsOf, type InputSummary, parametersOf, type ParameterSummary, type PosteriorSummary, summarizePosterior,
  trainingOf } from '../answer/posterior-summary.js'
import { predict } from '../answer/predict.js'
import { type Prediction } from '../answer/prediction.js'
import { type InputPrograms, programsByInput } from '../answer/programs-by-input.js'
import { notesOf } from '../answer/regularised.js'
import { checkRepresentable, representable } from '../answer/representable.js'
import { functionalSamples, predictiveSamples, type SampleOptions } from '../answer/sampling.js'
import { logDensity, posteriorCovariance, weightSamples } from '../answer/weight-space.js'
import type { WorkOptions } from '../budget/progress.js'
import { type CalibrationSummary, summarizeCalibration } from '../conformal/calibration.js'
import { flag, knownOptions } from '../errors/suggest.js'
import type { FitWork } from '../fit/fit-work.js'
import { retune } from '../fit/retune.js'
import type { TuneData } from '../fit/tune.js'
import { inOwnLayout } from '../likelihood/output-layout.js'
import { graphDigest } from '../network/digest.js'
import { givenSettings, PRIOR_CHANGES, type PriorChanges } from '../options/hyperparameters.js'
import { demandAscending } from '../options/posterior-choice.js'
import type { Likelihood, Structure, Subset, TuneMethod } from '../options/words.js'
import { type CurvatureMatrix, curvatureMatrix, precisionOf } from '../posterior/curvature-matrix.js'
import { logDetRatio } from '../posterior/evidence.js'
import { type Marginals, priorByParameter } from '../posterior/posterior.js'
import { writePosterior } from '../storage/posterior-file.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Choice } from '../tuning/choice.js'
import type { TrainingSummary } from '../tuning/training-scores.js'
import { withChangedRows } from './changed-rows.js'
import { compare, type Comparison } from './compare.js'
import { conformalize, rowsOf } from './conformalize.js'
import { type ExportedGraph, exportGraph, type ExportOptions } from './export-graph.js'
import { type Figures, figures } from './figures.js'
import { type Influence, influence, type InfluenceOptions } from './influence.js'

/**
 * The posterior N(mean, P^-1) with P = H / (sigma^2 T) + diag(delta) over the P weights of a subset (MacKay 1992). It
 * never changes: new hyper-parameters make a new one.
 */
export class LaplacePosterior {
  /** All that it is made of; for the library's own use. */
  readonly state: PosteriorState
  /** Its programs by the shape of an input; for the library's own use. */
  readonly programs: InputPrograms
  private networkDigest: string | undefined

  /** For the library's own use: a posterior comes from `fit` or `loadPosterior`. */
  constructor(state: PosteriorState) {
    checkRepresentable(state)
    this.state = state
    this.programs = programsByInput(state)
  }

  /** What the outputs are. */
  get likelihood(): Likelihood {
    return this.state.options.likelihood
  }
  /** Which weights are uncertain. */
  get subset(): Subset {
    return this.state.options.subsetName
  }
  /** The structure of H. */
  get structure(): Structure {
    return this.state.structured.structure
  }
  /** What a fit with no option set chose, why, and how its answer is put together. */
  get choice(): Choice | undefined {
    return this.state.choice
  }
  /** How intervals and sets are calibrated; undefined where they are not. */
  get conformal(): CalibrationSummary | undefined {
    return this.state.conformal === undefined ? undefined : summarizeCalibration(this.state.conformal)
  }
  /** Network and posterior on the rows of the fit; undefined for posteriors of files of version 0.1.0. */
  get training(): TrainingSummary | undefined {
    return trainingOf(this.state)
  }
  /** The seed of draws for which none is given. */
  get seed(): number {
    return this.state.options.seed
  }
  /** Number of outputs C, of each position where there are several. */
  get outputs(): number {
    return this.state.evaluator.network.outputs
  }
  /** The shape of an example's positions, each of which is a term of the likelihood; empty where it is one term. */
  get positions(): readonly number[] {
    return this.state.evaluator.network.positions
  }
  /** Number of weights P in the subset. */
  get parameterCount(): number {
    return this.state.structured.size
  }
  /** Sentences about what was done differently from what might be assumed. */
  get notes(): readonly string[] {
    return notesOf(this.state)
  }
  /** Number of training examples. */
  get examples(): number {
    return this.state.examples
  }
  /** Loss of the training data at the network's weights: a sum over examples. */
  get loss(): number {
    return this.state.loss
  }
  /** How the prior was tuned; `none` where it was given. */
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
  /** delta: one number, one for each tensor, or one for each parameter. */
  get priorPrecision(): number | Float64Array {
    return this.state.structured.settings.priorPrecision
  }
  /** delta of each parameter, P. */
  get priorPrecisionDiag(): Float64Array {
    return priorByParameter(this.state.structured.settings, this.state.structured.slots)
  }
  /** mu0: one number, or one for each parameter. */
  get priorMean(): number | Float64Array {
    return this.state.structured.settings.priorMean
  }
  /** sigma, the standard deviation of observation noise; 1 except for regression; one an output where they differ. */
  get sigmaNoise(): number | Float64Array {
    return sigmaOf(this.state)
  }
  /** The covariance of the observations' noises, C x C, where they are correlated; `sigmaNoise` is its diagonal's. */
  get noiseCovariance(): Tensor | undefined {
    return noiseCovarianceOf(this.state)
  }
  /** T, by which the data term is divided; 1 is the posterior of Bayes' rule. */
  get temperature(): number {
    return this.state.structured.settings.temperature
  }
  /** SHA-256 of the network, in hexadecimal digits. */
  get digest(): string {
    return this.networkDigest ??= graphDigest(this.state.graph)
  }

  /** The inputs of the network that its output depends on. */
  get inputs(): readonly InputSummary[] {
    return inputsOf(this.state)
  }

  /** The tensors that the posterior is over, in the order of theta. */
  get parameters(): readonly ParameterSummary[] {
    return parametersOf(this.state)
  }

  /** The names of all inputs that the network declares, in order; data for those beside `inputs` are passed over. */
  get declaredInputs(): readonly string[] {
    return this.state.evaluator.network.declared
  }
  /** H, the data term of the Hessian (P x P) without noise, temperature and prior. */
  get H(): CurvatureMatrix {
    return curvatureMatrix(this.state.structured.curvature, this.state.structured.slots)
  }
  /** P = H / (sigma^2 T) + diag(delta). */
  get posteriorPrecision(): CurvatureMatrix {
    return precisionOf(this.state.structured)
  }
  /** log p(D | theta) at the network's weights. */
  get logLikelihood(): number {
    return logLikelihoodOf(this.state, this.state.structured.settings)
  }
  /** (theta - mu0)' P0 (theta - mu0), with P0 = diag(delta). */
  get scatter(): number {
    return representable(this.state.structured.scatter(), "The weights' distance from the prior (scatter)")
  }
  /** log |P|. */
  get logDetPosteriorPrecision(): number {
    return representable(this.state.structured.logDetPrecision(), 'log |P|')
  }
  /** log |P0|. */
  get logDetPriorPrecision(): number {
    return representable(this.state.structured.logDetPrior(), 'log |P0|')
  }
  /** log |P| - log |P0|. */
  get logDetRatio(): number {
    return representable(logDetRatio(this.state.structured), 'log |P| - log |P0|')
  }

  /**
   * log p(D) of the linear model at its own mode, where there is one; at the network's weights it is another number.
   */
  get logEvidenceAtMode(): number | undefined {
    return evidenceAtMode(this.state)
  }

  /**
   * log p(D) = log p(D | theta) - 1/2 (log|P| - log|P0| + scatter), also for other hyper-parameters.
   * @throws OptionError BAD_OPTION, BAD_COMBINATION; NumericalError NOT_POSITIVE_DEFINITE
   */
  logMarginalLikelihood(changes: Pick<PriorChanges, 'priorPrecision' | 'sigmaNoise'> = {}): number {
    knownOptions('logMarginalLikelihood', changes, ['priorPrecision', 'sigmaNoise'])
    demandAscending(this.state.options.subnetwork, { ...changes })
    return evidenceOf(this.state, changes)
  }

  /**
   * Mean and variance of every weight: P, or C P where each output of a regression has a posterior of its own, one
   * after another.
   */
  marginals(): Marginals {
    const { structured } = this.state
    return structured.marginals?.() ?? { means: structured.mean, variances: structured.posteriorVariance() }
  }

  /** The diagonal of P^-1, P. */
  posteriorVariance(): Float64Array {
    return this.state.structured.posteriorVariance()
  }

  /** P^-1, P x P. @throws ResourceError OUT_OF_MEMORY */
  posteriorCovariance(): Tensor {
    return posteriorCovariance(this.state.structured)
  }

  /** Draws of the weights, count x P. @throws OptionError BAD_OPTION, ResourceError OUT_OF_MEMORY */
  sample(count: number, options: { readonly seed?: number | undefined } = {}): Tensor {
    knownOptions('sample', options, ['seed'])
    const { seed = this.seed } = options
    return weightSamples(this.state.structured, count, seed)
  }

  /** Log density at theta: P, or S x P. @returns S numbers @throws ShapeError */
  logProb(theta: Tensor): Tensor {
    return logDensity(this.state.structured, theta)
  }

  /** Outputs (N x C) and J P^-1 J': N x C x C, or (N C) x (N C) with `joint`. @throws ShapeError, DataError */
  functionalVariance(x: Examples, options: { readonly joint?: boolean | undefined } = {},
    work: WorkOptions = {}): Promise<{ mean: Tensor, covariance: Tensor }> {
    knownOptions('functionalVariance', options, ['joint'])
    const joint = flag('joint', options.joint, false)
    return functionalVariance(this.state, this.programs, x, { joint }, work)
  }

  /**
   * Gradients of mean, variance and (link probit) probabilities with respect to each row's input: N x C, then the shape
   * of an input. Of posteriors that answer by the network and their own covariance.
   * @throws OptionError BAD_COMBINATION; GraphError NOT_DIFFERENTIABLE; ShapeError, DataError, CancelledError
   */
  inputGradients(x: Examples, work: WorkOptions = {}): Promise<InputGradients> {
    return inputGradients(this.state, this.programs, x, work)
  }

  /**
   * What single training rows do: their outputs, variances and loss by the posterior without each (leave-one-out in
   * closed form), and by how much the outputs of the rows `at` would change without it, M x C x N. Rows of a weighted
   * fit are given with their `sampleWeight`, all of which is left out.
   * @throws OptionError BAD_COMBINATION for posteriors that answer by a linear model; ResourceError, ShapeError,
   * DataError, CancelledError
   */
  influence(x: Examples, y: Tensor, options: InfluenceOptions = {}, work: WorkOptions = {}): Promise<Influence> {
    knownOptions('influence', options, ['at', 'sampleWeight'])
    return influence(this.state, this.programs, x, y, options, work)
  }

  /**
   * Predictions for N rows of inputs.
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  predict(x: Examples, options: PredictOptions = {}, work: WorkOptions = {}): Promise<Prediction> {
    return predict(this.state, this.programs, x, options, work)
  }

  /**
   * Network, temperature scaling and this posterior side by side on rows that none of them has seen; with `outliers`
   * also how well each of them, and novelty, tells rows that are no data.
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  compare(x: Examples, y: Tensor, options: CompareOptions = {}, work: WorkOptions = {}): Promise<Comparison> {
    return compare(this.state, this.programs, x, y, options, work)
  }

  /**
   * What a report draws of rows that neither the network nor the fit has seen: scores, reliability, risk by coverage,
   * certainty on data and on rows that are none, the evidence over the prior, the least certain rows.
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  figures(x: Examples, y: Tensor, options: CompareOptions = {}, work: WorkOptions = {}): Promise<Figures> {
    return figures(this.state, this.programs, x, y, options, work)
  }

  /**
   * The plain network: logits or means, N x C, or as the network has them.
   * @throws ShapeError, DataError, CancelledError
   */
  async forward(x: Examples, work: WorkOptions = {}): Promise<Tensor> {
    const { network } = this.programs(x).evaluator
    return inOwnLayout(network, await networkOutputs(this.state, this.programs, x, work), [exampleCount(x)])
  }

  /** Draws of the raw outputs, count x N x C. @throws ShapeError, DataError, OptionError, CancelledError */
  functionalSamples(x: Examples, count: number, options: SampleOptions = {}, work: WorkOptions = {}): Promise<Tensor> {
    knownOptions('functionalSamples', options, ['seed', 'predictive'])
    return functionalSamples(this.state, this.programs, x, count, options, work)
  }

  /** Draws of predictions, count x N x C: probabilities, or means for regression. @throws as functionalSamples */
  predictiveSamples(x: Examples, count: number, options: SampleOptions = {}, work: WorkOptions = {}): Promise<Tensor> {
    knownOptions('predictiveSamples', options, ['seed', 'predictive'])
    return predictiveSamples(this.state, this.programs, x, count, options, work)
  }

  /**
   * The posterior of the data and these rows, under the same prior: data that come piece by piece. The network stays.
   * @throws OptionError BAD_COMBINATION for posteriors that are no sums or were chosen by their rows; ShapeError,
   * DataError, CancelledError
   */
  async addRows(x: Examples, y: Tensor, work: FitWork = {}): Promise<LaplacePosterior> {
    return new LaplacePosterior(await withChangedRows(this.state, 'add', x, y, work))
  }

  /**
   * The posterior of the data without these rows, under the same prior: their part of the sums is subtracted. What the
   * network has learnt from them stays in its weights.
   * @throws as addRows; DataError BAD_ARRAY where the rows were not among the data, EMPTY_DATA where none are left
   */
  async forget(x: Examples, y: Tensor, work: FitWork = {}): Promise<LaplacePosterior> {
    return new LaplacePosterior(await withChangedRows(this.state, 'remove', x, y, work))
  }

  /** The posterior of the same data under other hyper-parameters. @throws OptionError BAD_OPTION, BAD_COMBINATION */
  withPrior(changes: PriorChanges): LaplacePosterior {
    knownOptions('withPrior', changes, PRIOR_CHANGES)
    demandAscending(this.state.options.subnetwork, { ...changes })
    checkNoiseChange(this.state, changes)
    // The answer and the scores of rows were those of the old prior.
    return new LaplacePosterior({ ...withoutScores(this.state),
      structured: this.state.structured.withSettings(givenSettings(changes)), tuned: 'none', choice: undefined,
      trainingVariances: undefined, effectiveParameters: undefined })
  }

  /**
   * The posterior with the prior (and noise) tuned: by `linearized` where there are training data and a last layer,
   * else by `marglik`.
   * @throws OptionError BAD_COMBINATION; StateError when this posterior was tuned by `linearized` and loaded from a
   * file
   */
  async tune(options: TuneOptions = {}, data: TuneData = {}, work: WorkOptions = {}): Promise<LaplacePosterior> {
    const state = await retune(this.state, options, data, work)
    return state === this.state ? this : new LaplacePosterior(state)
  }

  /**
   * The posterior with its intervals or sets of classes calibrated, so that `predict(x, { level })` gives them.
   *
   * With x and y the coverage of new rows has a guarantee (Vovk et al. 2005), if neither the network nor the fit has
   * seen them; without x and y training rows are used, each predicted without itself, and it is approximate.
   * @throws OptionError, ShapeError, DataError; StateError NOT_FITTED without x and y where no row was left out
   */
  async conformalize(x?: Examples, y?: Tensor, options: ConformalOptions = {},
    work: WorkOptions = {}): Promise<LaplacePosterior> {
    return new LaplacePosterior(await conformalize(this.state, this.programs, rowsOf(x, y), options, work))
  }

  /**
   * The prediction as one graph of standard operators, from the network's inputs to the named outputs; adapters write
   * it as a file.
   * @throws OptionError BAD_OPTION, BAD_COMBINATION
   */
  exportGraph(options: ExportOptions = {}): ExportedGraph {
    return exportGraph(this.state, options)
  }

  /** How many of the rows that say it lie in their interval or set of a level; undefined where no rows do. */
  measuredCoverage(level: number): MeasuredCoverage | undefined {
    return measuredCoverage(this.state, level)
  }

  /** The posterior as bytes, with its network unless told otherwise. */
  save(options: { readonly network?: boolean | undefined } = {}): Uint8Array {
    knownOptions('save', options, ['network'])
    const network = flag('network', options.network, true)
    return writePosterior(recordOf(this.state, this.digest, network))
  }

  /** What is known of the posterior, as plain values. */
  summary(): PosteriorSummary {
    return summarizePosterior(this.state, this.digest)
  }
}
