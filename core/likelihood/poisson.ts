/** @file Poisson likelihood of counts: each output is the logarithm of a rate. */
import { logGamma } from '../kernels/gamma.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { normalQuantile } from '../kernels/normal-quantile.js'
import type { RandomGenerator } from '../tensor/random.js'
import type { LikelihoodModel } from './likelihood.js'
import type { Observation } from './observation.js'
import { countLogProbability, countQuantile } from './poisson-mixture.js'
import { diagonalSeeds } from './sigmoid.js'

/**
 * loss = sum exp(f) - y f + log y!, the whole negative log-likelihood: what depends on y alone has no other place.
 * Lambda = diag(exp f). Targets are not negative; those that are no whole numbers count by the gamma function.
 */
export const poisson: LikelihoodModel = {
  name: 'poisson',
  hessianPattern: 'diagonal',
  targetWidth: outputs => outputs,
  loss: (f, y) => {
    let sum = 0
    for (let i = 0; i < f.length; i++) sum += Math.exp(f[i]) - y[i] * f[i] + logGamma(y[i] + 1)
    return sum
  },
  residual: (f, y) => Float64Array.from(f, (z, i) => Math.exp(z) - y[i]),
  hessianDiagonal: rates,
  seedCount: outputs => outputs,
  hessianSeeds: (f, examples, outputs) => diagonalSeeds(f, examples, outputs, z => Math.exp(z / 2)),
  sumHessian: (f, _examples, outputs) => {
    const sum = new Float64Array(outputs * outputs)
    for (let i = 0; i < f.length; i++) sum[(i % outputs) * (outputs + 1)] += Math.exp(f[i])
    return sum
  },
  logNormaliser: () => 0,
  draw: (f, _examples, _outputs, random) => Float64Array.from(f, z => drawCount(z, random)),
  inverseLink: rates,
  observation: observation(),
}

function rates(f: RealArray): Float64Array {
  return Float64Array.from(f, Math.exp)
}

/** exp f of a Gaussian f is log-normal: E = exp(f + v/2), Var = E^2 (exp v - 1); a count's variance is its rate. */
function observation(): Observation {
  return {
    means: rates,
    variances: rates,
    moments: (f, v) => {
      const mean = f.map((z, i) => Math.exp(z + v[i] / 2))
      return { mean, aleatoric: mean.slice(), epistemic: mean.map((rate, i) => rate * rate * Math.expm1(v[i])) }
    },
    nll: (f, v, y) => -y.reduce((sum, count, i) => sum + countLogProbability(count, f[i], v[i]), 0) / y.length,
    quantiles: (p, f, v) => f.map((z, i) => countQuantile(p, z, v[i])),
    meanQuantiles: (p, f, v) => f.map((z, i) => Math.exp(z + normalQuantile(p) * Math.sqrt(Math.max(0, v[i])))),
  }
}

/** Rates beyond which a count is drawn as a Gaussian, rounded: its skewness is below a hundredth there. */
const LARGE_RATE = 1e4
/** exp(-rate) must not be 0: larger rates are drawn in parts, whose counts add up. */
const PART = 500

/** A count of the rate exp f, by the product of uniform numbers (Knuth 1969). */
function drawCount(f: number, random: RandomGenerator): number {
  let rate = Math.exp(f)
  if (rate > LARGE_RATE) return Math.max(0, Math.round(rate + Math.sqrt(rate) * random.normal()))
  let count = 0
  for (; rate > 0; rate -= PART) {
    const least = Math.exp(-Math.min(PART, rate))
    for (let product = random.uniform(); product > least; product *= random.uniform()) count++
  }
  return count
}
