/**
 * @file A new observation as nodes: of a regression, of counts, of numbers whose noise the network says itself. The
 * formulas of likelihood/poisson.ts and likelihood/heteroscedastic.ts.
 */
import { once } from '../posterior/posterior.js'
import type { Formulas } from './formulas.js'
import type { GaussianValues } from './links.js'

/** Moments of a new observation of K numbers, N x K each: see likelihood/observation.ts. */
export interface ObservationValues {
  readonly mean: () => string
  readonly aleatoric: () => string
  readonly epistemic: () => string
  /** The sum of both. */
  readonly variance: () => string
}

/**
 * For outputs f ~ N(mean, variance) and, of a regression, noise of sigma an output. Undefined where the likelihood says
 * nothing of a new observation in closed form.
 */
export function observationValues(f: Formulas, { likelihood, mean, variance, outputs }: GaussianValues,
  sigmaNoise: Float64Array): ObservationValues | undefined {
  switch (likelihood.name) {
    case 'regression':
      return regression(f, mean, once(() => variance.variance()), sigmaNoise)
    case 'poisson':
      return withSum(f, counts(f, mean, once(() => variance.variance())))
    case 'heteroscedastic':
      return withSum(f, ownNoise(f, mean, once(() => variance.variance()), outputs / 2))
    default:
      return undefined
  }
}

type Parts = Omit<ObservationValues, 'variance'>

function regression(f: Formulas, mean: string, variance: () => string, sigmaNoise: Float64Array): ObservationValues {
  const noise = (): string => f.matrix(sigmaNoise.map(sigma => sigma * sigma), [sigmaNoise.length])
  return { mean: () => mean, aleatoric: once(() => f.add(f.mul(variance(), 0), noise())), epistemic: variance,
    variance: once(() => f.add(variance(), noise())) }
}

/** E = exp(f + v/2), Var E = E^2 (exp v - 1), where exp v - 1 = tanh(v/2) (exp v + 1) keeps the digits of a small v. */
function counts(f: Formulas, mean: string, variance: () => string): Parts {
  const rate = once(() => f.apply('Exp', f.add(mean, f.div(variance(), 2))))
  return { mean: rate, aleatoric: rate, epistemic: once(() => {
    const growth = f.mul(f.apply('Tanh', f.div(variance(), 2)), f.add(f.apply('Exp', variance()), 1))
    return f.mul(f.mul(rate(), rate()), growth)
  }) }
}

/** Outputs (mu, s): E = mu, Var E = v_mu, and the noise exp(s + v_s/2). */
function ownNoise(f: Formulas, outputs: string, variance: () => string, targets: number): Parts {
  const places = (from: number): number[] => Array.from({ length: targets }, (_, k) => from + k)
  const of = (values: string, from: number): string => f.gather(values, places(from), 1)
  return { mean: once(() => of(outputs, 0)), epistemic: once(() => of(variance(), 0)),
    aleatoric: once(() => f.apply('Exp', f.add(of(outputs, targets), f.div(of(variance(), targets), 2)))) }
}

function withSum(f: Formulas, parts: Parts): ObservationValues {
  return { ...parts, variance: once(() => f.add(parts.aleatoric(), parts.epistemic())) }
}
