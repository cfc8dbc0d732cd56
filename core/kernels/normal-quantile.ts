/**
 * @file Quantiles of the standard normal distribution: Wichura (1988), Algorithm AS 241, routine PPND16.
 *
 * A special function of one number, so that it lies at the bottom, beside exp and tanh: intervals of a prediction and
 * scores of intervals both need it, and neither room may import the other.
 */

/** Rational approximations, numerator and denominator by rising powers, as the paper prints them. */
interface Rational {
  readonly numerator: readonly number[]
  readonly denominator: readonly number[]
}

/** |p - 1/2| <= 0.425, in 0.180625 - (p - 1/2)^2. */
const CENTRE: Rational = {
  numerator: [3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3],
  denominator: [1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
    3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3],
}

/** The tails as far as r = sqrt(-log(tail probability)) <= 5, in r - 1.6. */
const NEAR_TAIL: Rational = {
  numerator: [1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
    1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4],
  denominator: [1, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
    1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9],
}

/** Further out, in r - 5. */
const FAR_TAIL: Rational = {
  numerator: [6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7],
  denominator: [1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15],
}

function valueAt({ numerator, denominator }: Rational, x: number): number {
  return horner(numerator, x) / horner(denominator, x)
}

function horner(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0)
}

/**
 * The z with Phi(z) = p, relative error about 1e-15; -Infinity at 0, Infinity at 1, NaN outside of 0 to 1.
 *
 * Near p = 1 the digits of 1 - p are lost before they arrive here: ask for -normalQuantile(1 - p) with the small
 * probability itself.
 * @example
 * normalQuantile(0.975)   // 1.95996398454005
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) return p === 0 ? -Infinity : p === 1 ? Infinity : NaN
  const q = p - 0.5
  if (Math.abs(q) <= 0.425) return q * valueAt(CENTRE, 0.180625 - q * q)
  const r = Math.sqrt(-Math.log(Math.min(p, 1 - p)))
  const size = r <= 5 ? valueAt(NEAR_TAIL, r - 1.6) : valueAt(FAR_TAIL, r - 5)
  return q < 0 ? -size : size
}

/** Half the width of the central interval of a level (0 to 1) of a standard normal: 1.96 for 0.95. */
export function centralHalfWidth(level: number): number {
  return -normalQuantile((1 - level) / 2)
}
