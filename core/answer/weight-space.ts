/** @file The posterior over the weights as tensors: covariance, draws and density. */
import { checkBytes } from '../budget/memory.js'
import { ShapeError } from '../errors/errors.js'
import { whole } from '../options/option-values.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import { identity } from '../tensor/identity.js'
import { randomGenerator } from '../tensor/random.js'
import { demandTensor, float64, formatShape, type Tensor, toFloat64 } from '../tensor/tensor.js'

/** P^-1, P x P. @throws ResourceError OUT_OF_MEMORY */
export function posteriorCovariance(structured: StructuredPosterior): Tensor {
  const { size } = structured
  checkBytes('The dense covariance', 24 * size * size, 'Use posteriorVariance, or a smaller subset.')
  return float64([size, size], structured.covarianceTimes(identity(size), size))
}

/** Draws of the weights, count x P. @throws OptionError BAD_OPTION, ResourceError OUT_OF_MEMORY */
export function weightSamples(structured: StructuredPosterior, count: number, seed: number): Tensor {
  const rows = whole('count', count, 1)
  checkBytes('The sampled weights', 16 * rows * structured.size, 'Draw fewer samples at a time.')
  return float64([rows, structured.size], structured.sample(rows, randomGenerator(seed)))
}

/** Log density at theta: P, or S x P. @returns S numbers @throws ShapeError */
export function logDensity(structured: StructuredPosterior, theta: Tensor): Tensor {
  const { size } = structured
  demandTensor('theta', theta)
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
    Array.from({ length: count }, (_, s) => structured.logProb(values.subarray(s * size, (s + 1) * size))))
}
