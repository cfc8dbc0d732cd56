/** @file Sums of many logarithms, one logarithm for several factors. */

/** The factors gathered so far stay within these bounds, far from overflow. */
const LARGEST = 1e120
const SMALLEST = 1e-120

/** The logarithm of a product of positive numbers that is given factor by factor. */
export function logarithmOfProduct(): { multiply(factor: number): void, value(): number } {
  let product = 1
  let sum = 0
  return {
    multiply(factor) {
      const next = product * factor
      if (next > SMALLEST && next < LARGEST) { product = next; return }
      sum += Math.log(product) + Math.log(factor)
      product = 1
    },
    value: () => sum + Math.log(product),
  }
}
