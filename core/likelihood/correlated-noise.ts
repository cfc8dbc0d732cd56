/**
 * @file Gaussian likelihood of several outputs whose noises are correlated: y ~ N(f, Sigma), Lambda = Sigma^-1.
 */
import { cholesky, choleskyInverse, packedLength, type RealArray, triangularInverse,
  zerosLike } from '../kernels/linear-algebra.js'
import type { LikelihoodModel } from './likelihood.js'
import { regression } from './regression.js'

/**
 * loss = 1/2 sum (f - y)' Sigma^-1 (f - y). The noise is part of H, so that the posterior's own sigma is 1.
 * @param covariance Sigma, C x C, symmetric and positive definite
 */
export function regressionWithCovariance(covariance: Float64Array): LikelihoodModel {
  const size = Math.round(Math.sqrt(covariance.length))
  const root = covariance.slice()
  cholesky(size, root)
  const logDet = root.reduce((sum, value, i) => sum + (i % (size + 1) === 0 ? 2 * Math.log(value) : 0), 0)
  /** L^-1 of Sigma = L L', so that Sigma^-1 = L^-T L^-1: its rows are the seeds. */
  const inverse = triangularInverse(size, root)
  const precision = choleskyInverse(size, root)
  const times = (matrix: Float64Array, r: RealArray): Float64Array =>
    Float64Array.from(r, (_, i) => {
      const [c, from] = [i % size, i - i % size]
      let sum = 0
      for (let d = 0; d < size; d++) sum += matrix[c * size + d] * r[from + d]
      return sum
    })
  const residual: LikelihoodModel['residual'] = (f, y) => times(precision, Float64Array.from(f, (z, i) => z - y[i]))
  return {
    ...regression,
    hessianPattern: 'dense',
    loss: (f, y, examples, outputs) =>
      residual(f, y, examples, outputs).reduce((sum, value, i) => sum + value * (f[i] - y[i]) / 2, 0),
    residual,
    hessianPairs: (f, examples) => {
      const width = packedLength(size)
      const row: number[] = []
      for (let c = 0; c < size; c++) for (let d = c; d < size; d++) row.push(precision[c * size + d])
      return like(f, examples * width, i => row[i % width])
    },
    hessianDiagonal: f => Float64Array.from(f, (_, i) => precision[i % size * (size + 1)]),
    hessianSeeds: (f, examples) =>
      like(f, size * examples * size, i => inverse[Math.floor(i / (examples * size)) * size + i % size]),
    sumHessian: (_f, examples) => precision.map(value => examples * value),
    draw: (f, examples, _outputs, random) => {
      const noise = times(root, Float64Array.from({ length: examples * size }, () => random.normal()))
      return noise.map((value, i) => f[i] + value)
    },
    logNormaliser: (sigmaNoise, examples, outputs) =>
      regression.logNormaliser(sigmaNoise, examples, outputs) - examples * logDet / 2,
  }
}

function like(f: RealArray, length: number, value: (i: number) => number): RealArray {
  const result = zerosLike(f, length)
  for (let i = 0; i < length; i++) result[i] = value(i)
  return result
}
