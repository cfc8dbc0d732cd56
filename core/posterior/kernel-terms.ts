/**
 * @file The sum of the terms of a variance, sum_k R[c, n, k] R[c', n, k] w[n, k], by the matrix kernels.
 *
 * One formula, evaluated in ways that differ in what the examples share: dot products of rows where each has its R and
 * w, or of one operator's rows, each multiplied out where it is read; products of a few examples' Jacobian rows; one
 * matrix product for all where R is shared.
 */
import { arenaArray, arenaScope } from '../kernels/arena.js'
import { addWeightedRowDots, gemm, type RealArray, syrk } from '../kernels/linear-algebra.js'
import { addOperatorTerm } from './operator-term.js'
import { eachPair, type OutputLayout, pairCount, sumOfRows, totalRow } from './term-pairs.js'
import { putVariances, varianceNumbers, withRowSums } from './variance-kind.js'
import type { VarianceTerm } from './variance-operations.js'

/** Rows of a Jacobian of `size` columns that are written out when they are read, a few examples at a time. */
export interface JacobianRows {
  readonly size: number
  /** Rows of the examples `from` to `to`: (to - from) x C x size, example-major, in an array that may be changed. */
  read(from: number, to: number): Float64Array
}

type Term = VarianceTerm<RealArray, JacobianRows>

/** Bytes of one block of Jacobian rows, as many as are worth being solved as one matrix. */
const BLOCK_BYTES = 1 << 24

/** What is wanted of every example, on the heap. */
export function sumOfTerms(terms: Iterable<Term>, layout: OutputLayout): Float64Array {
  /** A row for every pair of rows of R, with the sums of all examples: what the kernels add to without a gap. */
  let pairs: Float64Array | undefined
  let result: Float64Array | undefined
  const sums = (): Float64Array =>
    pairs ??= arenaArray(new Float64Array(0), pairCount(layout) * layout.examples).fill(0)
  const add = (term: Term): void => {
    switch (term.kind) {
      case 'pair':
        addRowProducts(sums(), term, layout)
        break
      case 'operator':
        addOperatorTerm(sums(), term.pair, term.block, layout)
        break
      case 'jacobian':
        result = added(result, squaredRows(term.weights === undefined
          ? term.rows
          : weightedRows(term.rows, term.weights.values), layout))
        break
      case 'shared':
        result = added(result, sharedTerm(term, layout))
    }
  }
  const iterator = terms[Symbol.iterator]()
  const addNext = (): boolean => {
    const { value, done } = iterator.next()
    if (done !== true) add(value)
    return done !== true
  }
  // Once the sums have their place, what a term is made of (the pairs of a layer, rotated) is free with the next one.
  for (let more = true; more;) more = pairs === undefined ? addNext() : arenaScope(addNext)
  if (pairs !== undefined) result = added(result, fromPairs(pairs, layout))
  return result ?? new Float64Array(resultLength(layout))
}

function added(sum: Float64Array | undefined, term: Float64Array): Float64Array {
  return sum === undefined ? term : sum.map((value, i) => value + term[i])
}

function resultLength({ outputs, examples, kind }: OutputLayout): number {
  return examples * varianceNumbers(kind, outputs)
}

/** Sums of pairs, pairs x N, as what is wanted of every example. */
function fromPairs(pairs: Float64Array, layout: OutputLayout): Float64Array {
  const { outputs, examples, kind } = layout
  const result = new Float64Array(resultLength(layout))
  const width = pairCount(layout)
  eachPair(layout, (c, d, pair) => {
    for (let n = 0, at = pair * examples; n < examples; n++, at++) {
      if (kind !== 'covariance') result[n * width + pair] = pairs[at]
      else result[(n * outputs + c) * outputs + d] = result[(n * outputs + d) * outputs + c] = pairs[at]
    }
  })
  return result
}

/** Each example with its own R and w, C x N x K and N x K of one precision (the kernel reads both as R's). */
function addRowProducts(pairs: Float64Array, { rows, weights }: Extract<Term, { kind: 'pair' }>,
  layout: OutputLayout): void {
  const { examples } = layout
  const block = weights.length
  const sum = layout.kind === 'sums' ? totalRow(rows, layout, () => arenaArray(rows, block)) : rows
  const row = (c: number): RealArray => (c === layout.outputs ? sum : rows.subarray(c * block, (c + 1) * block))
  eachPair(layout, (c, d, pair) => {
    addWeightedRowDots(block / examples, row(c), row(d), weights,
      pairs.subarray(pair * examples, (pair + 1) * examples))
  })
}

/** Calls `visit` with the Jacobian rows of a few examples at a time. */
function eachBlock({ size, read }: JacobianRows, { outputs, examples }: OutputLayout,
  visit: (rows: Float64Array, from: number, to: number) => void): void {
  const step = Math.max(1, Math.floor(BLOCK_BYTES / (8 * outputs * size)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    visit(read(from, to), from, to)
  }
}

/** Rows R diag(w)^1/2, for one w of K numbers for all examples. */
function weightedRows({ size, read }: JacobianRows, weights: Float64Array): JacobianRows {
  const roots = weights.map(Math.sqrt)
  return { size, read: (from, to) => {
    const rows = read(from, to)
    for (let at = 0; at < rows.length; at += size) for (let k = 0; k < size; k++) rows[at + k] *= roots[k]
    return rows
  } }
}

/** Squared norms of Jacobian rows, and R R' of each example. */
function squaredRows(rows: JacobianRows, layout: OutputLayout): Float64Array {
  const { outputs, examples, kind } = layout
  const width = outputs * rows.size
  const variances = new Float64Array(examples * outputs)
  const covariances = new Float64Array(kind === 'covariance' ? examples * outputs * outputs : 0)
  const sums = new Float64Array(kind === 'sums' ? examples * outputs : 0)
  const sum = new Float64Array(rows.size)
  eachBlock(rows, layout, (block, from, to) => {
    putSquaredNorms(block, rows.size, variances.subarray(from * outputs, to * outputs))
    if (kind === 'diagonal') return
    for (let n = from; n < to; n++) {
      const own = block.subarray((n - from) * width, (n - from + 1) * width)
      if (kind === 'sums') {
        gemm(false, false, outputs, 1, rows.size, 1, own, totalRow(own, layout, () => sum), 0,
          sums.subarray(n * outputs, (n + 1) * outputs))
      } else gemm(false, true, outputs, outputs, rows.size, 1, own, own, 0, matrixOf(covariances, n, outputs))
    }
  })
  if (kind === 'diagonal') return variances
  if (kind === 'sums') return withRowSums(variances, sums, outputs)
  putVariances(covariances, variances, outputs)
  return covariances
}

/** In place: rows may be hundreds of megabytes, which kernels would copy. */
function putSquaredNorms(rows: Float64Array, size: number, norms: Float64Array): void {
  const whole = size - size % 4
  for (let r = 0; r < norms.length; r++) {
    let [s0, s1, s2, s3] = [0, 0, 0, 0]
    const end = r * size + whole
    for (let i = r * size; i < end; i += 4) {
      s0 += rows[i] * rows[i]
      s1 += rows[i + 1] * rows[i + 1]
      s2 += rows[i + 2] * rows[i + 2]
      s3 += rows[i + 3] * rows[i + 3]
    }
    for (let i = end; i < (r + 1) * size; i++) s0 += rows[i] * rows[i]
    norms[r] = s0 + s1 + (s2 + s3)
  }
}

/** One R for all examples, C x K, the identity where it is undefined; w is N x K, or 1 x K for all of them. */
function sharedTerm({ rows, weights }: Extract<Term, { kind: 'shared' }>, layout: OutputLayout): Float64Array {
  if (ArrayBuffer.isView(weights)) {
    // A copy: in float64 as R is, and where the arena's next use does not overwrite what may become the result.
    return sharedRows(rows?.values, Float64Array.from(weights), layout)
  }
  const own = sharedRows(rows?.values, weights.values, { ...layout, examples: 1 })
  return new Float64Array(resultLength(layout)).map((_, i) => own[i % own.length])
}

/** Variances and row sums of all examples are products w (R^2)' and w (R diag R'1)'; (R diag w) R' is one of each. */
function sharedRows(rows: Float64Array | undefined, weights: Float64Array,
  { outputs, examples, kind }: OutputLayout): Float64Array {
  const size = weights.length / examples
  const variances = rows === undefined ? weights : new Float64Array(examples * outputs)
  if (rows !== undefined) {
    gemm(false, true, examples, outputs, size, 1, weights, sharedFactors(rows, size).squares, 0, variances)
  }
  if (kind === 'diagonal') return variances
  if (kind === 'sums') return withRowSums(variances, sharedSums(rows, weights, size, outputs), outputs)
  const covariances = new Float64Array(examples * outputs * outputs)
  if (rows !== undefined) putCovariances(covariances, rows, weights, size, outputs)
  putVariances(covariances, variances, outputs)
  return covariances
}

/** R diag(w_n) R' 1 of every example n: N x C. */
function sharedSums(rows: Float64Array | undefined, weights: Float64Array, size: number,
  outputs: number): Float64Array {
  if (rows === undefined) return weights
  const examples = weights.length / size
  const result = new Float64Array(examples * outputs)
  gemm(false, true, examples, outputs, size, 1, weights, sharedFactors(rows, size).timesSum, 0, result)
  return result
}

/** What products with a shared R need: R^2, and R diag(R' 1). */
interface SharedFactors {
  readonly squares: Float64Array
  readonly timesSum: Float64Array
}

/** Of posteriors that are in use: made anew they would cost a prediction of one row more than all the rest. */
const factorsInUse = new WeakMap<Float64Array, SharedFactors>()
/** Beyond so many numbers they are made anew: they would take twice the memory of R. */
const MOST_KEPT = 1 << 22

function sharedFactors(rows: Float64Array, size: number): SharedFactors {
  const known = factorsInUse.get(rows)
  if (known !== undefined) return known
  const [squares, timesSum, sum] = [new Float64Array(rows.length), new Float64Array(rows.length),
    sumOfRows(rows, new Float64Array(size))]
  for (let at = 0; at < rows.length; at += size) {
    for (let k = 0; k < size; k++) {
      const value = rows[at + k]
      squares[at + k] = value * value
      timesSum[at + k] = value * sum[k]
    }
  }
  const factors = { squares, timesSum }
  if (rows.length <= MOST_KEPT) factorsInUse.set(rows, factors)
  return factors
}

/** R diag(w_n) R' of every example n, as the Gram matrix of diag(w_n)^1/2 R': half the multiplications. */
function putCovariances(covariances: Float64Array, rows: Float64Array, weights: Float64Array, size: number,
  outputs: number): void {
  const scaled = new Float64Array(size * outputs)
  for (let n = 0; n * size < weights.length; n++) {
    for (let k = 0, at = 0; k < size; k++) {
      const root = Math.sqrt(weights[n * size + k])
      for (let c = 0; c < outputs; c++, at++) scaled[at] = root * rows[c * size + k]
    }
    syrk(outputs, size, 1, scaled, 0, matrixOf(covariances, n, outputs))
  }
}

function matrixOf(matrices: Float64Array, n: number, outputs: number): Float64Array {
  return matrices.subarray(n * outputs * outputs, (n + 1) * outputs * outputs)
}
