/** @file Linear algebra in fixed point of 640 binary digits after the point, for matrices that no double factors. */

const BITS = 640n

/** Exact for every double above 2^-500. */
export function extended(value: number): bigint {
  const exponent = value === 0 ? 0 : Math.max(-500, Math.floor(Math.log2(Math.abs(value))) - 60)
  const whole = BigInt(value / 2 ** exponent)
  return exponent < 0 ? (whole << BITS) >> BigInt(-exponent) : whole << (BITS + BigInt(exponent))
}

export function times(a: bigint, b: bigint): bigint {
  return (a * b) >> BITS
}

export function over(a: bigint, b: bigint): bigint {
  return (a << BITS) / b
}

export function toNumber(value: bigint): number {
  const digits = (value < 0n ? -value : value).toString(2).length
  const drop = BigInt(Math.max(0, digits - 60))
  return Number(value >> drop) * 2 ** Number(drop - BITS)
}

/** The factors of a symmetric positive matrix as L diag(d) L'. */
export interface Factors {
  readonly lower: bigint[][]
  readonly d: bigint[]
}

export function factors(matrix: readonly (readonly bigint[])[]): Factors {
  const lower: bigint[][] = []
  const d: bigint[] = []
  matrix.forEach((row, i) => {
    const scaled: bigint[] = []
    let pivot = row[i]!
    for (let j = 0; j < i; j++) {
      let sum = row[j]! << BITS
      for (let k = 0; k < j; k++) sum -= scaled[k]! * lower[j]![k]!
      scaled.push(sum >> BITS)
    }
    lower.push(scaled.map((value, j) => over(value, d[j]!)))
    for (let j = 0; j < i; j++) pivot -= times(scaled[j]!, lower[i]![j]!)
    d.push(pivot)
  })
  return { lower, d }
}

/** The solution of L diag(d) L' x = b. */
export function solve({ lower, d }: Factors, b: readonly bigint[]): bigint[] {
  const x = b.slice()
  for (let i = 0; i < x.length; i++) for (let j = 0; j < i; j++) x[i]! -= times(lower[i]![j]!, x[j]!)
  for (let i = 0; i < x.length; i++) x[i] = over(x[i]!, d[i]!)
  for (let i = x.length - 1; i >= 0; i--) for (let j = 0; j < i; j++) x[j]! -= times(lower[i]![j]!, x[i]!)
  return x
}

export function dot(a: readonly bigint[], b: readonly bigint[]): bigint {
  return a.reduce((sum, value, i) => sum + times(value, b[i]!), 0n)
}
