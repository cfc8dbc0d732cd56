/** @file Gaussian likelihood: Lambda is the identity; the noise sigma enters through the posterior's scale of H. */
import type { LikelihoodModel } from './likelihood.js'
import { diagonalSeeds } from './sigmoid.js'

/** loss = 1/2 sum (f - y)^2 over all outputs. */
export const regression: LikelihoodModel = {
  name: 'regression',
  hessianPattern: 'identity',
  targetWidth: outputs => outputs,
  loss: (f, y) => {
    let sum = 0
    for (let i = 0; i < f.length; i++) sum += (f[i] - y[i]) ** 2
    return sum / 2
  },
  residual: (f, y) => Float64Array.from(f, (mean, i) => mean - y[i]),
  hessianDiagonal: f => new Float64Array(f.length).fill(1),
  seedCount: outputs => outputs,
  hessianSeeds: (f, examples, outputs) => diagonalSeeds(f, examples, outputs, () => 1),
  sumHessian: (_f, examples, outputs) => identity(outputs, examples),
  logNormaliser: (sigmaNoise, examples, outputs) => -examples * outputs * Math.log(sigmaNoise * Math.sqrt(2 * Math.PI)),
  draw: (f, _examples, _outputs, random) => Float64Array.from(f, mean => mean + random.normal()),
  inverseLink: f => Float64Array.from(f),
}

function identity(size: number, value: number): Float64Array {
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) matrix[i * size + i] = value
  return matrix
}
