/**
 * @file The logistic function and what the Bernoulli likelihoods share: independent labels, Lambda = diag(p (1 - p)).
 */
import { type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import type { Likelihood } from '../options/words.js'
import type { LikelihoodModel } from './likelihood.js'

/** 1 / (1 + exp(-z)), without overflow. */
export function sigmoid(z: number): number {
  if (z >= 0) return 1 / (1 + Math.exp(-z))
  const e = Math.exp(z)
  return e / (1 + e)
}

/** log(1 + exp(z)), without overflow or loss of small values. */
export function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)))
}

/** p (1 - p) with p = sigmoid(z), accurate in both tails. */
export function sigmoidSlope(z: number): number {
  const e = Math.exp(-Math.abs(z))
  return e / ((1 + e) * (1 + e))
}

/** Independent Bernoulli labels on logits; loss = sum softplus(f) - y f. */
export function bernoulli(name: Likelihood): LikelihoodModel {
  return {
    name,
    hessianPattern: 'diagonal',
    targetWidth: outputs => outputs,
    loss: (f, y) => {
      let sum = 0
      for (let i = 0; i < f.length; i++) sum += softplus(f[i]) - y[i] * f[i]
      return sum
    },
    residual: (f, y) => Float64Array.from(f, (z, i) => sigmoid(z) - y[i]),
    hessianDiagonal: f => Float64Array.from(f, sigmoidSlope),
    seedCount: outputs => outputs,
    hessianSeeds: (f, examples, outputs) => diagonalSeeds(f, examples, outputs, z => Math.sqrt(sigmoidSlope(z))),
    sumHessian: (f, examples, outputs) => {
      const sum = new Float64Array(outputs * outputs)
      for (let n = 0; n < examples; n++) {
        for (let c = 0; c < outputs; c++) sum[c * outputs + c] += sigmoidSlope(f[n * outputs + c])
      }
      return sum
    },
    logNormaliser: () => 0,
    draw: (f, _examples, _outputs, random) => Float64Array.from(f, z => (random.uniform() < sigmoid(z) ? 1 : 0)),
    inverseLink: f => Float64Array.from(f, sigmoid),
  }
}

/** Seeds C x N x C of a diagonal Lambda whose root at output f is `root(f)`. */
export function diagonalSeeds(f: RealArray, examples: number, outputs: number, root: (z: number) => number): RealArray {
  const length = outputs * examples * outputs
  const seeds = zerosLike(f, length)
  for (let c = 0; c < outputs; c++) {
    for (let n = 0; n < examples; n++) seeds[(c * examples + n) * outputs + c] = root(f[n * outputs + c])
  }
  return seeds
}
