/** @file H and the posterior precision as users see them, in the shape of their structure. */
import { checkBytes } from '../budget/memory.js'
import { assembled } from '../curvature/blocks.js'
import type { Curvature, KronBlock, LowRankCurvature, PosteriorCurvature,
  ProcessCurvature } from '../curvature/curvature.js'
import { plainBlocks } from '../curvature/kron-blocks.js'
import { OptionError } from '../errors/errors.js'
import { syrk } from '../kernels/linear-algebra.js'
import { placesOfBlock } from '../network/parameter-blocks.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { hessianFactor } from '../options/hyperparameters.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import { ekfacMatrix } from './ekfac.js'
import { priorByParameter, priorByTensor, type StructuredPosterior } from './posterior.js'

/**
 * The block of one tensor, B kron A for a row-major out x in weight; `dense` has no A, `diagonal` neither. Of a
 * convolution in groups the blocks of the groups one after another: B is groups x out x out, A is groups x in x in.
 */
export interface KronMatrixBlock {
  readonly name: string
  readonly kind: 'weight' | 'dense' | 'diagonal' | 'grouped'
  /** out x out. */
  readonly B?: Tensor
  /** in x in, divided by the number of examples (and positions). */
  readonly A?: Tensor
  readonly diagonal?: Float64Array
}

/** The block of some tensors together. */
export interface DenseMatrixBlock {
  readonly names: readonly string[]
  /** Place in theta of each of its n parameters. */
  readonly parameters: Int32Array
  /** n x n. */
  readonly matrix: Tensor
}

/** A symmetric P x P matrix. */
export type CurvatureMatrix =
  | { readonly structure: 'full', readonly size: number, readonly matrix: Float64Array, toDense(): Float64Array }
  | { readonly structure: 'diag', readonly size: number, readonly diagonal: Float64Array, toDense(): Float64Array }
  /** Each block with its tensors' names and the place of its parameters in theta. */
  | { readonly structure: 'blockdiag', readonly size: number, readonly blocks: readonly DenseMatrixBlock[],
    toDense(): Float64Array }
  /** Blocks in parameter order; `delta` is to be added to the diagonal of each. */
  | { readonly structure: 'kron', readonly size: number, readonly blocks: readonly KronMatrixBlock[],
    readonly delta?: Float64Array, toDense(): Float64Array }
  /**
   * R'R + diag(delta), with R of rank x P: the curvature of a linear model's leading directions. delta is one number,
   * or one a weight where the last layer's prior is in units of the targets.
   */
  | { readonly structure: 'lowrank', readonly size: number, readonly rank: number, readonly rows: Float64Array,
    readonly delta: number | Float64Array, toDense(): Float64Array }

type BlockCurvature = Extract<Curvature, { structure: 'blockdiag' }>

/** H: the data term alone. @throws OptionError BAD_COMBINATION where there is none, or one an output */
export function curvatureMatrix(curvature: PosteriorCurvature, slots: readonly ParameterSlot[]): CurvatureMatrix {
  const { size } = curvature
  switch (curvature.structure) {
    case 'full':
      return { structure: 'full', size, matrix: curvature.matrix.slice(), toDense: () => curvature.matrix.slice() }
    case 'diag':
      return { structure: 'diag', size, diagonal: curvature.diagonal.slice(),
        toDense: () => dense(size, [{ name: '', kind: 'diagonal', diagonal: curvature.diagonal }], undefined) }
    case 'kron':
      return kronMatrix(size, curvature, 1, undefined)
    case 'blockdiag':
      return blocksMatrix(curvature, slots)
    case 'ekfac':
      return fullMatrix(size, ekfacMatrix(curvature))
    case 'factored':
      return rowsMatrix(size, curvature.rows.slice(), 0)
    case 'process':
      return rowsMatrix(size, spanRows(curvature), 0)
    case 'samples':
      throw new OptionError('BAD_COMBINATION',
        "Structure 'samples' keeps draws of the weights, and no curvature. Ask for variances or draws, or fit "
          + "structure 'lowrank' with a rank, 'full', 'kron' or 'diag'.", { option: 'structure', value: 'samples' })
    case 'lowrank':
      return lowRankMatrix(curvature, 0)
  }
}

/** P = H / (sigma^2 T) + diag(delta). */
export function precisionOf(posterior: StructuredPosterior): CurvatureMatrix {
  const { curvature, settings, slots, size } = posterior
  const scale = hessianFactor(settings)
  switch (curvature.structure) {
    case 'full':
    case 'ekfac':
      return fullMatrix(size, posterior.precisionMatrix())
    case 'diag': {
      const delta = priorByParameter(settings, slots)
      return curvatureMatrix({ structure: 'diag', size,
        diagonal: curvature.diagonal.map((value, i) => scale * value + delta[i]) }, slots)
    }
    case 'blockdiag': {
      const delta = priorByParameter(settings, slots)
      return blocksMatrix({ ...curvature, blocks: curvature.blocks.map(({ slots: own, matrix }) => {
        const places = placesOfBlock(slots, own)
        const n = places.length
        return { slots: own,
          matrix: matrix.map((value, at) => scale * value + (at % (n + 1) === 0 ? delta[places[at % n]] : 0)) }
      }) }, slots)
    }
    case 'kron':
      return kronMatrix(size, curvature, scale, priorByTensor(settings, slots))
    case 'factored': {
      const delta = priorByParameter(settings, slots)
      if (delta.every(value => value === delta[0])) {
        return rowsMatrix(size, curvature.rows.map(value => Math.sqrt(scale) * value), delta[0])
      }
      return fullMatrix(size, posterior.precisionMatrix())
    }
    case 'process':
    case 'samples':
      return fullMatrix(size, posterior.precisionMatrix())
    case 'lowrank':
      return lowRankMatrix(curvature, 1)
  }
}

function fullMatrix(size: number, matrix: Float64Array): CurvatureMatrix {
  return { structure: 'full', size, matrix, toDense: () => matrix.slice() }
}

function blocksMatrix({ size, blocks }: BlockCurvature, slots: readonly ParameterSlot[]): CurvatureMatrix {
  return { structure: 'blockdiag', size, blocks: blocks.map(({ slots: own, matrix }) => {
    const parameters = placesOfBlock(slots, own)
    return { names: own.map(slot => slots[slot].name), parameters,
      matrix: float64([parameters.length, parameters.length], matrix.slice()) }
  }), toDense: () => {
    checkBytes('The dense matrix', 8 * size * size, 'Work with the blocks.')
    return assembled(blocks, slots, size)
  } }
}

function kronMatrix(size: number, curvature: Extract<Curvature, { structure: 'kron' }>, scale: number,
  delta: Float64Array | undefined): CurvatureMatrix {
  const blocks = curvature.blocks.map(block => kronMatrixBlock(block, scale))
  return { structure: 'kron', size, blocks, ...(delta === undefined ? {} : { delta }),
    toDense: () => dense(size, blocks, delta) }
}

function kronMatrixBlock(block: KronBlock, scale: number): KronMatrixBlock {
  const { name } = block
  if (block.kind === 'grouped') {
    const parts = plainBlocks(block).map(part => kronMatrixBlock(part, scale))
    const [B, A] = [parts.map(part => part.B), parts.map(part => part.A)].map(stacked)
    return { name, kind: 'grouped', ...(B === undefined ? {} : { B }), ...(A === undefined ? {} : { A }) }
  }
  if (block.kind === 'diagonal') return { name, kind: 'diagonal', diagonal: block.diagonal.map(value => scale * value) }
  // The scale goes to B alone: on both factors 1 / (sigma^2 T) would be squared.
  const B = float64([block.out, block.out], block.B.map(value => scale * value))
  if (block.kind === 'dense') return { name, kind: 'dense', B }
  return { name, kind: 'weight', B, A: float64([block.in, block.in], block.A.map(value => value / (block.rows || 1))) }
}

/** Matrices of one size as one tensor. */
function stacked(matrices: readonly (Tensor | undefined)[]): Tensor | undefined {
  const [first] = matrices
  return first && float64([matrices.length, ...first.shape], matrices.flatMap(each => [...each?.data ?? []]))
}

/** The block of each group; itself where it is of one piece. */
function groupsOf(block: KronMatrixBlock): KronMatrixBlock[] {
  const { name, kind, B, A } = block
  if (kind !== 'grouped' || B === undefined) return [block]
  const part = ({ shape: [groups, n], data }: Tensor, group: number): Tensor =>
    float64([n, n], data.slice(group * data.length / groups, (group + 1) * data.length / groups))
  return Array.from({ length: B.shape[0] },
    (_, g) => ({ name, kind: 'weight', B: part(B, g), ...(A === undefined ? {} : { A: part(A, g) }) }))
}

function dense(size: number, blocks: readonly KronMatrixBlock[], delta: Float64Array | undefined): Float64Array {
  checkBytes('The dense matrix', 8 * size * size, 'Work with the blocks.')
  const matrix = new Float64Array(size * size)
  let offset = 0
  const pieces = blocks.flatMap((block, b) => groupsOf(block).map(piece => ({ ...piece, tensor: b })))
  pieces.forEach(({ tensor, ...block }) => {
    const own = block.diagonal === undefined ? kroneckerProduct(block) : block.diagonal
    const n = block.diagonal === undefined ? Math.sqrt(own.length) : own.length
    for (let i = 0; i < n; i++) {
      if (block.diagonal === undefined) matrix.set(own.subarray(i * n, (i + 1) * n), (offset + i) * size + offset)
      else matrix[(offset + i) * size + offset + i] = own[i]
      if (delta !== undefined) matrix[(offset + i) * size + offset + i] += delta[tensor]
    }
    offset += n
  })
  return matrix
}

function kroneckerProduct({ B, A }: KronMatrixBlock): Float64Array {
  const [out, inputs] = [B?.shape[0] ?? 0, A?.shape[0] ?? 1]
  const n = out * inputs
  const product = new Float64Array(n * n)
  for (let o = 0; o < out; o++) {
    for (let p = 0; p < out; p++) {
      const b = B?.data[o * out + p] ?? 0
      for (let i = 0; i < inputs; i++) {
        for (let j = 0; j < inputs; j++) {
          product[(o * inputs + i) * n + p * inputs + j] = b * (A?.data[i * inputs + j] ?? 1)
        }
      }
    }
  }
  return product
}

/** Names, shapes and sizes of a subset's tensors, for summaries. */
export function describeSlots(
  slots: readonly ParameterSlot[],
): { readonly name: string, readonly shape: readonly number[], readonly size: number }[] {
  return slots.map(({ name, shape, size }) => ({ name, shape, size }))
}

/**
 * sum_k l_k v_k v_k' (+ delta): the rows are sqrt(l_k) v_k. A regression of several outputs shows that of its first.
 */
function lowRankMatrix({ size, models: [model], prior }: LowRankCurvature, added: number): CurvatureMatrix {
  const { rank, delta } = model
  const rows = model.rows.slice()
  for (let k = 0; k < rank; k++) {
    let share = 0
    for (let i = k * size; i < (k + 1) * size; i++) share += rows[i] * rows[i]
    const factor = Math.sqrt(delta / Math.max(1e-15, 1 - share))
    for (let i = 0; i < size; i++) rows[k * size + i] *= factor / (prior?.scale[i] ?? 1)
  }
  return rowsMatrix(size, rows, prior === undefined || added === 0
    ? added * delta
    : prior.scale.map(value => delta / (value * value)))
}

/** diag(l)^1/2 R: H in the span of R. @throws OptionError BAD_COMBINATION where each output has one of its own */
function spanRows({ size, parts }: ProcessCurvature): Float64Array {
  const [{ rows, values }] = parts
  if (parts.length === 1) return rows.map((value, i) => value * Math.sqrt(values?.[Math.floor(i / size)] ?? 1))
  throw new OptionError('BAD_COMBINATION',
    `Each of the ${parts.length} outputs has a curvature of its own (independentOutputs): fit without it for one.`, {
    option: 'independentOutputs',
  })
}

/** R'R + diag(delta). */
function rowsMatrix(size: number, rows: Float64Array, delta: number | Float64Array): CurvatureMatrix {
  const rank = rows.length / Math.max(1, size)
  const toDense = (): Float64Array => {
    checkBytes('The dense matrix', 8 * size * size, 'Work with its rows.')
    const matrix = new Float64Array(size * size)
    syrk(size, rank, 1, rows, 0, matrix)
    for (let i = 0; i < size; i++) matrix[i * size + i] += typeof delta === 'number' ? delta : delta[i]
    return matrix
  }
  return { structure: 'lowrank', size, rank, rows, delta, toDense }
}
