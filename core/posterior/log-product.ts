/** @file Sums of many logarithms, one logarithm for several factors. */

/** The factors gathered so far stay within these bounds, far from overflow. */
const LARGEST = 1e120
const SMALLEST = 1e-120

/** sum log v over the first `count` numbers, which are positive. */
export function sumOfLogarithms(values: Float64Array, count = values.length): number {
  let sum = 0
  let product = 1
  for (let i = 0; i < count; i++) {
    const next = product * values[i]
    // Far from the limits of float64: a product that reached 0 or infinity would make the whole sum infinite.
    if (next > SMALLEST && next < LARGEST) product = next
    else {
      sum += Math.log(product) + Math.log(values[i])
      product = 1
    }
  }
  return sum + Math.log(product)
}
