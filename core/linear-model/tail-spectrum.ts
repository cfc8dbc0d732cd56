/**
 * @file Traces of functions of H beside its known leading eigenvectors: Gauss quadrature by Lanczos' method from
 * random vectors (Golub and Meurant 2010; Ubaru, Chen and Saad 2017).
 */
import { symmetricEigen } from '../kernels/linear-algebra.js'
import { addTransposedTimes, matrixTimes } from '../kernels/matrix-vector.js'
import type { RandomGenerator } from '../tensor/random.js'
import { dot } from './conjugate-gradients.js'

/** Nodes and weights: tr f(H) beside the leading eigenvectors is about sum w f(node), where f(0) = 0. */
export interface TailSpectrum {
  readonly nodes: Float64Array
  readonly weights: Float64Array
}

/** H v for the rows v of a count x n matrix. */
export type BlockOperator = (vectors: Float64Array, count: number) => Promise<Float64Array>

/** How many random vectors, and steps from each. */
export interface QuadratureSize {
  readonly probes: number
  readonly steps: number
}

/**
 * The spectrum of (I - Q Q') H (I - Q Q').
 * @param leading Q, orthonormal rows, rank x n
 */
export async function tailSpectrum(times: BlockOperator, n: number, leading: Float64Array, random: RandomGenerator,
  { probes, steps }: QuadratureSize): Promise<TailSpectrum> {
  const chains = Array.from({ length: probes }, () => startChain(leading, n, random))
  for (let step = 0; step < steps; step++) {
    const vectors = new Float64Array(probes * n)
    chains.forEach(({ basis }, k) => {
      vectors.set(basis[basis.length - 1], k * n)
    })
    const products = await times(vectors, probes)
    chains.forEach((chain, k) => {
      extend(chain, products.slice(k * n, (k + 1) * n), leading, n)
    })
  }
  const rules = chains.map(quadrature)
  return { nodes: Float64Array.from(rules.flatMap(({ nodes }) => Array.from(nodes))),
    weights: Float64Array.from(rules.flatMap(({ weights }) => Array.from(weights, value => value / probes))) }
}

/** Lanczos' vectors, and the tridiagonal matrix of H in them. */
interface Chain {
  readonly squaredNorm: number
  readonly basis: Float64Array[]
  readonly diagonal: number[]
  readonly beside: number[]
}

function startChain(leading: Float64Array, n: number, random: RandomGenerator): Chain {
  // Signs have the least variance of the trace.
  const start = Float64Array.from({ length: n }, () => (random.uniform() < 0.5 ? -1 : 1))
  project(start, leading, n)
  const squaredNorm = dot(start, start)
  const norm = Math.sqrt(squaredNorm)
  return { squaredNorm, basis: [start.map(value => (norm > 0 ? value / norm : 0))], diagonal: [], beside: [] }
}

function extend({ basis, diagonal, beside }: Chain, image: Float64Array, leading: Float64Array, n: number): void {
  if (beside.length < diagonal.length) return
  project(image, leading, n)
  diagonal.push(dot(basis[basis.length - 1], image))
  // Against all vectors, as rounding brings those of large eigenvalues back.
  for (let round = 0; round < 2; round++) {
    for (const vector of basis) {
      const share = dot(vector, image)
      for (let i = 0; i < n; i++) image[i] -= share * vector[i]
    }
  }
  const norm = Math.sqrt(dot(image, image))
  if (!(norm > 1e-10 * Math.abs(diagonal[0]))) return
  beside.push(norm)
  basis.push(image.map(value => value / norm))
}

/** v - Q'Q v, in place. */
function project(v: Float64Array, leading: Float64Array, n: number): void {
  const rank = leading.length / Math.max(1, n)
  addTransposedTimes(rank, n, leading, matrixTimes(rank, n, leading, v, -1), v)
}

function quadrature({ squaredNorm, diagonal, beside }: Chain): TailSpectrum {
  const size = diagonal.length
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    matrix[i * size + i] = diagonal[i]
    if (i + 1 < size) matrix[i * size + i + 1] = matrix[(i + 1) * size + i] = beside[i]
  }
  const { values, vectors } = symmetricEigen(size, matrix)
  return { nodes: values.map(value => Math.max(0, value)),
    weights: Float64Array.from({ length: size }, (_, k) => squaredNorm * vectors[k] ** 2) }
}
