/** @file The noise of a regression as an option: one number, one an output, or their covariance. */
import { OptionError } from '../errors/errors.js'
import type { PosteriorSettings } from './hyperparameters.js'
import type { GivenNoise, PlainOptions } from './laplace-options.js'
import { noiseCovariance } from './noise-covariance.js'
import { numbers } from './option-values.js'
import type { Likelihood } from './words.js'

/** Noise that is part of H. */
export interface OutputNoise {
  /** Noises that were given one an output. They are part of H, and `settings.sigmaNoise` is 1. */
  readonly outputNoise: Float64Array | undefined
  /** Their covariance, C x C, where they are correlated; `outputNoise` has the roots of its diagonal. */
  readonly noiseCovariance: Float64Array | undefined
}

/** Noises that are part of H: one an output, or their covariance. @throws OptionError BAD_OPTION */
export function outputNoiseOf({ sigmaNoise }: PlainOptions): OutputNoise {
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

/** The noise that the posterior divides H by, which is that of all outputs. @throws OptionError BAD_OPTION */
export function commonNoise(sigmaNoise: GivenNoise): number {
  const given = numbers('sigmaNoise', sigmaNoise)
  return typeof given === 'number' ? given : given[0]
}

function isMatrix(value: GivenNoise): value is readonly ArrayLike<number>[] {
  return Array.isArray(value) && value.length > 0 && typeof value[0] === 'object'
}

/** Whether the noise of a regression was given: one number, or one an output. */
export function givesNoise({ outputNoise, settings }: Pick<OutputNoise, 'outputNoise'> & {
  readonly settings: Partial<PosteriorSettings>
}): boolean {
  return outputNoise !== undefined || settings.sigmaNoise !== undefined
}

/** @throws OptionError BAD_COMBINATION for a noise of what is no regression */
export function checkNoise(likelihood: Likelihood, { sigmaNoise }: PlainOptions): void {
  if (likelihood === 'regression' || sigmaNoise === undefined || sigmaNoise === 1) return
  throw new OptionError('BAD_COMBINATION',
    `Option sigmaNoise is the noise of regression; the likelihood ${likelihood} has none.`, { option: 'sigmaNoise',
    likelihood })
}
