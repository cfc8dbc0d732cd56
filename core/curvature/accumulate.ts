/** @file Curvature sums from factored Jacobians: start at zero, add batch after batch, merge partial sums. */
import { InternalError } from '../errors/errors.js'
import type { LinearShape } from '../network/linear-shape.js'
import { slotsOfBlock } from '../network/parameter-blocks.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import type { KfacApproximation, SumShape } from '../options/words.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { jacobianOfBlock, zeroBlocks } from './blocks.js'
import type { Curvature } from './curvature.js'
import { accumulateDiagonal } from './diagonal.js'
import { accumulateFull } from './full.js'
import { blockArrays, mapPairs, mapPlain, type PlainBlock } from './kron-blocks.js'
import { accumulateKron, zeroKron } from './kron.js'

/**
 * The curvature of no data. `linears` tells kron which parameters are weights and biases of linear operators;
 * any other parameter gets a dense block of at most 64 entries, else a diagonal one.
 */
export function zeroCurvature({ structure, blocks = 'layer' }: SumShape, slots: readonly ParameterSlot[],
  linears: readonly LinearShape[]): Curvature {
  const size = parameterCount(slots)
  switch (structure) {
    case 'full':
      return { structure, size, matrix: new Float64Array(size * size) }
    case 'diag':
      return { structure, size, diagonal: new Float64Array(size) }
    case 'kron':
      return { structure, size, blocks: zeroKron(slots, linears) }
    case 'blockdiag':
      return { structure, size, blocks: zeroBlocks(blocks, slots, linears) }
  }
}

/** The curvature of no data, with the shape of another one. */
export function zeroLike(curvature: Curvature): Curvature {
  return withoutCurvature(curvature, curvature)
}

/**
 * Adds a batch: sum over its examples of J' Lambda J, where the Jacobian's seeds are the columns of Lambda's root.
 * The arrays of `sum` are updated in place: go on with the result and forget `sum`.
 * @param inputs false where the batch comes again with more seeds: what is summed of its inputs is summed once
 */
export function accumulateCurvature(sum: Curvature, slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  approximation: KfacApproximation = 'expand', inputs = true): Curvature {
  switch (sum.structure) {
    case 'full':
      accumulateFull(sum.matrix, sum.size, slots, jacobian)
      return sum
    case 'diag':
      accumulateDiagonal(sum.diagonal, slots, jacobian)
      return sum
    case 'kron':
      return { ...sum, blocks: accumulateKron(sum.blocks, jacobian, approximation, inputs) }
    case 'blockdiag':
      for (const { slots: own, matrix } of sum.blocks) {
        accumulateFull(matrix, Math.sqrt(matrix.length), slotsOfBlock(slots, own), jacobianOfBlock(jacobian, own))
      }
      return sum
  }
}

/**
 * The curvature of two disjoint sets of data together; neither argument is changed.
 * @throws InternalError when their structures or sizes differ (callers compare digests first)
 */
export function mergeCurvature(a: Curvature, b: Curvature): Curvature {
  return addCurvature(copyOf(a), b)
}

/** `mergeCurvature` in the arrays of `sum`: go on with the result and forget `sum`. */
export function addCurvature(sum: Curvature, more: Curvature): Curvature {
  if (sum.structure === 'full' && more.structure === 'full' && sum.size === more.size) {
    return { ...sum, matrix: add(sum.matrix, more.matrix) }
  }
  if (sum.structure === 'diag' && more.structure === 'diag' && sum.size === more.size) {
    return { ...sum, diagonal: add(sum.diagonal, more.diagonal) }
  }
  if (sum.structure === 'kron' && more.structure === 'kron' && sum.blocks.length === more.blocks.length) {
    return { ...sum, blocks: sum.blocks.map((block, i) => mapPairs(block, more.blocks[i], addBlock)) }
  }
  if (sum.structure === 'blockdiag' && more.structure === 'blockdiag' && sum.blocks.length === more.blocks.length) {
    return { ...sum,
      blocks: sum.blocks.map((block, i) => ({ ...block, matrix: add(block.matrix, more.blocks[i].matrix) })) }
  }
  throw new InternalError(
    `Curvatures of structure ${sum.structure} (${sum.size} parameters) and ${more.structure} (${more.size}) ` +
      'cannot be added.',
  )
}

/** The curvature of all data but some of them; neither argument is changed. */
export function withoutCurvature(whole: Curvature, part: Curvature): Curvature {
  const rest = copyOf(whole)
  const less = curvatureArrays(part)
  curvatureArrays(rest).forEach((values, i) => {
    for (let k = 0; k < values.length; k++) values[k] -= less[i][k]
  })
  if (rest.structure !== 'kron' || part.structure !== 'kron') return rest
  return { ...rest,
    blocks: rest.blocks.map((block, i) =>
      mapPairs(block, part.blocks[i], (own, less) =>
        own.kind === 'weight' && less.kind === 'weight' ? { ...own, rows: own.rows - less.rows } : own)
    ) }
}

function addBlock(block: PlainBlock, other: PlainBlock): PlainBlock {
  if (block.kind === 'weight' && other.kind === 'weight') {
    return { ...block, B: add(block.B, other.B), A: add(block.A, other.A), rows: block.rows + other.rows }
  }
  if (block.kind === 'dense' && other.kind === 'dense') return { ...block, B: add(block.B, other.B) }
  if (block.kind === 'diagonal' && other.kind === 'diagonal') {
    return { ...block, diagonal: add(block.diagonal, other.diagonal) }
  }
  throw new InternalError(
    `The curvature blocks of ${block.name} are of different kinds (${block.kind}, ${other.kind}).`,
  )
}

function copyOf(curvature: Curvature): Curvature {
  switch (curvature.structure) {
    case 'full':
      return { ...curvature, matrix: curvature.matrix.slice() }
    case 'diag':
      return { ...curvature, diagonal: curvature.diagonal.slice() }
    case 'kron':
      return { ...curvature, blocks: curvature.blocks.map(whole =>
        mapPlain(whole, block => (block.kind === 'weight'
          ? { ...block, A: block.A.slice(), B: block.B.slice() }
          : block.kind === 'dense'
          ? { ...block, B: block.B.slice() }
          : { ...block, diagonal: block.diagonal.slice() }))
      ) }
    case 'blockdiag':
      return { ...curvature, blocks: curvature.blocks.map(block => ({ ...block, matrix: block.matrix.slice() })) }
  }
}

function add(sum: Float64Array, more: Float64Array): Float64Array {
  if (sum.length !== more.length) {
    throw new InternalError(`Curvature arrays of ${sum.length} and ${more.length} numbers cannot be added.`)
  }
  for (let i = 0; i < sum.length; i++) sum[i] += more[i]
  return sum
}

/** The curvature of `factor` times as many data like these. */
export function scaledCurvature(curvature: Curvature, factor: number): Curvature {
  if (factor === 1) return curvature
  const scaled = (values: Float64Array): Float64Array => values.map(value => value * factor)
  switch (curvature.structure) {
    case 'full':
      return { ...curvature, matrix: scaled(curvature.matrix) }
    case 'diag':
      return { ...curvature, diagonal: scaled(curvature.diagonal) }
    case 'kron':
      // A is divided by its rows where it is used, so that B alone carries the amount of data.
      return { ...curvature, blocks: curvature.blocks.map(whole =>
        mapPlain(whole, block =>
          block.kind === 'diagonal'
            ? { ...block, diagonal: scaled(block.diagonal) }
            : { ...block, B: scaled(block.B) })
      ) }
    case 'blockdiag':
      return { ...curvature, blocks: curvature.blocks.map(block => ({ ...block, matrix: scaled(block.matrix) })) }
  }
}

/** The arrays of a curvature. */
export function curvatureArrays(curvature: Curvature): Float64Array[] {
  switch (curvature.structure) {
    case 'full':
      return [curvature.matrix]
    case 'diag':
      return [curvature.diagonal]
    case 'kron':
      return curvature.blocks.flatMap(blockArrays)
    case 'blockdiag':
      return curvature.blocks.map(({ matrix }) => matrix)
  }
}
