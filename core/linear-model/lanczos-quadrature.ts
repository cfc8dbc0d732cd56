/**
 * @file Gauss quadrature by the tridiagonal matrix of Lanczos (Golub and Meurant 2010): b' g(A) b = |b|^2 e1' g(T) e1,
 * the sum of g over the eigenvalues of T, each with the square of its eigenvector's first number.
 */
import { firstComponents } from '../kernels/plain-eigen.js'
import type { Tridiagonal } from './conjugate-solutions.js'

/** Eigenvalues, and how often each counts: no whole number, as the sums are estimates. */
export interface SpectralDensity {
  readonly values: Float64Array
  readonly multiplicities: Float64Array
}

/**
 * The eigenvalues of A - 1 as far as draws b from N(0, A) tell: E b' A^-1 h(A) b = tr h(A), so that sums over them are
 * unbiased estimates of traces, log |A| among them (Ubaru, Chen and Saad 2017, whose draws are of N(0, 1)).
 * @param squares |b|^2 of every draw
 */
export function densityBeyondOne(lanczos: readonly Tridiagonal[], squares: Float64Array): SpectralDensity {
  const values: number[] = []
  const multiplicities: number[] = []
  lanczos.forEach(({ diagonal, beside }, k) => {
    const rule = firstComponents(Float64Array.from(diagonal), Float64Array.from(beside))
    rule.values.forEach((value, i) => {
      // Eigenvalues of 1 are directions that the data say nothing of.
      if (value <= 1) return
      values.push(value - 1)
      multiplicities.push(squares[k] * rule.components[i] ** 2 / (value * lanczos.length))
    })
  })
  return { values: Float64Array.from(values), multiplicities: Float64Array.from(multiplicities) }
}

/** The sum of a function over the eigenvalues. */
export function sumOver({ values, multiplicities }: SpectralDensity, of: (value: number) => number): number {
  return values.reduce((sum, value, i) => sum + multiplicities[i] * of(value), 0)
}
