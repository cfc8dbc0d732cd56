/** @file Outputs of the network and their covariances as tensors. */
import type { WorkOptions } from '../budget/progress.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import { gaussianMean, jointGaussian, outputGaussian } from './output-gaussian.js'
import type { PosteriorState } from './posterior-state.js'
import { type InputPrograms, predictionContext } from './programs-by-input.js'

/** Outputs (N x C) and J P^-1 J' of the linearised network: N x C x C, or (N C) x (N C) with `joint`. */
export async function functionalVariance(state: PosteriorState, programs: InputPrograms, x: Tensor,
  { joint = false }: { readonly joint?: boolean | undefined },
  work: WorkOptions): Promise<{ mean: Tensor, covariance: Tensor }> {
  const { outputs } = state.evaluator.network
  const context = predictionContext(state, programs, x)
  const own = joint
    ? await jointGaussian(context, x)
    : await outputGaussian(context, x, 'covariance', work)
  const { variance, examples } = own
  const shape = joint ? [examples * outputs, examples * outputs] : [examples, outputs, outputs]
  const mean = gaussianMean(context, own)
  return { mean: float64([examples, outputs], mean), covariance: float64(shape, variance) }
}

/** Outputs of the network at its own weights, N x C. */
export async function networkOutputs(state: PosteriorState, programs: InputPrograms, x: Tensor,
  work: WorkOptions): Promise<Tensor> {
  const { f, examples } = await outputGaussian(predictionContext(state, programs, x), x, 'none', work)
  return float64([examples, state.evaluator.network.outputs], f)
}
