/** @file Gaussian likelihood whose outputs have noises of their own: Lambda = diag(1 / sigma_c^2). */
import { type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import type { LikelihoodModel } from './likelihood.js'
import { regression } from './regression.js'

/**
 * loss = 1/2 sum ((f - y) / sigma_c)^2. The noises are part of H, so that the posterior's own sigma is 1.
 * @param sigma one number an output, C
 */
export function regressionWithNoise(sigma: Float64Array): LikelihoodModel {
  const precision = sigma.map(value => 1 / (value * value))
  const at = (i: number): number => precision[i % precision.length]
  return {
    ...regression,
    hessianPattern: 'diagonal',
    loss: (f, y) => {
      let sum = 0
      for (let i = 0; i < f.length; i++) sum += at(i) * (f[i] - y[i]) ** 2
      return sum / 2
    },
    residual: (f, y) => Float64Array.from(f, (mean, i) => at(i) * (mean - y[i])),
    hessianDiagonal: f => Float64Array.from(f, (_, i) => at(i)),
    hessianSeeds: (f, examples, outputs) => seeds(f, examples, outputs, sigma),
    sumHessian: (_f, examples, outputs) => {
      const matrix = new Float64Array(outputs * outputs)
      for (let c = 0; c < outputs; c++) matrix[c * outputs + c] = examples * precision[c]
      return matrix
    },
    draw: (f, _examples, _outputs, random) =>
      Float64Array.from(f, (mean, i) => mean + sigma[i % sigma.length] * random.normal()),
    logNormaliser: (sigmaNoise, examples, outputs) =>
      sigma.reduce((sum, value) => sum - examples * Math.log(value),
        regression.logNormaliser(sigmaNoise, examples, outputs)),
  }
}

/** C x N x C: 1 / sigma_c of every output. */
function seeds(f: RealArray, examples: number, outputs: number, sigma: Float64Array): RealArray {
  const length = outputs * examples * outputs
  const result = zerosLike(f, length)
  for (let c = 0; c < outputs; c++) {
    for (let n = 0; n < examples; n++) result[(c * examples + n) * outputs + c] = 1 / sigma[c]
  }
  return result
}
