/**
 * @file Last layers of regressions whose outputs have a noise and a prior precision each: parts of H and of the prior.
 */
import { isSum } from '../curvature/curvature.js'
import { lastLayerTimes } from '../curvature/last-layer.js'
import { overOutputs, scaledByOutput } from '../curvature/output-scale.js'
import { structuredPosterior } from '../posterior/structured.js'
import type { LinearData } from '../sums/linear-data.js'
import type { PosteriorState } from './posterior-state.js'

/** sigma and delta of every output. */
export interface OutputHyperparameters {
  readonly sigma: readonly number[]
  readonly delta: readonly number[]
}

/** Whether the noises of this state were tuned an output at a time, and not given. */
export function hasTunedNoises({ options }: PosteriorState): boolean {
  return options.tuneNoise && options.outputNoise !== undefined
}

/** The state of a last layer with a noise and a prior precision an output. @param data its rows, for the loss */
export function withOutputNoise(state: PosteriorState, { features, labels, examples, seen = examples }: LinearData,
  { sigma, delta }: OutputHyperparameters): PosteriorState {
  const { structured, options, fitted, training, mode } = state
  const { slots, mean, curvature } = structured
  const factors = sigma.map((value, c) => ((options.outputNoise?.[c] ?? 1) / value) ** 2)
  const lossAt = (weights: Float64Array): number => {
    const f = lastLayerTimes(slots, features, examples, weights)
    return f.reduce((sum, value, i) => sum + 0.5 * ((labels[i] - value) / sigma[i % sigma.length]) ** 2, 0) *
      (seen / Math.max(1, examples))
  }
  const scaled = isSum(curvature) ? scaledByOutput(curvature, slots, factors) : curvature
  return {
    ...state,
    options: { ...options, tuneNoise: true, outputNoise: Float64Array.from(sigma) },
    loss: training?.agreement.kind === 'targets'
      ? training.agreement.residuals.reduce((sum, square, c) => sum + 0.5 * square / sigma[c] ** 2, 0)
      : lossAt(mean),
    fitted: fitted !== undefined && isSum(fitted) ? scaledByOutput(fitted, slots, factors) : fitted,
    structured: structuredPosterior(scaled, slots, mean, { ...structured.settings, sigmaNoise: 1,
      priorPrecision: overOutputs(slots, delta) }),
    mode: mode === undefined ? undefined : { ...mode, loss: lossAt(mode.weights) },
  }
}

/** The state with one noise of 1 for all outputs, and one prior precision of 1, to be tuned again. */
export function withoutOutputNoise(state: PosteriorState, data: LinearData): PosteriorState {
  const { outputs } = state.evaluator.network
  const ones = new Array<number>(outputs).fill(1)
  const unit = withOutputNoise(state, data, { sigma: ones, delta: ones })
  return { ...unit, options: { ...unit.options, outputNoise: undefined },
    structured: unit.structured.withSettings({ priorPrecision: 1 }) }
}

/** delta of every output, from the prior of the weight's rows. */
export function outputDeltas({ structured }: PosteriorState): number[] {
  const { settings: { priorPrecision }, slots, mean } = structured
  if (typeof priorPrecision === 'number') return [priorPrecision]
  const weight = slots.find(({ shape }) => shape.length === 2)
  if (weight === undefined || priorPrecision.length !== mean.length) return Array.from(priorPrecision)
  const [out, inputs] = weight.shape
  return Array.from({ length: out }, (_, c) => priorPrecision[weight.offset + c * inputs])
}
