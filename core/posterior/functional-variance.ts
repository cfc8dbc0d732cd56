/**
 * @file The variance of the outputs, J P^-1 J', of every structure, as operations on the factors of the Jacobian.
 *
 * kron, diag   In a block's eigenbasis P is diagonal. Where an operator is applied once per example, output c's rotated
 *              Jacobian is the outer product g~_c a~', and the variance of outputs c and c' is sum_o g~_co g~_c'o t_o
 *              with t_o = sum_i a~_i^2 v_oi (+ the bias's variance). A last layer is the case where g is the identity.
 *              With positions or shared parameters the outer products are added before they are weighted.
 * full         |L^-1 J'|^2, of blockdiag their sum over blocks; of a last layer, where J = I kron phi1', the quadratic
 *              forms phi1' (P^-1)_cc' phi1.
 *
 * A structure joins with a function of its own here, from factors to terms. Low rank, for one, where
 * J P^-1 J' = (J J' - (J U)(J U)') / delta, is two terms of kind 'jacobian' with the weights 1 / delta and -1 / delta;
 * of the operations it lacks only the product of Jacobian rows with U, which belongs beside `whiten`.
 */
import { factorsOfBlock } from '../curvature/blocks.js'
import { lastLayerIndices } from '../curvature/last-layer.js'
import { lastLayerShape } from '../network/linear-shape.js'
import { slotsOfBlock } from '../network/parameter-blocks.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { joined } from '../tensor/joined.js'
import { rowWidth, type TensorBlocks, type WeightedBlock } from './eigen-block.js'
import type { DirectGradient, LinearPair, PosteriorMatrix, UsesOf, VarianceOperations, VarianceTerm,
  WrittenTerm } from './variance-operations.js'

/** kron and diag: N x C variances or N x C x C covariances from the factors that use each slot. */
export function blockVariance<A, J, V>(ops: VarianceOperations<A, J, V>, blocks: readonly TensorBlocks<WeightedBlock>[],
  slots: readonly ParameterSlot[], uses: readonly UsesOf<A>[]): V {
  return ops.total(blockTerms(ops, blocks, slots, uses))
}

/** kron and diag, a last layer: N x C or N x C x C from its inputs, N x D. */
export function lastLayerBlockVariance<A, J, V>(ops: VarianceOperations<A, J, V>,
  blocks: readonly TensorBlocks<WeightedBlock>[], slots: readonly ParameterSlot[], features: A): V {
  const { weight, bias } = lastLayerShape(slots)
  const own = bias < 0 ? undefined : blocks[bias][0]
  const folded = own !== undefined && sameOutputBasis(own, blocks[weight][0])
  const layer = pairTerm(ops, features, undefined, blocks[weight][0], folded ? own : undefined)
  if (own === undefined || folded) return ops.total([layer])
  // In another basis the bias is a term of its own; its input is 1, so the term is the same for every example.
  return ops.total([layer, { kind: 'shared', rows: outputBasis(own), weights: rowOf(own) }])
}

/** The precision of some tensors by its lower Cholesky factor: all of them for a full posterior. */
export interface FactoredBlock {
  readonly slots: readonly number[]
  readonly lower: Float64Array
}

/** full, blockdiag: the sum over blocks of |L^-1 J'|^2, N x C or N x C x C. */
export function factorVariance<A, J, V>(ops: VarianceOperations<A, J, V>, blocks: readonly FactoredBlock[],
  slots: readonly ParameterSlot[], factors: readonly (LinearPair<A> | DirectGradient<A>)[]): V {
  return ops.total(factorTerms(ops, blocks, slots, factors))
}

function* factorTerms<A, J, V>(ops: VarianceOperations<A, J, V>, blocks: readonly FactoredBlock[],
  slots: readonly ParameterSlot[],
  factors: readonly (LinearPair<A> | DirectGradient<A>)[]): Generator<VarianceTerm<A, J>> {
  for (const { slots: own, lower } of blocks) {
    const used = factorsOfBlock(factors, own)
    if (used.length === 0) continue
    const rows = ops.whiten(ops.jacobian(slotsOfBlock(slots, own), used), squareMatrix(lower))
    yield { kind: 'jacobian', rows, weights: undefined }
  }
}

/** full, a last layer: phi1' S_cc' phi1, N x C or N x C x C, for S = P^-1 and phi1 = (phi, 1) from phi of N x D. */
export function lastLayerFullVariance<A, J, V>(ops: VarianceOperations<A, J, V>, covariance: Float64Array,
  slots: readonly ParameterSlot[], features: A): V {
  const phi = ops.withOnes(features, lastLayerShape(slots).bias >= 0)
  return ops.quadraticForms(phi, squareMatrix(covariance), lastLayerIndices(slots))
}

/** Operators that are applied once per example first, then what must be written out: each slot is in one term. */
function* blockTerms<A, J, V>(ops: VarianceOperations<A, J, V>, blocks: readonly TensorBlocks<WeightedBlock>[],
  slots: readonly ParameterSlot[], uses: readonly UsesOf<A>[]): Generator<VarianceTerm<A, J>> {
  const rest = new Set(uses.filter(use => use.asWeight.length + use.asBias.length + use.direct.length > 0))
  for (const use of uses) {
    const pair = slots[use.slot].elements === undefined ? onlyPair(use) : undefined
    if (pair === undefined) continue
    const folded = foldableBias(pair, uses, blocks, slots)
    // A tensor's shape does not tell: [1, out, in] is a matrix of a product and a kernel of a convolution.
    const block = { ...blocks[use.slot][0], out: pair.out, in: pair.in }
    yield pairTerm(ops, pair.a, pair.g, block, folded && blocks[folded.slot][0])
    rest.delete(use)
    if (folded !== undefined) rest.delete(folded)
  }
  for (const use of rest) yield summedTerm(ops, use, blocks[use.slot], slots[use.slot])
}

/** R = g U_B and w = (a U_A)^2 v' (+ the bias's variances), for a of N x in; an undefined g is the identity. */
function pairTerm<A, J, V>(ops: VarianceOperations<A, J, V>, a: A, g: A | undefined, weight: WeightedBlock,
  bias: WeightedBlock | undefined): VarianceTerm<A, J> {
  const { out, left, right, variance } = weight
  const coordinates = right === undefined ? a : ops.rotate(a, right)
  const weights = ops.product(ops.square(coordinates), { values: variance, rows: out, columns: rowWidth(weight) }, {
    transposed: true,
    plus: bias && rowOf(bias),
  })
  return g === undefined
    ? { kind: 'shared', rows: outputBasis(weight), weights }
    : { kind: 'pair', rows: rotate(ops, g, left), weights }
}

/** The products of one operator; else R = the sum of the rotated outer products, written out, and w = v. */
function summedTerm<A, J, V>(ops: VarianceOperations<A, J, V>, uses: UsesOf<A>, blocks: TensorBlocks<WeightedBlock>,
  slot: ParameterSlot): VarianceTerm<A, J> {
  const [pair] = uses.asWeight
  const alone = uses.asWeight.length === 1 && uses.asBias.length + uses.direct.length === 0
  // A tensor's shape does not tell: [1, out, in] is a matrix of a product and a kernel of a convolution.
  if (alone && blocks.length === 1 && slot.elements === undefined) {
    return { kind: 'operator', pair, block: { ...blocks[0], out: pair.out, in: pair.in } }
  }
  return writtenTerm(ops, uses, blocks, slot)
}

/** The term of one operator with its products written out. */
export function writtenOperator<A, J, V>(ops: VarianceOperations<A, J, V>,
  { pair, block }: Extract<VarianceTerm<A, J>, { kind: 'operator' }>): WrittenTerm<A, J> {
  const slot = { name: '', shape: [pair.out, pair.in], size: pair.out * pair.in, offset: 0 }
  return writtenTerm(ops, { slot: 0, asWeight: [pair], asBias: [], direct: [] }, [block], slot)
}

function writtenTerm<A, J, V>(ops: VarianceOperations<A, J, V>, uses: UsesOf<A>, blocks: TensorBlocks<WeightedBlock>,
  slot: ParameterSlot): WrittenTerm<A, J> {
  const values = joined(blocks.map(({ variance }) => variance))
  const own = { ...slot, offset: 0, size: values.length }
  return { kind: 'jacobian', rows: ops.jacobian([own], rotatedFactors(ops, uses, blocks)),
    weights: { values, rows: 1, columns: values.length } }
}

/** The factors of one parameter in its eigenbasis, as those of the only slot there is. */
function rotatedFactors<A, J, V>(ops: VarianceOperations<A, J, V>, { asWeight, asBias, direct }: UsesOf<A>,
  blocks: TensorBlocks<WeightedBlock>): (LinearPair<A> | DirectGradient<A>)[] {
  const [block] = blocks
  const { left, right } = block
  const whole = blocks.length === 1 && right === undefined
  return [
    ...asWeight.map(pair => ({ ...pair, weight: 0, bias: -1, in: right === undefined ? pair.in : rowWidth(block),
      a: right === undefined ? pair.a : ops.rotate(pair.a, right), g: rotate(ops, pair.g, left) })
    ),
    ...asBias.map(pair => ({ ...pair, weight: -1, bias: 0, positions: 1,
      g: rotate(ops, pair.positions === 1 ? pair.g : ops.overPositions(pair.g, pair), left) })
    ),
    ...direct.map(factor => ({ ...factor, parameter: 0,
      gradient: whole ? rotate(ops, factor.gradient, left) : ops.rotateTensor(factor.gradient, blocks) })
    ),
  ]
}

/** The one pair without positions that uses a weight, if that is all its use. */
function onlyPair<A>({ asWeight, asBias, direct }: UsesOf<A>): LinearPair<A> | undefined {
  return asWeight.length === 1 && asBias.length + direct.length === 0 && asWeight[0].positions === 1
    ? asWeight[0]
    : undefined
}

/** The bias of a pair if it belongs to this pair alone and lives in the same eigenbasis as the weight's outputs. */
function foldableBias<A>(pair: LinearPair<A>, uses: readonly UsesOf<A>[],
  blocks: readonly TensorBlocks<WeightedBlock>[], slots: readonly ParameterSlot[]
):
  | UsesOf<A>
  | undefined {
  if (pair.bias < 0 || slots[pair.bias].elements !== undefined) return undefined
  const use = uses[pair.bias]
  const alone = use.asBias.length === 1 && use.asWeight.length === 0 && use.direct.length === 0
  return alone && sameOutputBasis(blocks[pair.bias][0], blocks[pair.weight][0]) ? use : undefined
}

/** Bases are compared as objects: equal numbers in two arrays would be written out, which is slower but as right. */
function sameOutputBasis(a: WeightedBlock, b: WeightedBlock): boolean {
  return a.left === b.left
}

function rotate<A, J, V>(ops: VarianceOperations<A, J, V>, x: A, basis: Float64Array | undefined): A {
  return basis === undefined ? x : ops.product(x, squareMatrix(basis))
}

/** The identity times U_B; undefined where that is the identity. */
function outputBasis({ left }: WeightedBlock): PosteriorMatrix | undefined {
  return left && squareMatrix(left)
}

/** The variances of a block as one row. */
function rowOf({ variance }: WeightedBlock): PosteriorMatrix {
  return { values: variance, rows: 1, columns: variance.length }
}

function squareMatrix(values: Float64Array): PosteriorMatrix {
  const size = Math.sqrt(values.length)
  return { values, rows: size, columns: size }
}
