/** @file The variance of a batch's outputs under a posterior, from what can be sent to another thread as plain data. */
import { jacobianTimes } from '../curvature/jacobian-products.js'
import { denseJacobian, outputJacobian, usesByParameter } from '../curvature/jacobian.js'
import { arenaWithOnes } from '../curvature/last-layer.js'
import type { ParameterVectors } from '../curvature/parameter-vectors.js'
import { beginArena, beginArenaUnless } from '../kernels/arena.js'
import { addRowDots, type RealArray, triangularSolveRight } from '../kernels/linear-algebra.js'
import { lastLayerShape } from '../network/linear-shape.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { applied } from './applied.js'
import type { TensorBlocks, WeightedBlock } from './eigen-block.js'
import { blockVariance, type FactoredBlock, factorVariance, lastLayerBlockVariance,
  lastLayerFullVariance } from './functional-variance.js'
import { kernelOperations } from './kernel-operations.js'
import { sumOfTerms } from './kernel-terms.js'
import { lowRankOutputs, type LowRankPart } from './low-rank-outputs.js'
import type { OutputLayout } from './term-pairs.js'
import { narrowed, putVariances, type VarianceKind, withRowSums } from './variance-kind.js'

/** Blocks with their variances in their eigenbases (kron, diag), or Cholesky factors of a precision or its blocks. */
export type PosteriorParts =
  | { readonly kind: 'blocks', readonly blocks: readonly TensorBlocks<WeightedBlock>[] }
  | { readonly kind: 'factors', readonly blocks: readonly FactoredBlock[] }
  | { readonly kind: 'lowrank', readonly parts: readonly LowRankPart[] }
  | ProcessParts

/** Of a process over the outputs. */
export type ProcessParts =
  | FactoredParts
  /** P^-1 = B'B, by the `count` rows of B. */
  | { readonly kind: 'span', readonly vectors: ParameterVectors<RealArray> }
  /** Independent outputs with parts of their own. */
  | { readonly kind: 'outputs', readonly parts: readonly ProcessParts[] }

/** P^-1 = D^-1/2 (I - U'U) D^-1/2; `part` says the same of whole tensors with one precision, without `rows`. */
export interface FactoredParts {
  readonly kind: 'factored'
  readonly deviations: Float64Array
  readonly rank: number
  readonly rows: Float64Array
  readonly part?: LowRankPart
}

/** What a posterior says of the outputs of a batch. */
export interface OutputMoments {
  /** What is wanted of J P^-1 J', N rows. */
  readonly variance: Float64Array
  /** f_lin - f of a linear model, whose mean is not the network's: N x C. */
  readonly change?: Float64Array
}

/**
 * Variances of some of the outputs of every example, by the Jacobian of these and, for row sums, of the sum of all
 * outputs behind them: N x K, or N x 2 x K with the covariances with that sum.
 */
export function someVariances(parts: PartsByOutput, slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  kind: 'diagonal' | 'sums'): Float64Array {
  return varianceOf(parts, slots, jacobian, { kind, lastIsSum: kind === 'sums' })
}

/** Those that say the same of an output whichever others are asked for with it. */
export type PartsByOutput = Extract<PosteriorParts, { kind: 'blocks' | 'factors' }>

/** Variances, and of a linear model the change of the mean, of every example. */
export function outputMoments(parts: PosteriorParts, slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  kind: VarianceKind): OutputMoments {
  if (parts.kind === 'lowrank') {
    const all = lowRankOutputs(parts.parts, slots, jacobian, kind === 'sums' ? 'covariance' : kind)
    return kind === 'sums' ? { ...all, variance: narrowed(all.variance, 'covariance', kind, jacobian.seeds) } : all
  }
  if (parts.kind === 'factored') return { variance: factoredVariance(parts, slots, jacobian, kind) }
  if (parts.kind === 'span') return { variance: spanVariance(parts.vectors, jacobian, kind) }
  if (parts.kind === 'outputs') return { variance: independentVariance(parts.parts, slots, jacobian, kind) }
  return { variance: varianceOf(parts, slots, jacobian, { kind }) }
}

function varianceOf(parts: PartsByOutput, slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  layout: Pick<OutputLayout, 'kind' | 'lastIsSum'>): Float64Array {
  const ops = kernelOperations({ outputs: jacobian.seeds, examples: jacobian.examples, ...layout })
  // Not for dense rows, which do not use the arena: beginning it for nothing would give its memory up.
  if (parts.kind === 'factors') return factorVariance(ops, parts.blocks, slots, jacobian.factors)
  beginArena()
  return blockVariance(ops, parts.blocks, slots, usesByParameter(slots, jacobian))
}

/** What a last layer's variances are made from: its blocks, or the covariance P^-1 of a full posterior. */
export type LastLayerParts =
  | { readonly kind: 'blocks', readonly blocks: readonly TensorBlocks<WeightedBlock>[] }
  | { readonly kind: 'covariance', readonly covariance: Float64Array }

/** What is wanted of J P^-1 J' for a last layer, from its inputs, N x D, without any Jacobian. */
export function lastLayerVariance(parts: LastLayerParts, slots: readonly ParameterSlot[], features: RealArray,
  examples: number, kind: VarianceKind): Float64Array {
  const ops = kernelOperations({ outputs: lastLayerShape(slots).out, examples, kind })
  beginArenaUnless(features)
  return parts.kind === 'blocks'
    ? lastLayerBlockVariance(ops, parts.blocks, slots, features)
    : lastLayerFullVariance(ops, parts.covariance, slots, features)
}

/**
 * The same of a layer with one output, by the lower Cholesky factor of its precision: |L^-1 phi1|^2, which is half the
 * work of phi1' P^-1 phi1 and needs no inverse. Undefined where the bias comes first.
 */
export function singleOutputVariance(lower: Float64Array, slots: readonly ParameterSlot[], features: RealArray,
  examples: number, kind: VarianceKind): Float64Array | undefined {
  const { out, weight, bias, in: inputs } = lastLayerShape(slots)
  if (out !== 1 || weight !== 0) return undefined
  beginArenaUnless(features)
  const width = inputs + Number(bias >= 0)
  const rows = arenaWithOnes(features, examples, inputs, bias >= 0)
  triangularSolveRight(width, examples, lower, rows)
  const variance = new Float64Array(examples)
  addRowDots(width, rows, rows, variance)
  return narrowed(variance, 'covariance', kind, 1)
}

/** |J D^-1/2 (I - U'U)^1/2|^2 from the factors of J, or from its rows. */
function factoredVariance({ deviations, rank, rows, part }: FactoredParts, slots: readonly ParameterSlot[],
  jacobian: FactoredJacobian, kind: VarianceKind): Float64Array {
  const { seeds: outputs, examples } = jacobian
  if (part !== undefined) {
    const { variance } = lowRankOutputs([part], slots, jacobian, kind === 'sums' ? 'covariance' : kind)
    return kind === 'sums' ? narrowed(variance, 'covariance', kind, outputs) : variance
  }
  const size = deviations.length
  const read = (from: number, to: number): Float64Array => {
    const own = denseJacobian(slots, jacobian, from, to)
    for (let i = 0; i < own.length; i++) own[i] *= deviations[i % size]
    return applied({ rank, rows }, size, own, own.length / size, share => Math.sqrt(1 - share) - 1)
  }
  return sumOfTerms([{ kind: 'jacobian', rows: { size, read }, weights: undefined }], { outputs, examples, kind })
}

/** |J B'|^2. */
function spanVariance(vectors: ParameterVectors<RealArray>, jacobian: FactoredJacobian,
  kind: VarianceKind): Float64Array {
  const { seeds: outputs, examples } = jacobian
  const size = vectors.count
  const images = jacobianTimes(jacobian, vectors)
  const read = (from: number, to: number): Float64Array => images.slice(from * outputs * size, to * outputs * size)
  return sumOfTerms([{ kind: 'jacobian', rows: { size, read }, weights: undefined }], { outputs, examples, kind })
}

/** Variances of one output after another; between outputs there is no covariance. */
function independentVariance(parts: readonly ProcessParts[], slots: readonly ParameterSlot[],
  jacobian: FactoredJacobian, kind: VarianceKind): Float64Array {
  const { seeds: outputs, examples } = jacobian
  const variances = new Float64Array(examples * outputs)
  parts.forEach((own, c) => {
    const { variance } = outputMoments(own, slots, outputJacobian(jacobian, c), 'diagonal')
    variance.forEach((value, n) => {
      variances[n * outputs + c] = value
    })
  })
  if (kind === 'diagonal') return variances
  if (kind === 'sums') return withRowSums(variances, variances, outputs)
  const covariances = new Float64Array(examples * outputs * outputs)
  putVariances(covariances, variances, outputs)
  return covariances
}
