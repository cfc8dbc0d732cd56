/**
 * @file Blocks of parameters that a block-diagonal curvature keeps the covariances of: each is a full curvature of its
 * own tensors, in its own coordinates, and a full curvature is the case of one block.
 */
import type { LinearShape } from '../network/linear-shape.js'
import { blockSlots, placesOfBlock, slotsOfBlock } from '../network/parameter-blocks.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import type { BlockChoice } from '../options/words.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import type { DenseBlock, PosteriorCurvature } from './curvature.js'

/** What can name the parameters that it belongs to. */
type Owned =
  | { readonly kind: 'linear', readonly weight: number, readonly bias: number }
  | { readonly kind: 'direct', readonly parameter: number }

/** Those of a Jacobian's factors that use a block's tensors, numbered as there. */
export function factorsOfBlock<F extends Owned>(factors: readonly F[], block: readonly number[]): F[] {
  const own = (slot: number): number => block.indexOf(slot)
  const members: F[] = []
  for (const factor of factors) {
    if (factor.kind === 'direct') {
      const parameter = own(factor.parameter)
      if (parameter >= 0) members.push({ ...factor, parameter })
    } else {
      const [weight, bias] = [own(factor.weight), own(factor.bias)]
      if (weight >= 0 || bias >= 0) members.push({ ...factor, weight, bias })
    }
  }
  return members
}

/** The Jacobian by a block's parameters. */
export function jacobianOfBlock(jacobian: FactoredJacobian, block: readonly number[]): FactoredJacobian {
  return { ...jacobian, factors: factorsOfBlock(jacobian.factors, block) }
}

/** Blocks of zeros. */
export function zeroBlocks(choice: BlockChoice, slots: readonly ParameterSlot[],
  linears: readonly LinearShape[]): DenseBlock[] {
  return blockSlots(choice, slots, linears).map(block => {
    const size = parameterCount(slotsOfBlock(slots, block))
    return { slots: block, matrix: new Float64Array(size * size) }
  })
}

/** The columns of a block, count x its size, of vectors that are the rows of a count x P matrix. */
export function gathered(vectors: Float64Array, size: number, places: Int32Array): Float64Array {
  const count = vectors.length / size
  const own = new Float64Array(count * places.length)
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < places.length; i++) own[n * places.length + i] = vectors[n * size + places[i]]
  }
  return own
}

/** Puts the columns of a block into the rows of a count x P matrix. */
export function scatter(own: Float64Array, size: number, places: Int32Array, into: Float64Array): void {
  for (let i = 0; i < own.length; i++) {
    into[Math.floor(i / places.length) * size + places[i % places.length]] = own[i]
  }
}

/** The matrix of all parameters with these blocks, and zeros between them. */
export function assembled(blocks: readonly DenseBlock[], slots: readonly ParameterSlot[], size: number): Float64Array {
  const result = new Float64Array(size * size)
  for (const { slots: own, matrix } of blocks) {
    const places = placesOfBlock(slots, own)
    const n = places.length
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) result[places[i] * size + places[j]] = matrix[i * n + j]
    }
  }
  return result
}

/** A symmetric matrix of some parameters, and their places in theta, ascending. */
export interface PlacedMatrix {
  readonly places: Int32Array
  readonly matrix: Float64Array
}

/** The matrices of a curvature that is made of them, one for all parameters or one a block; undefined for others. */
export function denseMatrices(curvature: PosteriorCurvature, slots: readonly ParameterSlot[]):
  | PlacedMatrix[]
  | undefined {
  switch (curvature.structure) {
    case 'full':
      return [{ places: placesOfBlock(slots, slots.map((_, slot) => slot)), matrix: curvature.matrix }]
    case 'blockdiag':
      return curvature.blocks.map(({ slots: own, matrix }) => ({ places: placesOfBlock(slots, own), matrix }))
    default:
      return undefined
  }
}

/** What adds a row of the Hessian to a curvature of matrices: to its block, the columns that this has. */
export function rowAdder(curvature: PosteriorCurvature, slots: readonly ParameterSlot[]):
  | ((i: number, row: Float64Array) => void)
  | undefined {
  const owners = denseMatrices(curvature, slots)?.flatMap(({ places, matrix }) =>
    [...places].map((place, at) => [place, { places, line: matrix.subarray(at * places.length) }] as const)
  )
  if (owners === undefined) return undefined
  const lines = new Map(owners)
  return (i, row) => {
    const own = lines.get(i)
    own?.places.forEach((place, j) => {
      own.line[j] += row[place]
    })
  }
}
