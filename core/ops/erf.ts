/**
 * @file The error function, to the last digits of float64.
 *
 * Taylor expansions about the multiples of 1/4 up to 6; beyond, erf is 1 in float64. The derivatives follow from
 * erf'(x) = 2/sqrt(pi) exp(-x^2): its n-th derivative is (-1)^n H_n(x) exp(-x^2) with Hermite polynomials H_n.
 */

/** Centres of the expansions in an interval of length 1. */
export const CENTRES_PER_UNIT = 4
/** Beyond, erf is 1. */
export const LIMIT = 6
/** At a distance of 1/8 the term of order 14 is below 1e-17 everywhere. */
export const TERMS = 15

/**
 * erf at a centre. Small ones by 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!, whose terms are all positive;
 * large ones by the continued fraction erfc(x) = exp(-x^2)/sqrt(pi) 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...)))).
 */
function erfAtCentre(x: number): number {
  if (x >= 2) {
    let fraction = x
    for (let n = 200; n > 0; n--) fraction = x + n / 2 / fraction
    return 1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction)
  }
  let term = x
  let sum = x
  for (let n = 1; term > sum * 1e-18; n++) {
    term *= 2 * x * x / (2 * n + 1)
    sum += term
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum
}

function makeTable(): Float64Array {
  const table = new Float64Array((LIMIT * CENTRES_PER_UNIT + 1) * TERMS)
  for (let i = 0; i <= LIMIT * CENTRES_PER_UNIT; i++) {
    const x = i / CENTRES_PER_UNIT
    const slope = 2 / Math.sqrt(Math.PI) * Math.exp(-x * x)
    table[i * TERMS] = erfAtCentre(x)
    let previous = 0
    let hermite = 1
    let factorial = 1
    for (let n = 1; n < TERMS; n++) {
      factorial *= n
      table[i * TERMS + n] = slope * (n % 2 === 1 ? hermite : -hermite) / factorial
      const next = 2 * x * hermite - 2 * (n - 1) * previous
      previous = hermite
      hermite = next
    }
  }
  return table
}

/** The coefficients of every expansion, one after the other. */
const erfTable = makeTable()

/** The coefficients of every expansion, one after the other, as the kernels read them. */
export const erfTables: { readonly float32: Float32Array, readonly float64: Float64Array } = {
  float32: Float32Array.from(erfTable),
  float64: erfTable,
}

/** The coefficients of one order at all centres, from 0 to `LIMIT`. */
export function erfCoefficients(order: number): Float64Array {
  return erfTable.filter((_, i) => i % TERMS === order)
}

/** erf(x), within 2 units in the last place of 1 and relatively accurate near 0. */
export function erf(x: number): number {
  const size = Math.abs(x)
  if (!(size < LIMIT)) return Number.isNaN(x) ? x : Math.sign(x)
  const centre = Math.round(size * CENTRES_PER_UNIT)
  const distance = size - centre / CENTRES_PER_UNIT
  const first = centre * TERMS
  let sum = erfTable[first + TERMS - 1]
  for (let n = TERMS - 2; n >= 0; n--) sum = sum * distance + erfTable[first + n]
  return x < 0 ? -sum : sum
}
