/** @file What a posterior will need, said before it is allocated. */
import { formatBytes } from '../budget/memory.js'
import { ResourceError } from '../errors/errors.js'
import type { LinearShape } from '../network/linear-shape.js'
import { blockSizes } from '../network/parameter-blocks.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import type { SumShape } from '../options/words.js'
import { decompositionBytes, inputFactors, usesThinSide } from './factor-shape.js'

const DOUBLE = 8

/**
 * Bytes of the sums over data: full P x P; blockdiag the same of each block; kron: both factors of every weight;
 * diag: P.
 */
export function sumBytes({ structure, blocks = 'layer' }: SumShape, slots: readonly ParameterSlot[],
  linears: readonly LinearShape[]): number {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  switch (structure) {
    case 'full':
      return DOUBLE * size * size
    case 'diag':
      return DOUBLE * size
    case 'blockdiag':
      return DOUBLE * blockSizes(blocks, slots, linears).reduce((sum, own) => sum + own * own, 0)
    case 'kron':
      return DOUBLE *
        linears.reduce(
          (sum, { in: inputs, out, bias, groups = 1 }) =>
            sum + groups * (inputs * inputs + (bias < 0 ? 1 : 2) * out * out),
          0,
        )
  }
}

/**
 * Bytes that the posterior of a structure needs at its peak, the curvature with its factorisation: of the largest
 * matrix a copy that is decomposed and, in the kernels' memory, another one with as much to work in.
 * full: H and its eigenvectors or Cholesky factor; blockdiag: the same of each block; kron: the factors and their
 * eigenvectors (of A those of its range alone where it is thin), and H's eigenvalues with the posterior's variances in
 * float64 and, for predictions, in float32; diag: these alone.
 * @param rows of the data, by which factors are thin; without them none is
 */
export function posteriorBytes(shape: SumShape, slots: readonly ParameterSlot[], linears: readonly LinearShape[],
  rows = Infinity): number {
  return restingBytes(shape, slots, linears, rows) + decomposingBytes(shape, slots, linears, rows)
}

/** The part of them that is held when everything is decomposed. */
export function restingBytes(shape: SumShape, slots: readonly ParameterSlot[], linears: readonly LinearShape[],
  rows = Infinity): number {
  const sums = sumBytes(shape, slots, linears)
  switch (shape.structure) {
    case 'full':
      return 2.5 * sums
    case 'diag':
      return 3.5 * sums
    case 'blockdiag':
      return 2.5 * sums
    case 'kron': {
      const thin = inputFactors(linears, rows).filter(usesThinSide)
      const saved = thin.reduce((sum, { size, rank }) => sum + size * (size - rank), 0)
      const coordinates = thin.reduce((sum, { out, rank }) => sum + out * rank, parameterCount(slots))
      return 2.5 * sums - 1.5 * DOUBLE * saved + 2.5 * DOUBLE * coordinates
    }
  }
}

/** What the largest matrix is decomposed in; one is after another. */
function decomposingBytes(shape: SumShape, slots: readonly ParameterSlot[], linears: readonly LinearShape[],
  rows: number): number {
  const square = (size: number): number => 3 * DOUBLE * size ** 2
  switch (shape.structure) {
    case 'full':
      return square(parameterCount(slots))
    case 'diag':
      return 0
    case 'blockdiag':
      return square(Math.max(0, ...blockSizes(shape.blocks ?? 'layer', slots, linears)))
    case 'kron': {
      const factors = inputFactors(linears, rows)
      return Math.max(0, ...factors.filter(usesThinSide).map(decompositionBytes),
        ...factors.map(factor => square(Math.max(factor.out, usesThinSide(factor) ? 0 : factor.size))))
    }
  }
}

/**
 * Checks a posterior's need against the limit.
 * @param rows of the data so far
 * @throws ResourceError OUT_OF_MEMORY naming both, and what to use instead
 */
export function checkMemory(shape: SumShape, slots: readonly ParameterSlot[], linears: readonly LinearShape[],
  limit: number, rows: number): void {
  const { structure } = shape
  const bytes = posteriorBytes(shape, slots, linears, rows)
  if (bytes <= limit) return
  const alternatives = (['kron', 'diag'] as const).filter(other =>
    other !== structure && posteriorBytes({ structure: other }, slots, linears, rows) <= limit
  )
  throw new ResourceError('OUT_OF_MEMORY',
    `A ${structure} posterior of these parameters would need ${formatBytes(bytes)}, more than the limit of ${
      formatBytes(limit)
    } (option memoryLimit). ` +
      (alternatives.length > 0
        ? `Use structure ${alternatives.join(' or ')}, or subset last_layer.`
        : 'Use subset last_layer.'), { structure, needed: bytes, limit, alternatives })
}
