/**
 * @file Gaussian likelihood whose noise the network says itself: outputs (mu_1 ... mu_K, s_1 ... s_K) of K targets, the
 * variance of target k being exp(s_k).
 */
import { type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import { normalQuantile } from '../kernels/normal-quantile.js'
import type { LikelihoodModel } from './likelihood.js'
import type { Observation, ObservationMoments } from './observation.js'

/**
 * loss = 1/2 sum s + (y - mu)^2 exp(-s). Lambda is the Fisher matrix, diag(exp(-s), 1/2): the Hessian depends on the
 * target and is not positive where a residual is small.
 */
export const heteroscedastic: LikelihoodModel = {
  name: 'heteroscedastic',
  hessianPattern: 'diagonal',
  targetWidth: outputs => outputs / 2,
  loss: (f, y, _examples, outputs) => {
    let sum = 0
    eachTarget(f, outputs, (mu, s, target) => {
      sum += f[s] + (y[target] - f[mu]) ** 2 * Math.exp(-f[s])
    })
    return sum / 2
  },
  residual: (f, y, _examples, outputs) => {
    const residual = new Float64Array(f.length)
    eachTarget(f, outputs, (mu, s, target) => {
      const precision = Math.exp(-f[s])
      const error = f[mu] - y[target]
      residual[mu] = precision * error
      residual[s] = 0.5 * (1 - precision * error * error)
    })
    return residual
  },
  hessianDiagonal: lambda,
  seedCount: outputs => outputs,
  hessianSeeds: (f, examples, outputs) => {
    const diagonal = lambda(f, examples, outputs)
    const length = outputs * examples * outputs
    const seeds = zerosLike(f, length)
    for (let i = 0; i < f.length; i++) {
      const c = i % outputs
      seeds[(c * examples + (i - c) / outputs) * outputs + c] = Math.sqrt(diagonal[i])
    }
    return seeds
  },
  sumHessian: (f, examples, outputs) => {
    const sum = new Float64Array(outputs * outputs)
    lambda(f, examples, outputs).forEach((value, i) => {
      sum[(i % outputs) * (outputs + 1)] += value
    })
    return sum
  },
  logNormaliser: (_sigma, examples, outputs) => -examples * outputs / 4 * Math.log(2 * Math.PI),
  draw: (f, _examples, outputs, random) => {
    const y = new Float64Array(f.length / 2)
    eachTarget(f, outputs, (mu, s, target) => {
      y[target] = f[mu] + Math.exp(f[s] / 2) * random.normal()
    })
    return y
  },
  inverseLink: (f, _examples, outputs) =>
    Float64Array.from(f, (value, i) => isMean(i, outputs) ? value : Math.exp(value)),
  observation: observation(),
}

function isMean(i: number, outputs: number): boolean {
  return i % outputs < outputs / 2
}

/** exp(-s) for the means, 1/2 for the log variances, N x C. */
function lambda(f: RealArray, _examples: number, outputs: number): Float64Array {
  return Float64Array.from(f, (_, i) => isMean(i, outputs) ? Math.exp(-f[i + outputs / 2]) : 0.5)
}

/** Calls with the places of mu and s among the outputs and of y among the targets. */
function eachTarget(f: RealArray, outputs: number, visit: (mu: number, s: number, target: number) => void): void {
  const targets = outputs / 2
  for (let target = 0; target < f.length / 2; target++) {
    const k = target % targets
    const mu = (target - k) * 2 + k
    visit(mu, mu + targets, target)
  }
}

/** N x K numbers, each from the places of its mu and s among the outputs. */
function ofTargets(f: RealArray, outputs: number, value: (mu: number, s: number) => number): Float64Array {
  const values = new Float64Array(f.length / 2)
  eachTarget(f, outputs, (mu, s, target) => {
    values[target] = value(mu, s)
  })
  return values
}

/**
 * exp s of a Gaussian s has the mean exp(s + v_s/2), so that Var[y] = v_mu + exp(s + v_s/2); mu and s may depend on
 * each other without changing it. Quantiles are those of the Gaussian with this mean and variance.
 */
function observation(): Observation {
  const moments = (f: Float64Array, v: Float64Array, _examples: number, outputs: number): ObservationMoments => ({
    mean: ofTargets(f, outputs, mu => f[mu]),
    aleatoric: ofTargets(f, outputs, (_, s) => Math.exp(f[s] + v[s] / 2)),
    epistemic: ofTargets(f, outputs, mu => v[mu]),
  })
  return {
    means: (f, _examples, outputs) => ofTargets(f, outputs, mu => f[mu]),
    variances: (f, _examples, outputs) => ofTargets(f, outputs, (_, s) => Math.exp(f[s])),
    moments,
    nll: (f, v, y, examples, outputs) => {
      const { mean, aleatoric, epistemic } = moments(f, v, examples, outputs)
      return y.reduce((sum, value, i) => {
        const variance = aleatoric[i] + epistemic[i]
        return sum + 0.5 * (Math.log(2 * Math.PI * variance) + (value - mean[i]) ** 2 / variance)
      }, 0) / y.length
    },
    quantiles: (p, f, v, examples, outputs) => {
      const { mean, aleatoric, epistemic } = moments(f, v, examples, outputs)
      return mean.map((value, i) => value + normalQuantile(p) * Math.sqrt(aleatoric[i] + epistemic[i]))
    },
    meanQuantiles: (p, f, v, _examples, outputs) =>
      ofTargets(f, outputs, mu => f[mu] + normalQuantile(p) * Math.sqrt(Math.max(0, v[mu]))),
  }
}
