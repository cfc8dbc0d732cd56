/**
 * @file The operations that variances are written in (posterior/functional-variance.ts) as nodes of a graph: layers are
 * multiplied in the network's precision, what is squared and summed is float64, as in kernel-operations.ts.
 */
import { InternalError } from '../errors/errors.js'
import { symmetricEigen, transposed, triangularSolveRight } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { rowWidth, type TensorBlocks } from '../posterior/eigen-block.js'
import { coordinates, type Eigenbasis, fromCoordinates, isThin } from '../posterior/eigenbasis.js'
import { writtenOperator } from '../posterior/functional-variance.js'
import { once } from '../posterior/posterior.js'
import type { DirectGradient, LinearPair, PosteriorMatrix, ProductOptions, VarianceOperations,
  WrittenTerm } from '../posterior/variance-operations.js'
import { identity } from '../tensor/identity.js'
import { joined } from '../tensor/joined.js'
import { sizeOf } from '../tensor/tensor.js'
import { type Formulas, formulas } from './formulas.js'
import { type OutputVariance, sumOfVariances } from './output-variance.js'

/** A value whose last axis has `width` elements; of `ones`, the last of them is 1 and not written. */
export interface GraphRows {
  readonly name: string
  readonly width: number
  readonly ones?: boolean
}

type Term = WrittenTerm<GraphRows, GraphRows>
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

/** A float64 value in the network's precision. */
export function asNetwork({ network, double }: GraphPrecisions, name: string): string {
  return network === double ? name : network.real(name)
}

/** The operations for C outputs; Jacobian rows are C x N x P in float64. */
export function graphOperations(precisions: GraphPrecisions,
  outputs: number): VarianceOperations<GraphRows, GraphRows, OutputVariance> {
  const { network, double } = precisions
  const ops: VarianceOperations<GraphRows, GraphRows, OutputVariance> = {
    product: (x, matrix, options) => product(network, x, matrix, options),
    rotate: (x, basis) => rotate(network, x, basis),
    rotateTensor: (x, blocks) => rotateTensor(precisions, x, blocks, outputs),
    overPositions: ({ name }, { positions, out }) => ({ width: out,
      name: asNetwork(precisions,
        double.reduce('ReduceSum', double.reshape(asDouble(precisions, name), [outputs, -1, positions, out]), [2])) }),
    square: ({ name, width }) => ({ name: network.mul(name, name), width }),
    withOnes: ({ name, width }, bias) => (bias ? { name, width: width + 1, ones: true } : { name, width }),
    jacobian: (slots, factors) => writtenOut(precisions, slots, factors, outputs),
    whiten: ({ name, width }, lower) => {
      const inverse = identity(width)
      triangularSolveRight(width, width, lower.values, inverse)
      return { name: double.matmul(name, double.matrix(inverse, [width, width])), width }
    },
    quadraticForms: (x, matrix, places) => quadraticForms(precisions, x, matrix, places, outputs),
    total: terms =>
      sumOfVariances(double, Array.from(terms, term =>
        ofTerm(precisions, term.kind === 'operator' ? writtenOperator(ops, term) : term, outputs))),
  }
  return ops
}

/** x M; the row of M that meets ones which are not written is added. */
export function product(f: Formulas, { name, width, ones = false }: GraphRows,
  { values, rows, columns }: PosteriorMatrix, { transposed: turned = false, plus }: ProductOptions = {}): GraphRows {
  const matrix = turned ? transposed(values, rows, columns) : values
  const to = matrix.length / width
  const written = width - Number(ones)
  const result = f.matmul(name, f.matrix(matrix.subarray(0, written * to), [written, to]))
  const last = ones ? matrix.subarray(written * to) : plus?.values
  return { name: last === undefined ? result : f.add(result, f.matrix(last, [to])), width: to }
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

/** U_B' G Q_A of every group's part G of a gradient of C x N x size: groups x out x in, all of one size. */
function rotateTensor(precisions: GraphPrecisions, x: GraphRows, blocks: TensorBlocks, outputs: number): GraphRows {
  const { double: f } = precisions
  const [{ out, in: inputs }] = blocks
  const groups = blocks.length
  const width = rowWidth(blocks[0])
  const parts = f.reshape(asDouble(precisions, x.name), [outputs, -1, groups, out, inputs])
  const rights = joined(blocks.map(({ right }) => (right === undefined ? identity(inputs) : basisMatrix(right))))
  const inside = f.matmul(parts, f.matrix(rights, [groups, inputs, width]))
  const lefts = joined(blocks.map(({ left }) => (left === undefined ? identity(out) : transposed(left, out, out))))
  const rotated = blocks.every(({ left }) => left === undefined)
    ? inside
    : f.matmul(f.matrix(lefts, [groups, out, out]), inside)
  return { name: f.reshape(rotated, [outputs, -1, groups * out * width]), width: groups * out * width }
}

/** Q of size x coordinates. */
function basisMatrix(basis: Eigenbasis): Float64Array {
  const width = coordinates(basis)
  return transposed(fromCoordinates(basis, identity(width), width), width, basis.size)
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
    centred: once(() => {
      const own = f.sub(R, f.reduce('ReduceMean', R, [0], true))
      return sumOfProducts(w === undefined ? own : f.mul(own, w), own)
    }),
    covariance: once(() => f.matmul(f.transpose(weighted(), [1, 0, 2]), f.transpose(R, [1, 2, 0]))),
  }
}

/** One R for all rows: R diag(w_n) R'. In sums of squares nothing cancels: they keep the network's precision. */
function ofShared(precisions: GraphPrecisions, { rows, weights }: Extract<Term, { kind: 'shared' }>,
  outputs: number): OutputVariance {
  const { network, double } = precisions
  const R = rows?.values ?? identity(outputs)
  const size = R.length / outputs
  const narrow = once(() => ('values' in weights
    ? network.matrix(weights.values, [1, size])
    : network.reshape(weights.name, [-1, size]))
  )
  const w = once(() => asDouble(precisions, narrow()))
  const sums = Float64Array.from({ length: size }, (_, k) => sumOfColumn(R, size, k))
  const times = (f: Formulas, of: string, values: Float64Array): string =>
    f.matmul(of, f.matrix(transposed(values, outputs, size), [size, outputs]))
  const squares = (own: Float64Array): string => asDouble(precisions, times(network, narrow(), own.map(r => r * r)))
  return {
    variance: once(() => (rows === undefined ? w() : squares(R))),
    centred: once(() => squares(R.map((value, i) => value - sums[i % size] / outputs))),
    rowSums: once(() => (rows === undefined ? w() : times(double, w(), R.map((value, i) => value * sums[i % size])))),
    covariance: once(() =>
      double.matmul(double.mul(double.unsqueeze(w(), [1]), double.matrix(R, [outputs, size])),
        double.matrix(transposed(R, outputs, size), [size, outputs]))
    ),
  }
}

function sumOfColumn(values: Float64Array, columns: number, column: number): number {
  let sum = 0
  for (let at = column; at < values.length; at += columns) sum += values[at]
  return sum
}

/** x' S[c, d] x of every row x, N x W. */
function quadraticForms(precisions: GraphPrecisions, x: GraphRows, { values, columns }: PosteriorMatrix,
  places: Int32Array, outputs: number): OutputVariance {
  const { double: f } = precisions
  const { width } = x
  const block = (c: number, d: number): Float64Array => blockOf(values, columns, places, width, c, d)
  /** The mean over d of the symmetric parts of S[c, d], for every c. */
  const means = once(() =>
    Array.from({ length: outputs }, (_, c) =>
      meanOf(Array.from({ length: outputs }, (_, d) => symmetricPart(block(c, d), width))))
  )
  /** x' M x, N x count. */
  const forms = (matrices: readonly Float64Array[]): string => {
    const own = writtenOnes(precisions, x)
    const image = f.matmul(own, f.matrix(besideEachOther(matrices, width), [width, matrices.length * width]))
    return f.reduce('ReduceSum', f.mul(f.reshape(image, [-1, matrices.length, width]), f.unsqueeze(own, [1])), [-1])
  }
  let hasCentred = false
  const centred = once(() => {
    hasCentred = true
    const all = meanOf(means())
    return squaredImages(precisions, x,
      means().map((mean, c) => block(c, c).map((value, i) => value - 2 * mean[i] + all[i])))
  })
  return {
    variance: once(() => {
      const common = hasCentred ? commonDiagonal(means(), width) : undefined
      return common === undefined
        ? squaredImages(precisions, x, Array.from({ length: outputs }, (_, c) => block(c, c)))
        : f.add(centred(), asDouble(precisions, squaresTimes(precisions.network, x, common)))
    }),
    centred,
    rowSums: once(() => forms(means().map(mean => mean.map(value => value * outputs)))),
    covariance: once(() =>
      f.reshape(forms(Array.from({ length: outputs ** 2 }, (_, k) => block(Math.floor(k / outputs), k % outputs))), [-1,
        outputs, outputs])
    ),
  }
}

/** x' M x = |R x|^2 of positive semidefinite matrices M = R'R, N x count: products cancel in no sum of squares. */
function squaredImages(precisions: GraphPrecisions, x: GraphRows, matrices: readonly Float64Array[]): string {
  const { network: f } = precisions
  const { width } = x
  const roots = besideEachOther(matrices.map(matrix => rootOf(matrix, width)), width)
  const images = product(f, x, { values: roots, rows: width, columns: matrices.length * width })
  return asDouble(precisions, f.reduce('ReduceSumSquare', f.reshape(images.name, [-1, matrices.length, width]), [-1]))
}

/**
 * The diagonal d, where every matrix is diag(d): the common shift of softmax's logits, which no data can tell, has its
 * prior variance, so that S_cc = (variance of f_c - mean f) + x' diag(d) x.
 */
function commonDiagonal(matrices: readonly Float64Array[], size: number): Float64Array | undefined {
  const d = Float64Array.from({ length: size }, (_, i) => matrices[0][i * (size + 1)])
  const tolerance = COMMON_TOLERANCE * d.reduce((a, b) => Math.min(a, b), Infinity)
  const same = matrices.every(matrix =>
    matrix.every((value, at) => Math.abs(value - (at % (size + 1) === 0 ? d[at / (size + 1)] : 0)) <= tolerance)
  )
  return same ? d : undefined
}

/** Of the sums that rounding leaves beside zero, over the least number of the diagonal. */
const COMMON_TOLERANCE = 1e-10

/** sum_i d_i x_i^2, N x 1. */
function squaresTimes(f: Formulas, x: GraphRows, d: Float64Array): string {
  return product(f, { ...x, name: f.mul(x.name, x.name) }, { values: d, rows: d.length, columns: 1 }).name
}

/** R' with M = R'R: eigenvectors in columns, times the roots of their values; what rounding puts below 0 is 0. */
function rootOf(matrix: Float64Array, size: number): Float64Array {
  const { values, vectors } = symmetricEigen(size, matrix)
  return vectors.map((value, i) => value * Math.sqrt(Math.max(0, values[i % size])))
}

/** Matrices of `size` rows as one. */
function besideEachOther(matrices: readonly Float64Array[], size: number): Float64Array {
  const width = matrices.length * size
  const result = new Float64Array(size * width)
  matrices.forEach((matrix, k) => {
    for (let i = 0; i < size; i++) result.set(matrix.subarray(i * size, (i + 1) * size), i * width + k * size)
  })
  return result
}

function blockOf(values: Float64Array, columns: number, places: Int32Array, width: number, c: number,
  d: number): Float64Array {
  const block = new Float64Array(width * width)
  for (let i = 0, at = 0; i < width; i++) {
    const row = places[c * width + i] * columns
    for (let j = 0; j < width; j++) block[at++] = values[row + places[d * width + j]]
  }
  return block
}

function symmetricPart(matrix: Float64Array, size: number): Float64Array {
  return matrix.map((value, at) => (value + matrix[at % size * size + Math.floor(at / size)]) / 2)
}

function meanOf(matrices: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(matrices[0].length)
  for (const matrix of matrices) matrix.forEach((value, at) => sum[at] += value)
  return sum.map(value => value / matrices.length)
}

/** A value in float64 with its ones written. */
function writtenOnes(precisions: GraphPrecisions, { name, ones = false }: GraphRows): string {
  const { builder } = precisions.double
  const wide = asDouble(precisions, name)
  return ones ? builder.node('Pad', [wide, builder.integers([0, 0, 0, 1]), builder.scalar(1, 'float64')]) : wide
}

/** The Jacobian of the slots, C x N x P, float64; each factor is added to the slots that it uses. */
export function writtenOut(precisions: GraphPrecisions, slots: readonly ParameterSlot[], factors: readonly Factor[],
  outputs: number): GraphRows {
  const { double: f } = precisions
  const parts = slots.map(() => [] as string[])
  for (const factor of factors) {
    if (factor.kind === 'direct') {
      const size = sizeOf(slots[factor.parameter].shape)
      parts[factor.parameter].push(f.reshape(asDouble(precisions, factor.gradient.name), [outputs, -1, size]))
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
    const { size, elements } = slots[slot]
    // What the outputs do not depend on: zeros for every example.
    if (part.length === 0) {
      return f.mul(f.reduce('ReduceSum', known, [-1], true), f.matrix(new Float64Array(size), [size]))
    }
    const whole = part.reduce((a, b) => f.add(a, b))
    return elements === undefined ? whole : f.gather(whole, Array.from(elements), 2)
  })
  return { name: f.concat(blocks, 2), width: slots.reduce((sum, { size }) => sum + size, 0) }
}
