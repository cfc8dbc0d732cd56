/**
 * @file The leading eigenpairs of a symmetric matrix that is known by products alone: the method of Lanczos, which
 * begins again from the best vectors found whenever as many as may be held are there (thick restart; Wu and Simon
 * 2000). Every vector is made orthogonal to all before it, so that no eigenvalue is found twice by rounding.
 */
import { leaveBehind } from '../budget/garbage.js'
import { type CancelSignal, throwIfCancelled } from '../budget/progress.js'
import { gemm, symmetricEigen } from '../kernels/linear-algebra.js'
import { randomGenerator } from '../tensor/random.js'
import { dot } from './conjugate-gradients.js'
import type { Eigenpairs } from './leading-eigenpairs.js'

/** The residual of an eigenpair over its eigenvalue below which it is found. */
const SETTLED = 1e-9
const ROUNDING = 1e-14
/** Most products, in fillings of all vectors. */
const MOST_FILLINGS = 100
/** Numbers of a block of all vectors that are turned at once. */
const BLOCK_NUMBERS = 1 << 20

/** What is looked for. */
export interface LeadingPairs {
  /** Rows of the matrix. */
  readonly size: number
  readonly wanted: number
  /** Vectors that are held, with one more: above `wanted` unless that is all there are. */
  readonly held: number
  /** Which eigenvalues lead. */
  readonly by: 'value' | 'size'
  /** The error of a product over the largest eigenvalue: no residual can settle below it. */
  readonly noise: number
  readonly seed: number
  readonly signal: CancelSignal | undefined
  /** Is told which share of the products is done, as far as the residuals tell. */
  readonly told?: (share: number) => void
}

/** Vectors that find so many eigenpairs of a matrix in few products, and the fewest that find them. */
export function lanczosVectors(wanted: number, size: number): { readonly usual: number, readonly fewest: number } {
  return { usual: Math.min(size, 2 * wanted + 10), fewest: Math.min(size, wanted + 4) }
}

/** Products that find the leading eigenpairs of a curvature, as a rule: its eigenvalues fall fast. */
export function usualProducts(wanted: number, size: number): number {
  return 3 * lanczosVectors(wanted, size).usual
}

/** Eigenpairs, and whether their residuals settled. */
export interface FoundPairs extends Eigenpairs {
  readonly converged: boolean
}

/**
 * The leading eigenpairs, the first ones first.
 * @param times the product of the matrix with a vector
 * @throws CancelledError
 */
export async function leadingPairs(pairs: LeadingPairs,
  times: (vector: Float64Array) => Promise<Float64Array>): Promise<FoundPairs> {
  const { size, held, noise, signal, told } = pairs
  const wanted = Math.min(pairs.wanted, held)
  const random = randomGenerator(pairs.seed)
  const basis = new Float64Array((held + 1) * size)
  basis.set(unit(size, basis.subarray(0, 0), random))
  let inner = new Float64Array(held * held)
  let [before, since, anew] = [new Float64Array(wanted).fill(Infinity), 0, false]
  for (let [kept, products] = [0, 0];;) {
    let coupling = 0
    for (let j = kept; j < held; j++) {
      throwIfCancelled(signal)
      const image = await times(basis.slice(j * size, (j + 1) * size))
      products++
      coupling = addVector(basis, inner, image, { j, held, size }, random)
      leaveBehind(2 * image.byteLength)
      anew ||= coupling === 0 && j + 1 < size
      told?.(Math.min(1, products / (kept === 0 ? 2 * held : products + held)))
    }
    const { values, turn } = ritzPairs(inner, held, pairs.by)
    const leading = values.slice(0, wanted)
    const settles = (error: number, k: number): boolean =>
      Math.abs(error) <= Math.max(SETTLED * Math.abs(leading[k]), noise * Math.abs(leading[0]))
    if (!leading.every((value, k) => settles(value - before[k], k))) since = products
    before = leading
    // What a random vector begins may reach what no vector before it could: an eigenvalue once more.
    const converged = held === size || (!anew || products - since >= held)
        && leading.every((_, k) => settles(coupling * turn[k * held + held - 1], k))
    if (converged || products >= MOST_FILLINGS * held) {
      turnRows(basis, turn, wanted, held, size)
      return { values: leading, vectors: basis.slice(0, wanted * size), converged }
    }
    kept = wanted + Math.floor((held - wanted) / 2)
    turnRows(basis, turn, kept, held, size)
    basis.copyWithin(kept * size, held * size)
    inner = new Float64Array(held * held)
    for (let k = 0; k < kept; k++) inner[k * held + k] = values[k]
  }
}

/** Where a vector stands: in row j of at most `held`, of so many numbers. */
interface Place {
  readonly j: number
  readonly held: number
  readonly size: number
}

/**
 * Puts the part of an image that is orthogonal to the basis behind row j, at length 1, and its products with the basis
 * into the inner matrix; a random vector where the basis spans the image. Returns the length of the part.
 */
function addVector(basis: Float64Array, inner: Float64Array, image: Float64Array, { j, held, size }: Place,
  random: ReturnType<typeof randomGenerator>): number {
  const known = basis.subarray(0, (j + 1) * size)
  const products = takeAway(known, image)
  let largest = 0
  products.forEach((value, i) => {
    inner[j * held + i] = inner[i * held + j] = value
    largest = Math.max(largest, Math.abs(value))
  })
  const length = Math.sqrt(dot(image, image))
  const next = basis.subarray((j + 1) * size, (j + 2) * size)
  if (j + 1 === size) return 0
  if (length > ROUNDING * largest) {
    for (let i = 0; i < size; i++) next[i] = image[i] / length
    return length
  }
  next.set(unit(size, known, random))
  return 0
}

/** A random vector of length 1 that is orthogonal to some rows. */
function unit(size: number, rows: Float64Array, random: ReturnType<typeof randomGenerator>): Float64Array {
  const vector = random.fillNormal(new Float64Array(size))
  takeAway(rows, vector)
  const length = Math.sqrt(dot(vector, vector))
  return vector.map(value => value / length)
}

/** Takes away from a vector what orthonormal rows reach of it, twice for rounding; its products with the rows. */
function takeAway(rows: Float64Array, vector: Float64Array): Float64Array {
  const count = rows.length / vector.length
  const all = new Float64Array(count)
  for (let round = 0; count > 0 && round < 2; round++) {
    const products = new Float64Array(count)
    gemm(false, true, 1, count, vector.length, 1, vector, rows, 0, products)
    gemm(false, false, 1, vector.length, count, -1, products, rows, 1, vector)
    products.forEach((value, i) => all[i] += value)
  }
  return all
}

/** Eigenvalues of the inner matrix, the leading ones first, and rows that turn the basis into their vectors. */
function ritzPairs(inner: Float64Array, count: number,
  by: LeadingPairs['by']): { readonly values: Float64Array, readonly turn: Float64Array } {
  const { values, vectors } = symmetricEigen(count, inner.slice())
  const rank = by === 'value' ? (value: number) => value : Math.abs
  const order = Array.from(values.keys()).sort((a, b) => rank(values[b]) - rank(values[a]))
  return { values: Float64Array.from(order, i => values[i]),
    turn: Float64Array.from({ length: count * count },
      (_, at) => vectors[at % count * count + order[Math.floor(at / count)]]) }
}

/** Turns rows of a basis into the first `kept` combinations of them, in place, some columns at a time. */
function turnRows(basis: Float64Array, turn: Float64Array, kept: number, count: number, size: number): void {
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / count))
  for (let from = 0; from < size; from += step) {
    const width = Math.min(step, size - from)
    const [block, turned] = [new Float64Array(count * width), new Float64Array(kept * width)]
    for (let k = 0; k < count; k++) {
      block.set(basis.subarray(k * size + from, k * size + from + width), k * width)
    }
    gemm(false, false, kept, width, count, 1, turn.subarray(0, kept * count), block, 0, turned)
    for (let k = 0; k < kept; k++) basis.set(turned.subarray(k * width, (k + 1) * width), k * size + from)
  }
}
