/** @file Outputs of the network and their covariances as tensors. */
import type { WorkOptions } from '../budget/progress.js'
import { inOwnLayout, matrixInOwnOrder } from '../likelihood/output-layout.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import { gaussianMean, jointGaussian, outputGaussian } from './output-gaussian.js'
import type { PosteriorState } from './posterior-state.js'
import { type InputPrograms, predictionContext } from './programs-by-input.js'

/**
 * Outputs (N x C) and J P^-1 J' of the linearised network: N x C x C, or (N C) x (N C) with `joint`. With positions the
 * outputs are as the network's, covariances N x positions x C x C, and the joint one is in the order of the outputs.
 */
export async function functionalVariance(state: PosteriorState, programs: InputPrograms, x: Examples,
  { joint = false }: { readonly joint?: boolean | undefined },
  work: WorkOptions): Promise<{ mean: Tensor, covariance: Tensor }> {
  const { network } = state.evaluator
  const { outputs, positions } = network
  const context = predictionContext(state, programs, x)
  const own = joint
    ? await jointGaussian(context, x, work)
    : await outputGaussian(context, x, 'covariance', work)
  const { variance, examples } = own
  const rows = exampleCount(x)
  const mean = float64([examples, outputs], gaussianMean(context, own))
  return { mean: inOwnLayout(network, mean, [rows]), covariance: joint
    ? float64([examples * outputs, examples * outputs], matrixInOwnOrder(network, variance, rows))
    : float64([rows, ...positions, outputs, outputs], variance) }
}

/** Outputs of the network at its own weights, term by term: N x C. */
export async function networkOutputs(state: PosteriorState, programs: InputPrograms, x: Examples,
  work: WorkOptions): Promise<Tensor> {
  const { f, examples } = await outputGaussian(predictionContext(state, programs, x), x, 'none', work)
  return float64([examples, state.evaluator.network.outputs], f)
}
