/** @file The operations of the variances as nodes of a graph: the same formulas, written down for any engine to run. */
import type { GraphBuilder } from '../../../core/graph/builder.js'
import { triangularInverse } from '../../../core/kernels/linear-algebra.js'
import { rotateTensor } from '../../../core/posterior/eigen-block.js'
import { writtenOperator } from '../../../core/posterior/functional-variance.js'
import type { VarianceKind } from '../../../core/posterior/variance-kind.js'
import type { DirectGradient, LinearPair, PosteriorMatrix, VarianceOperations,
  WrittenTerm } from '../../../core/posterior/variance-operations.js'
import { float64 } from '../../../core/tensor/tensor.js'

/**
 * Values are names: a of N x T x in, features of N x 1 x D, g of C x N x T x out, Jacobian rows of C x N x P.
 */
export function graphOperations(b: GraphBuilder, outputs: number,
  kind: VarianceKind): VarianceOperations<string, string, string> {
  const ops: VarianceOperations<string, string, string> = {
    product: (x, matrix, { transposed = false, plus } = {}) => {
      const result = b.node('MatMul', [x, constant(b, transposed ? transpose(matrix) : matrix)])
      return plus === undefined ? result : b.node('Add', [result, constant(b, plus)])
    },
    rotate: (x, { size, rank, vectors }) => {
      const u = constant(b, { values: vectors, rows: size, columns: rank })
      const inside = b.node('MatMul', [x, u])
      if (rank === size) return inside
      const image = b.node('MatMul', [inside, b.node('Transpose', [u], { perm: [1, 0] })])
      return b.node('Concat', [inside, b.node('Sub', [x, image])], { axis: -1 })
    },
    rotateTensor: (x, blocks) => {
      const size = blocks.reduce((sum, block) => sum + block.out * block.in, 0)
      const unit = Float64Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0))
      const values = rotateTensor(blocks, unit, size)
      return b.node('MatMul', [x, constant(b, { values, rows: size, columns: values.length / size })])
    },
    overPositions: (g, { positions, out }) =>
      b.node('ReduceSum', [b.node('Reshape', [g, b.integers([0, 0, positions, out])]), b.integers([2])], {
        keepdims: 1,
      }),
    square: x => b.node('Mul', [x, x]),
    withOnes: (x, bias) =>
      bias ? b.node('Pad', [x, b.integers([0, 0, 0, 0, 0, 1]), b.scalar(1)], { mode: 'constant' }) : x,
    jacobian: (slots, factors) =>
      b.node('Concat', slots.map(({ size }, slot) =>
        factors.flatMap(factor =>
          partsOf(b, factor, slot, size)
        ).reduce((sum, part) => b.node('Add', [sum, part]))
      ), { axis: 2 }),
    whiten: (rows, { values, rows: n }) =>
      b.node('MatMul', [rows, constant(b, transpose({ values: triangularInverse(n, values), rows: n, columns: n }))]),
    quadraticForms: (x, matrix, places) => {
      const blocks = blocksOf(b, matrix, places, outputs, kind)
      const flat = b.node('Reshape', [x, b.integers([0, -1])])
      const forms = b.node('Einsum', [flat, blocks, flat], { equation: 'ni,pij,nj->np' })
      return kind === 'diagonal' ? forms : b.node('Reshape', [forms, b.integers([0, outputs, outputs])])
    },
    total: terms =>
      [...terms].map(term => contract(b, term.kind === 'operator' ? writtenOperator(ops, term) : term, outputs, kind))
        .reduce((sum, term) => b.node('Add', [sum, term])),
  }
  return ops
}

/** sum_k R_ck R_c'k w_k with R as N x C x K and w as N x 1 x K, where N may be 1: it is broadcast. */
function contract(b: GraphBuilder, term: WrittenTerm<string, string>, outputs: number, kind: VarianceKind): string {
  const rows = term.kind === 'shared' ? sharedRows(b, term.rows, outputs) : b.node('Transpose', [
    term.kind === 'pair' ? b.node('Reshape', [term.rows, b.integers([0, 0, -1])]) : term.rows,
  ], { perm: [1, 0, 2] })
  const weights = typeof term.weights === 'object' ? constant(b, term.weights) : term.weights
  const scaled = weights === undefined ? rows : b.node('Mul', [rows, weights])
  return kind === 'diagonal'
    ? b.node('ReduceSum', [b.node('Mul', [scaled, rows]), b.integers([2])], { keepdims: 0 })
    : b.node('MatMul', [scaled, b.node('Transpose', [rows], { perm: [0, 2, 1] })])
}

function sharedRows(b: GraphBuilder, rows: PosteriorMatrix | undefined, outputs: number): string {
  const values = rows?.values ??
    Float64Array.from({ length: outputs * outputs }, (_, i) => i % (outputs + 1) === 0 ? 1 : 0)
  return b.constant(float64([1, outputs, values.length / outputs], values))
}

/** What a factor adds to the Jacobian of a slot, C x N x size. */
function partsOf(b: GraphBuilder, factor: LinearPair<string> | DirectGradient<string>, slot: number,
  size: number): string[] {
  if (factor.kind === 'direct') return factor.parameter === slot ? [factor.gradient] : []
  const { weight, bias, a, g } = factor
  const outer = (): string => b.node('Einsum', [g, a], { equation: 'cnto,nti->cnoi' })
  return [
    ...(weight === slot ? [b.node('Reshape', [outer(), b.integers([0, 0, size])])] : []),
    ...(bias === slot ? [b.node('ReduceSum', [g, b.integers([2])], { keepdims: 0 })] : []),
  ]
}

/** The wanted blocks of a symmetric matrix: C x W x W, or C C x W x W. */
function blocksOf(b: GraphBuilder, { values, columns }: PosteriorMatrix, places: Int32Array, outputs: number,
  kind: VarianceKind): string {
  const width = places.length / outputs
  const numbers: number[] = []
  for (let c = 0; c < outputs; c++) {
    for (let d = 0; d < outputs; d++) {
      if (kind === 'diagonal' && c !== d) continue
      for (let i = 0; i < width; i++) {
        for (let j = 0; j < width; j++) numbers.push(values[places[c * width + i] * columns + places[d * width + j]])
      }
    }
  }
  return b.constant(float64([numbers.length / width ** 2, width, width], numbers))
}

function transpose({ values, rows, columns }: PosteriorMatrix): PosteriorMatrix {
  return { rows: columns, columns: rows,
    values: values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]) }
}

function constant(b: GraphBuilder, { values, rows, columns }: PosteriorMatrix): string {
  return b.constant(float64([rows, columns], values))
}
