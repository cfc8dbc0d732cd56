/** @file From the options of a prediction to the prediction. */
import type { WorkOptions } from '../budget/progress.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { LINKS, PREDICTIVES } from '../options/words.js'
import type { Tensor } from '../tensor/tensor.js'
import { PREDICT_OPTIONS, type PredictOptions, wholeCount } from './posterior-options.js'
import { noiseOf, type PosteriorState } from './posterior-state.js'
import { predictGlm, type Prediction, type PredictionRequest, predictWithSampledWeights } from './prediction.js'
import { type InputPrograms, predictionContext } from './programs-by-input.js'

/** Predictions for N rows of inputs. @throws ShapeError, DataError, OptionError, CancelledError */
export async function predict(state: PosteriorState, programs: InputPrograms, x: Tensor, options: PredictOptions,
  work: WorkOptions): Promise<Prediction> {
  knownOptions('predict', options, PREDICT_OPTIONS)
  const link = options.link === undefined ? undefined : oneOf('link', options.link, LINKS)
  const predictive = options.predictive === undefined ? 'glm' : oneOf('predictive', options.predictive, PREDICTIVES)
  const notes: string[] = []
  const request: PredictionRequest = {
    link,
    likelihood: likelihoodModel(state.options.likelihood),
    answer: state.choice,
    trainingVariances: state.trainingVariances,
    sigmaNoise: noiseOf(state),
    seed: options.seed ?? state.options.seed,
    samples: options.samples === undefined ? undefined : wholeCount('samples', options.samples),
    joint: options.joint === true,
    covariance: options.covariance === true,
    uncertainty: options.uncertainty !== false,
  }
  const context = predictionContext(state, programs, x, sentence => {
    notes.push(sentence)
  })
  return predictive === 'glm'
    ? predictGlm(context, x, request, notes, work)
    : predictWithSampledWeights(context, x, request, notes, work)
}
