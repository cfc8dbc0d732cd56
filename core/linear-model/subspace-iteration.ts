/**
 * @file Subspace iteration (Halko, Martinsson and Tropp 2011): the leading eigenpairs of a symmetric matrix that is
 * known by products with it alone.
 */
import { checkBytes } from '../budget/memory.js'
import { type CancelSignal, throwIfCancelled } from '../budget/progress.js'
import { randomGenerator } from '../tensor/random.js'
import { orthonormalRows } from './leading-eigenpairs.js'

/** Vectors beside those that are wanted. */
const SPARE_VECTORS = 10

/** How many vectors of a size are iterated for so many eigenpairs. @throws ResourceError OUT_OF_MEMORY */
export function iteratedVectors(wanted: number, size: number): number {
  const count = Math.min(size, 2 * wanted + SPARE_VECTORS)
  checkBytes('The vectors of the posterior', 16 * count * size, 'Use a smaller rank (option rank).')
  return count
}

/** What is iterated, and when it ends. */
export interface Iteration {
  readonly count: number
  readonly size: number
  /** Eigenvalues, of the count, that must settle. */
  readonly wanted: number
  readonly seed: number
  readonly mostPasses: number
  /** The change of them over the largest that ends the iteration. */
  readonly settled: number
  readonly signal: CancelSignal | undefined
}

/** An orthonormal basis, count x size, its images under the matrix, and what was found within its span. */
export interface Subspace<Ritz> {
  readonly basis: Float64Array
  readonly images: Float64Array
  readonly ritz: Ritz
}

/**
 * The leading subspace, from seeded random vectors on.
 * @param times products of the matrix with the rows of a basis
 * @param within eigenvalues of the matrix within the span of a basis, the leading ones first
 * @throws CancelledError
 */
export async function leadingSubspace<Ritz extends { readonly values: Float64Array }>(
  { count, size, wanted, seed, mostPasses, settled, signal }: Iteration,
  times: (basis: Float64Array) => Promise<Float64Array>,
  within: (basis: Float64Array, images: Float64Array) => Ritz,
): Promise<Subspace<Ritz>> {
  let basis = randomGenerator(seed).fillNormal(new Float64Array(count * size))
  let before: Float64Array = new Float64Array(count)
  for (let pass = 1;; pass++) {
    throwIfCancelled(signal)
    basis = orthonormalRows(count, basis)
    const images = await times(basis)
    const ritz = within(basis, images)
    const { values } = ritz
    const done = values.subarray(0, wanted)
      .every((value, k) => Math.abs(value - before[k]) <= settled * Math.abs(values[0]))
    if (done || pass === mostPasses) return { basis, images, ritz }
    before = values
    basis = images
  }
}
