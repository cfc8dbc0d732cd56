/** @file What posteriors and mixtures of them are asked in the same way: arrays in, ndarrays out. */
import type { PredictOptions } from '../core/answer/posterior-options.js'
import type { Prediction as TensorPrediction } from '../core/answer/prediction.js'
import type { SampleOptions } from '../core/answer/sampling.js'
import type { CalibrationSummary } from '../core/conformal/calibration.js'
import { optionsObject } from '../core/errors/suggest.js'
import type { Comparison } from '../core/laplace/compare.js'
import type { LaplacePosterior } from '../core/laplace/laplace-posterior.js'
import type { Mixture } from '../core/laplace/posterior-mixture.js'
import type { Likelihood } from '../core/options/words.js'
import { type ArrayInput, type ExamplesInput, toExamples, toNdArray, toTensor } from './arrays.js'
import { coreWork, toOutliers } from './core-arguments.js'
import type { WorkOptions } from './options.js'
import type { Array64, Prediction } from './prediction.js'
import { attended } from './runtime/attended.js'

/** What predicts by likelihood L; a call with a signal can be cancelled at any moment. */
export abstract class Predictor<L extends Likelihood, C extends LaplacePosterior | Mixture> {
  /** The same with tensors instead of ndarrays. */
  readonly core: C

  constructor(core: C) {
    this.core = core
  }

  /** What the outputs are. */
  get likelihood(): L {
    return this.core.likelihood as L
  }

  /** How intervals and sets are calibrated; undefined where they are not. */
  get conformal(): CalibrationSummary | undefined {
    return this.core.conformal
  }

  /** Predictions for rows of inputs. @throws ShapeError, DataError, OptionError, CancelledError */
  async predict(x: ExamplesInput, given: PredictOptions & WorkOptions = {}): Promise<Prediction<L>> {
    const { signal, onProgress, ...options } = optionsObject('predict', given)
    const work = coreWork('predict', { signal, onProgress })
    return ndarraysOf<L>(await attended(this.core, work).predict(toExamples(x, 'x'), options, work))
  }

  /**
   * Draws of the raw outputs, count x N x C; those of a mixture are each of a member drawn by its weight.
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  async functionalSamples(x: ExamplesInput, count: number, given: SampleOptions & WorkOptions = {}): Promise<Array64> {
    return drawn(this.core, 'functionalSamples', x, count, given)
  }

  /** Draws of predictions, count x N x C: probabilities, or means for regression. @throws as functionalSamples */
  async predictiveSamples(x: ExamplesInput, count: number, given: SampleOptions & WorkOptions = {}): Promise<Array64> {
    return drawn(this.core, 'predictiveSamples', x, count, given)
  }

  /**
   * Gradients of mean, variance and (link probit; classes) probabilities with respect to each row's input: N x C, then
   * the shape of an input.
   * @throws OptionError BAD_COMBINATION; GraphError NOT_DIFFERENTIABLE; ShapeError, DataError, CancelledError
   */
  async inputGradients(x: ExamplesInput,
    given: WorkOptions = {}): Promise<{ mean: Array64, variance: Array64, probabilities: Array64 | undefined }> {
    const work = coreWork('inputGradients', given)
    const { mean, variance, probabilities } = await attended(this.core, work).inputGradients(toExamples(x, 'x'), work)
    return { mean: toNdArray(mean), variance: toNdArray(variance),
      probabilities: probabilities && toNdArray(probabilities) }
  }

  /**
   * Outputs, N x C, and their covariances J P^-1 J': N x C x C, or (N C) x (N C) with `joint`.
   * @throws ShapeError, DataError, CancelledError
   */
  async functionalVariance(x: ExamplesInput,
    given: { readonly joint?: boolean | undefined } & WorkOptions = {}
  ): Promise<
    { mean: Array64, covariance: Array64 }
  > {
    const { joint, ...rest } = optionsObject('functionalVariance', given)
    const work = coreWork('functionalVariance', rest)
    const { mean, covariance } = await attended(this.core, work).functionalVariance(toExamples(x, 'x'), { joint }, work)
    return { mean: toNdArray(mean), covariance: toNdArray(covariance) }
  }

  /**
   * The plain network: logits or means, N x C; of a mixture the mean of its networks' outputs.
   * @throws ShapeError, DataError, CancelledError
   */
  async forward(x: ExamplesInput, given: WorkOptions = {}): Promise<Array64> {
    const work = coreWork('forward', given)
    return toNdArray(await attended(this.core, work).forward(toExamples(x, 'x'), work))
  }

  /**
   * Network, temperature scaling and posterior (or mixture) side by side on rows that none of them has seen; `outliers`
   * are rows that are no data, without labels: how well is each of them told?
   * @param y labels as in `fit`
   * @throws ShapeError, DataError, OptionError, CancelledError
   */
  async compare(x: ExamplesInput, y: ArrayInput,
    given: { readonly outliers?: ExamplesInput | undefined } & WorkOptions = {}): Promise<Comparison> {
    const { signal, onProgress, outliers, ...options } = optionsObject('compare', given)
    const work = coreWork('compare', { signal, onProgress })
    return attended(this.core, work).compare(toExamples(x, 'x'), toTensor(y, 'y'), { ...options,
      ...toOutliers(outliers) }, work)
  }
}

async function drawn(core: LaplacePosterior | Mixture, method: 'functionalSamples' | 'predictiveSamples',
  x: ExamplesInput, count: number, given: SampleOptions & WorkOptions): Promise<Array64> {
  const { signal, onProgress, ...options } = optionsObject(method, given)
  const work = coreWork(method, { signal, onProgress })
  return toNdArray(await attended(core, work)[method](toExamples(x, 'x'), count, options, work))
}

/** What is costly to work out stays so until it is read. */
function ndarraysOf<L extends Likelihood>(prediction: TensorPrediction): Prediction<L> {
  const result: Record<string, unknown> = {}
  for (const key of Object.keys(prediction) as (keyof TensorPrediction)[]) {
    Object.defineProperty(result, key, {
      enumerable: true,
      get: () => {
        const value = prediction[key]
        return typeof value === 'object' && 'shape' in value ? toNdArray(value) : value
      },
    })
  }
  return result as unknown as Prediction<L>
}
