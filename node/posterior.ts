/** @file The fitted posterior at the public border: arrays in, ndarrays out. */
import { type OnnxExportOptions, posteriorModel } from '../adapters/onnx/index.js'
import type { ConformalOptions, TuneOptions } from '../core/answer/posterior-options.js'
import type { PosteriorSummary } from '../core/answer/posterior-summary.js'
import { optionsObject } from '../core/errors/suggest.js'
import type { Figures } from '../core/laplace/figures.js'
import type { LaplacePosterior } from '../core/laplace/laplace-posterior.js'
import type { PriorChanges } from '../core/options/hyperparameters.js'
import type { Likelihood } from '../core/options/words.js'
import { report as reportPage, type ReportOptions } from '../report/report.js'
import { type ArrayInput, type ExamplesInput, toExamples, toNdArray, toTensor } from './arrays.js'
import { coreWork, fitWork, toBatch, toOutliers } from './core-arguments.js'
import { describePosterior } from './describe.js'
import { writeWhole } from './files/write-file.js'
import { writeModel } from './files/write-model.js'
import type { ArrayBatch, FitWork, WorkOptions } from './options.js'
import { PosteriorQuantities } from './posterior-quantities.js'
import type { Array64 } from './prediction.js'
import { attended } from './runtime/attended.js'

/**
 * A fitted posterior. It never changes: new hyper-parameters make a new one. Its predictions are those of likelihood L.
 */
export class Posterior<L extends Likelihood = Likelihood> extends PosteriorQuantities<L> {
  /**
   * log p(D) = log p(D | theta) - 1/2 (log|P| - log|P0| + scatter), also for other hyper-parameters.
   * @throws OptionError BAD_OPTION; NumericalError NOT_POSITIVE_DEFINITE
   */
  logMarginalLikelihood(changes: Pick<PriorChanges, 'priorPrecision' | 'sigmaNoise'> = {}): number {
    return this.core.logMarginalLikelihood(changes)
  }

  /** What is known of the posterior, as plain values. */
  summary(): PosteriorSummary {
    return this.core.summary()
  }

  /** The posterior as bytes, with its network unless told otherwise; `loadPosterior` reads them. */
  save(options: { readonly network?: boolean | undefined } = {}): Uint8Array {
    return this.core.save(options)
  }

  /** The posterior of the same data under other hyper-parameters. @throws OptionError BAD_OPTION */
  withPrior(changes: PriorChanges): Posterior<L> {
    return new Posterior<L>(this.core.withPrior(changes))
  }

  /**
   * The posterior of the data and these rows, under the same prior: data that come piece by piece. For posteriors that
   * are sums (structures kron, full, diag, blockdiag) under a prior that is given, or tuned by `marglik` or `grid`.
   * @param y labels as in `fit`
   * @throws OptionError BAD_COMBINATION for other posteriors; ShapeError, DataError, CancelledError
   */
  async addRows(x: ExamplesInput, y: ArrayInput, work: FitWork = {}): Promise<Posterior<L>> {
    return new Posterior<L>(await withRows(this.core, 'addRows', x, y, work))
  }

  /**
   * The posterior of the data without these rows, under the same prior (unlearning); what the network has learnt from
   * them stays in its weights. Posteriors as for `addRows`.
   * @throws as addRows; DataError BAD_ARRAY where the rows were not among the data, EMPTY_DATA where none are left
   */
  async forget(x: ExamplesInput, y: ArrayInput, work: FitWork = {}): Promise<Posterior<L>> {
    return new Posterior<L>(await withRows(this.core, 'forget', x, y, work))
  }

  /**
   * The posterior with its intervals or sets of classes calibrated by rows that it has not seen, or without rows by
   * the training rows, each predicted without itself (approximate); `predict(x, { level })` then gives them. With
   * rows the coverage of new ones has a guarantee (Vovk et al. 2005).
   * @throws OptionError, ShapeError, DataError, CancelledError; StateError NOT_FITTED without rows where none was left
   * out
   */
  async conformalize(x?: ExamplesInput, y?: ArrayInput,
    given: ConformalOptions & WorkOptions = {}): Promise<Posterior<L>> {
    const { signal, onProgress, ...options } = optionsObject('conformalize', given)
    const work = coreWork('conformalize', { signal, onProgress })
    return new Posterior<L>(
      await attended(this.core, work).conformalize(x === undefined ? undefined : toExamples(x, 'x'),
        y === undefined ? undefined : toTensor(y, 'y'), options, work),
    )
  }

  /**
   * What single training rows do: outputs, variances and loss of each by the posterior without it (leave-one-out), and
   * by how much the outputs of the rows `at` would change without it, M x C x N.
   * @param given `sampleWeight`: those of the rows in a weighted fit, N
   * @returns mean and variance N x C, loss N
   * @throws OptionError BAD_COMBINATION for posteriors that answer by a linear model; ResourceError, ShapeError,
   * DataError, CancelledError
   */
  async influence(x: ExamplesInput, y: ArrayInput,
    given: WorkOptions & { readonly at?: ExamplesInput | undefined,
      readonly sampleWeight?: ArrayLike<number> | undefined } = {}
  ): Promise<
    { readonly mean: Array64, readonly variance: Array64, readonly loss: Array64, readonly change: Array64 | undefined }
  > {
    const { at, sampleWeight, ...rest } = optionsObject('influence', given)
    const work = coreWork('influence', rest)
    const { mean, variance, loss, change } = await attended(this.core, work).influence(toExamples(x, 'x'),
      toTensor(y, 'y'), {
      sampleWeight,
      ...(at === undefined ? {} : { at: toExamples(at, 'at') }),
    }, work)
    return { mean: toNdArray(mean), variance: toNdArray(variance), loss: toNdArray(loss),
      change: change && toNdArray(change) }
  }

  /** What `report` draws, as plain numbers. @throws ShapeError, DataError, OptionError, CancelledError */
  async figures(x: ExamplesInput, y: ArrayInput,
    given: { readonly outliers?: ExamplesInput | undefined } & WorkOptions = {}): Promise<Figures> {
    const { signal, onProgress, outliers, ...options } = optionsObject('figures', given)
    const work = coreWork('figures', { signal, onProgress })
    return attended(this.core, work).figures(toExamples(x, 'x'), toTensor(y, 'y'), { ...options,
      ...toOutliers(outliers) }, work)
  }

  /**
   * One HTML page that loads nothing: what was fitted, network, temperature and posterior side by side on rows that
   * none of them has seen, and pictures. Needs the packages vega, vega-lite and
   * vega-interpreter.
   * @throws ResourceError MISSING_DEPENDENCY without them; ShapeError, DataError, OptionError, CancelledError
   */
  async report(x: ExamplesInput, y: ArrayInput, given:
    & { readonly outliers?: ExamplesInput | undefined }
    & Omit<ReportOptions, 'outliers'>
    & WorkOptions = {}): Promise<string> {
    const { signal, onProgress, outliers, ...options } = optionsObject('report', given)
    const work = coreWork('report', { signal, onProgress })
    return reportPage(attended(this.core, work), toExamples(x, 'x'), toTensor(y, 'y'), { ...options,
      ...toOutliers(outliers) }, work)
  }

  /** Draws of the weights, count x P. @throws OptionError BAD_OPTION, ResourceError OUT_OF_MEMORY */
  sample(count: number, options: { readonly seed?: number | undefined } = {}): Array64 {
    return toNdArray(this.core.sample(count, options))
  }

  /** Log density at theta: P, or S x P. @returns S numbers @throws ShapeError */
  logProb(theta: ArrayInput): Array64 {
    return toNdArray(this.core.logProb(toTensor(theta, 'theta')))
  }

  /**
   * The posterior with the prior (and noise) tuned; `linearized` needs the training data, `grid` held-out examples.
   * @throws OptionError BAD_COMBINATION; StateError, ShapeError, DataError, CancelledError
   */
  async tune(
    given: TuneOptions & WorkOptions & {
      readonly data?: ArrayBatch | undefined
      readonly validation?: ArrayBatch | undefined
    } = {},
  ): Promise<Posterior<L>> {
    const { data, validation, signal, onProgress, ...options } = optionsObject('tune', given)
    const batches = { ...(data === undefined ? {} : { data: toBatch(data) }),
      ...(validation === undefined ? {} : { validation: toBatch(validation) }) }
    const work = coreWork('tune', { signal, onProgress })
    return new Posterior<L>(await attended(this.core, work).tune(options, batches, work))
  }

  /**
   * The posterior as a plain ONNX model: what `predict` gives, from the same inputs, in any ONNX runtime.
   * @throws OptionError, GraphError
   */
  toOnnx(options: OnnxExportOptions = {}): Uint8Array {
    return posteriorModel(this.core, options)
  }

  /**
   * Writes the plain ONNX model to a file; on request a model card in Markdown (`card`) and a folder for MLflow
   * (`mlflow`) beside it. With `x` and `y`, rows that neither network nor posterior has seen, the card says how good
   * the model is, with a picture of its calibration.
   * @returns the paths that were written
   * @throws OptionError, GraphError; ResourceError NOT_WRITTEN
   */
  async exportTo(path: string, given: OnnxExportOptions & WorkOptions & {
    readonly x?: ExamplesInput | undefined
    readonly y?: ArrayInput | undefined
    readonly card?: boolean | undefined
    readonly mlflow?: boolean | undefined
  } = {}): Promise<string[]> {
    const { x, y, card, mlflow, signal, onProgress, ...options } = optionsObject('exportTo', given)
    const comparison = x === undefined || y === undefined ? undefined : await this.compare(x, y, { signal, onProgress })
    return writeModel(this.core, path, options, { card, mlflow, comparison })
  }

  /**
   * Writes the posterior to a file that Python, R and the command line read; whole, or not at all.
   * @throws ResourceError NOT_WRITTEN; what was at `path` before is still there
   */
  async saveTo(path: string, options: { readonly network?: boolean | undefined } = {}): Promise<void> {
    await writeWhole(path, this.save(options))
  }

  override toString(): string {
    return describePosterior(this.core)
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return describePosterior(this.core)
  }
}

async function withRows(core: LaplacePosterior, method: 'addRows' | 'forget', x: ExamplesInput, y: ArrayInput,
  given: FitWork): Promise<LaplacePosterior> {
  const work = fitWork(method, given)
  return attended(core, work)[method](toExamples(x, 'x'), toTensor(y, 'y'), work)
}
