/**
 * @file The operations that variances are written in (posterior/functional-variance.ts) as nodes of a graph: layers are
 * multiplied in the network's precision, what is squared and summed is float64, as in kernel-operations.ts.
 */
import { InternalError } from '../errors/errors.js'
import { triangularSolveRight } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { type Eigenbasis, isThin } from '../posterior/eigenbasis.js'
import { once } from '../posterior/posterior.js'
import type { DirectGradient, LinearPair, PosteriorMatrix, ProductOptions, VarianceOperations,
  VarianceTerm } from '../posterior/variance-operations.js'
import { type Formulas, formulas } from './formulas.js'
import { type OutputVariance, sumOfVariances } from './output-variance.js'

/** A value whose last axis has `width` elements. */
export interface GraphRows {
  readonly name: string
  readonly width: number
}

type Term = VarianceTerm<GraphRows, GraphRows>
type Factor = LinearPair<GraphRows> | DirectGradient<GraphRows>

/** Two precisions: that of the network, and float64 for sums in which terms cancel. */
export interface GraphPrecisions {
  readonly network: Formulas
  readonly double: Formulas
}

/** The formulas of a graph in the network's precision and in float64. */
export function bothPrecisions(own: Formulas): GraphPrecisions {
  return { network: own, double: own.precision === 'float64' ? own : formulas(own.builder, 'float64') }
}

/** A value of the network in float64. */
export function asDouble({ network, double }: GraphPrecisions, name: string): string {
  return network === double ? name : double.real(name)
}

/** The operations for C outputs; Jacobian rows are C x N x P in float64. */
export function graphOperations(precisions: GraphPrecisions,
  outputs: number): VarianceOperations<GraphRows, GraphRows, OutputVariance> {
  const { network, double } = precisions
  return {
    product: (x, matrix, options) => product(network, x, matrix, options),
    rotate: (x, basis) => rotate(network, x, basis),
    square: ({ name, width }) => ({ name: network.mul(name, name), width }),
    withOnes: ({ name, width }, bias) => {
      const wide = asDouble(precisions, name)
      if (!bias) return { name: wide, width }
      return {
        name: double.builder.node('Pad', [wide, double.builder.integers([0, 0, 0, 1]),
          double.builder.scalar(1, 'float64')]),
        width: width + 1,
      }
    },
    jacobian: (slots, factors) => writtenOut(precisions, slots, factors, outputs),
    whiten: ({ name, width }, lower) => {
      const inverse = identity(width)
      triangularSolveRight(width, width, lower.values, inverse)
      return { name: double.matmul(name, double.matrix(inverse, [width, width])), width }
    },
    quadraticForms: (x, matrix, places) => quadraticForms(double, x, matrix, places, outputs),
    total: terms => sumOfVariances(double, Array.from(terms, term => ofTerm(precisions, term, outputs))),
  }
}

/** The n x n identity. */
export function identity(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0))
}

function product(f: Formulas, { name, width }: GraphRows, { values, rows, columns }: PosteriorMatrix,
  { transposed = false, plus }: ProductOptions = {}): GraphRows {
  const matrix = transposed ? transpose(values, rows, columns) : values
  const to = matrix.length / width
  const result = f.matmul(name, f.matrix(matrix, [width, to]))
  return { name: plus === undefined ? result : f.add(result, f.matrix(plus.values, [plus.columns])), width: to }
}

/** x Q: x U, and x - x U U' beside it where the basis is thin. */
function rotate(f: Formulas, x: GraphRows, basis: Eigenbasis): GraphRows {
  const { size, rank, vectors } = basis
  const matrix = { values: vectors, rows: size, columns: rank }
  const inside = product(f, x, matrix)
  if (!isThin(basis)) return inside
  const outside = f.sub(x.name, product(f, inside, matrix, { transposed: true }).name)
  return { name: f.concat([inside.name, outside], -1), width: rank + size }
}

/** Columns x rows of rows x columns. */
export function transpose(values: Float64Array, rows: number, columns: number): Float64Array {
  return values.map((_, i) => values[i % rows * columns + Math.floor(i / rows)])
}

/** One term's S: sum_k R[c, n, k] R[d, n, k] w[n, k]. */
function ofTerm(precisions: GraphPrecisions, term: Term, outputs: number): OutputVariance {
  const { double } = precisions
  if (term.kind === 'shared') return ofShared(precisions, term, outputs)
  const { rows, weights } = term
  const R = double.reshape(term.kind === 'pair' ? asDouble(precisions, rows.name) : rows.name, [outputs, -1,
    rows.width])
  if (weights === undefined) return ofRows(double, R, undefined)
  return ofRows(double, R, 'values' in weights
    ? double.matrix(weights.values, [1, weights.columns])
    : double.reshape(asDouble(precisions, weights.name), [-1, weights.width]))
}

/** S from R of C x N x K and w of N x K, or 1 x K, or N x 1; both float64. */
export function ofRows(f: Formulas, R: string, w: string | undefined): OutputVariance {
  const weighted = once(() => (w === undefined ? R : f.mul(R, w)))
  const sumOfProducts = (a: string, b: string): string => f.transpose(f.reduce('ReduceSum', f.mul(a, b), [-1]), [1, 0])
  return {
    variance: once(() => sumOfProducts(weighted(), R)),
    rowSums: once(() => sumOfProducts(weighted(), f.reduce('ReduceSum', R, [0], true))),
    covariance: once(() => f.matmul(f.transpose(weighted(), [1, 0, 2]), f.transpose(R, [1, 2, 0]))),
  }
}

/** One R for all rows: R diag(w_n) R'. */
function ofShared(precisions: GraphPrecisions, { rows, weights }: Extract<Term, { kind: 'shared' }>,
  outputs: number): OutputVariance {
  const { double: f } = precisions
  const R = rows?.values ?? identity(outputs)
  const size = R.length / outputs
  const w = once(() => ('values' in weights
    ? f.matrix(weights.values, [1, size])
    : f.reshape(asDouble(precisions, weights.name), [-1, size]))
  )
  const sums = Float64Array.from({ length: size }, (_, k) => sumOfColumn(R, size, k))
  const times = (values: Float64Array): string =>
    f.matmul(w(), f.matrix(transpose(values, outputs, size), [size, outputs]))
  return {
    variance: once(() => (rows === undefined ? w() : times(R.map(value => value * value)))),
    rowSums: once(() => (rows === undefined ? w() : times(R.map((value, i) => value * sums[i % size])))),
    covariance: once(() =>
      f.matmul(f.mul(f.unsqueeze(w(), [1]), f.matrix(R, [outputs, size])),
        f.matrix(transpose(R, outputs, size), [size, outputs]))
    ),
  }
}

function sumOfColumn(values: Float64Array, columns: number, column: number): number {
  let sum = 0
  for (let at = column; at < values.length; at += columns) sum += values[at]
  return sum
}

/** x' S[c, d] x of every row x, N x W. */
function quadraticForms(f: Formulas, { name, width }: GraphRows, { values, columns }: PosteriorMatrix,
  places: Int32Array, outputs: number): OutputVariance {
  const block = (c: number, d: number, i: number, j: number): number =>
    values[places[c * width + i] * columns + places[d * width + j]]
  /** x M as N x `count` x W, for M of W x (count W) with M[i, (k, j)] given, and its products with x. */
  const forms = (count: number, entry: (i: number, k: number, j: number) => number): string => {
    const matrix = new Float64Array(width * count * width)
    for (let i = 0, at = 0; i < width; i++) {
      for (let k = 0; k < count; k++) for (let j = 0; j < width; j++) matrix[at++] = entry(i, k, j)
    }
    const image = f.reshape(f.matmul(name, f.matrix(matrix, [width, count * width])), [-1, count, width])
    return f.reduce('ReduceSum', f.mul(image, f.unsqueeze(name, [1])), [-1])
  }
  return {
    variance: once(() => forms(outputs, (i, c, j) => block(c, c, i, j))),
    rowSums: once(() =>
      forms(outputs, (i, c, j) => {
        let sum = 0
        for (let d = 0; d < outputs; d++) sum += block(c, d, i, j)
        return sum
      })
    ),
    covariance: once(() =>
      f.reshape(forms(outputs * outputs, (i, k, j) => block(Math.floor(k / outputs), k % outputs, i, j)), [-1, outputs,
        outputs])
    ),
  }
}

/** The Jacobian of the slots, C x N x P, float64; each factor is added to the slots that it uses. */
export function writtenOut(precisions: GraphPrecisions, slots: readonly ParameterSlot[], factors: readonly Factor[],
  outputs: number): GraphRows {
  const { double: f } = precisions
  const parts = slots.map(() => [] as string[])
  for (const factor of factors) {
    if (factor.kind === 'direct') {
      parts[factor.parameter].push(
        f.reshape(asDouble(precisions, factor.gradient.name), [outputs, -1, slots[factor.parameter].size]),
      )
      continue
    }
    const { positions, out, in: inputs } = factor
    const g = f.reshape(asDouble(precisions, factor.g.name), [outputs, -1, positions, out])
    if (factor.bias >= 0) parts[factor.bias].push(f.reduce('ReduceSum', g, [2]))
    if (factor.weight < 0) continue
    const a = f.reshape(asDouble(precisions, factor.a.name), [-1, positions, inputs])
    parts[factor.weight].push(f.reshape(f.matmul(f.transpose(g, [0, 1, 3, 2]), a), [outputs, -1, out * inputs]))
  }
  const known = parts.find(part => part.length > 0)?.[0]
  if (known === undefined) throw new InternalError('No factor belongs to the parameters.')
  const blocks = parts.map((part, slot) => {
    if (part.length > 0) return part.reduce((a, b) => f.add(a, b))
    // What the outputs do not depend on: zeros for every example.
    return f.mul(f.reduce('ReduceSum', known, [-1], true), f.matrix(new Float64Array(slots[slot].size), [
      slots[slot].size,
    ]))
  })
  return { name: f.concat(blocks, 2), width: slots.reduce((sum, { size }) => sum + size, 0) }
}
