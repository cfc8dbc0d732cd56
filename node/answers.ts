/** @file The core's answers with ndarrays. */
import type { InputGradients } from '../core/answer/input-gradients.js'
import type { Prediction as TensorPrediction } from '../core/answer/prediction.js'
import type { SampleOptions } from '../core/answer/sampling.js'
import { optionsObject } from '../core/errors/suggest.js'
import type { LaplacePosterior } from '../core/laplace/laplace-posterior.js'
import type { Likelihood } from '../core/options/words.js'
import { type ExamplesInput, toExamples, toNdArray } from './arrays.js'
import type { WorkOptions } from './options.js'
import type { Array64, Prediction } from './prediction.js'

import { coreWork } from './core-arguments.js'
/** What is costly to work out stays so until it is read. */
export function ndarraysOf<L extends Likelihood>(prediction: TensorPrediction): Prediction<L> {
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

/** Gradients with respect to the input. */
export function gradientArrays(
  { mean, variance, probabilities }: InputGradients,
): { mean: Array64, variance: Array64, probabilities: Array64 | undefined } {
  return { mean: toNdArray(mean), variance: toNdArray(variance),
    probabilities: probabilities && toNdArray(probabilities) }
}

/** Draws by a posterior or a mixture. */
export async function drawn<M extends 'functionalSamples' | 'predictiveSamples'>(
  core: { readonly [method in M]: LaplacePosterior['functionalSamples'] },
  method: M,
  x: ExamplesInput,
  count: number,
  given: SampleOptions & WorkOptions,
): Promise<Array64> {
  const { signal, onProgress, ...options } = optionsObject(method, given)
  return toNdArray(await core[method](toExamples(x, 'x'), count, options, coreWork(method, { signal, onProgress })))
}
