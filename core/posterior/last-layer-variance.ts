/** @file The variance of the outputs of a last-layer posterior, from the layer's inputs alone. */
import { lastLayerIndices, packedRows, withOnes } from '../curvature/last-layer.js'
import { arenaArray, beginArena } from '../kernels/arena.js'
import { addRowDots, gemm, packedLength, packedProducts, type RealArray } from '../kernels/linear-algebra.js'
import { lastLayerShape } from '../network/linear-shape.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { inputVariance, type WeightedBlock } from './functional-variance.js'
import { putVariances } from './variance-kind.js'
import type { VarianceKind } from './variance-kind.js'

/**
 * Kron and diag: f_var[c, c'] = sum_o U_B[c, o] U_B[c', o] t_o(phi); its diagonal for all examples is one product t
 * (U_B^2)'.
 * @returns N x C, or N x C x C
 */
export function lastLayerVariance(blocks: readonly WeightedBlock[], slots: readonly ParameterSlot[],
  features: RealArray, examples: number, kind: VarianceKind): Float64Array {
  const { weight, bias, out } = lastLayerShape(slots)
  const basis = blocks[weight].left
  const folded = bias < 0 || blocks[bias].left === basis
  beginArena()
  const t = Float64Array.from(
    inputVariance(features, examples, blocks[weight], bias >= 0 && folded ? blocks[bias] : undefined),
  )
  const result = spread(t, basis, examples, out, kind)
  if (folded) return result
  const constant = spread(blocks[bias].variance, blocks[bias].left, 1, out, kind)
  return result.map((value, i) => value + constant[i % constant.length])
}

/** sum_o U[c, o] U[c', o] t[n, o] for each row of t. */
function spread(t: Float64Array, basis: Float64Array | undefined, examples: number, out: number,
  kind: VarianceKind): Float64Array {
  const variances = basis === undefined ? t : new Float64Array(examples * out)
  if (basis !== undefined) gemm(false, true, examples, out, out, 1, t, basis.map(v => v * v), 0, variances)
  if (kind === 'diagonal') return variances
  const covariances = new Float64Array(examples * out * out)
  if (basis !== undefined) spreadCovariances(covariances, t, basis, examples, out)
  putVariances(covariances, variances, out)
  return covariances
}

function spreadCovariances(covariances: Float64Array, t: Float64Array, basis: Float64Array, examples: number,
  out: number): void {
  const scaled = new Float64Array(out * out)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < out; c++) {
      for (let o = 0; o < out; o++) scaled[c * out + o] = basis[c * out + o] * t[n * out + o]
    }
    gemm(false, true, out, out, out, 1, scaled, basis, 0, covariances.subarray(n * out * out, (n + 1) * out * out))
  }
}

/** Up to this many pairs of outputs, one product for each is cheaper than products of all pairs of features. */
const FEW_PAIRS = 10

/**
 * Full: the quadratic forms phi1' S_cc' phi1 of the blocks of S = P^-1. For few pairs of outputs block by block; for
 * many as one product of the packed products of phi1 with the packed symmetric parts of the blocks.
 * @returns N x C, or N x C x C
 */
export function fullLastLayerVariance(covariance: Float64Array, slots: readonly ParameterSlot[], features: RealArray,
  examples: number, kind: VarianceKind): Float64Array {
  const { bias, in: inputs, out } = lastLayerShape(slots)
  beginArena()
  const phi = withOnes(features, examples, inputs, bias >= 0, length => arenaArray(covariance, length))
  const pairs = kind === 'diagonal' ? out : packedLength(out)
  const indices = lastLayerIndices(slots)
  const values = pairs <= FEW_PAIRS
    ? blockForms(covariance, indices, out, phi, examples, kind)
    : packedForms(covariance, indices, out, phi, examples, kind)
  return kind === 'diagonal' ? values : unpackPairs(values, examples, out)
}

/** One product phi1 S_cd and a row-wise dot product for each pair (c, d), c <= d: N x pairs. */
function blockForms(covariance: Float64Array, indices: Int32Array, out: number, phi: Float64Array, examples: number,
  kind: VarianceKind): Float64Array {
  const size = Math.sqrt(covariance.length)
  const width = indices.length / out
  const pairs = kind === 'diagonal' ? out : packedLength(out)
  const values = new Float64Array(examples * pairs)
  const [block, image, sums] = [width * width, examples * width, examples].map(length => arenaArray(phi, length))
  let pair = 0
  for (let c = 0; c < out; c++) {
    for (let d = c; d < (kind === 'diagonal' ? c + 1 : out); d++, pair++) {
      for (let i = 0; i < width; i++) {
        for (let j = 0; j < width; j++) {
          block[i * width + j] = covariance[indices[c * width + i] * size + indices[d * width + j]]
        }
      }
      gemm(false, false, examples, width, width, 1, phi, block, 0, image)
      addRowDots(width, image, phi, sums.fill(0))
      for (let n = 0; n < examples; n++) values[n * pairs + pair] = sums[n]
    }
  }
  return values
}

function packedForms(covariance: Float64Array, indices: Int32Array, out: number, phi: Float64Array, examples: number,
  kind: VarianceKind): Float64Array {
  const width = indices.length / out
  const pairs = kind === 'diagonal' ? out : packedLength(out)
  const packed = packBlocks(covariance, indices, out, kind)
  const length = packed.length / pairs
  const values = new Float64Array(examples * pairs)
  const step = packedRows(width)
  const products = arenaArray(phi, Math.min(step, examples) * length)
  for (let from = 0; from < examples; from += step) {
    const count = Math.min(step, examples - from)
    const part = products.subarray(0, count * length)
    packedProducts(width, phi.subarray(from * width, (from + count) * width), part)
    gemm(false, true, count, pairs, length, 1, part, packed, 0, values.subarray(from * pairs, (from + count) * pairs))
  }
  return values
}

/** The symmetric parts of the blocks (c, c') of S, off-diagonal entries doubled: pairs x packedLength(width). */
function packBlocks(covariance: Float64Array, indices: Int32Array, out: number, kind: VarianceKind): Float64Array {
  const size = Math.sqrt(covariance.length)
  const width = indices.length / out
  const pairs = kind === 'diagonal' ? out : packedLength(out)
  const packed = new Float64Array(pairs * packedLength(width))
  let at = 0
  for (let c = 0; c < out; c++) {
    for (let d = c; d < (kind === 'diagonal' ? c + 1 : out); d++) {
      for (let i = 0; i < width; i++) {
        const row = indices[c * width + i] * size
        packed[at++] = covariance[row + indices[d * width + i]]
        for (let j = i + 1; j < width; j++) {
          packed[at++] = covariance[row + indices[d * width + j]] +
            covariance[indices[c * width + j] * size + indices[d * width + i]]
        }
      }
    }
  }
  return packed
}

function unpackPairs(values: Float64Array, examples: number, out: number): Float64Array {
  const result = new Float64Array(examples * out * out)
  for (let n = 0, at = 0; n < examples; n++) {
    for (let c = 0; c < out; c++) {
      for (let d = c; d < out; d++, at++) {
        result[(n * out + c) * out + d] = values[at]
        result[(n * out + d) * out + c] = values[at]
      }
    }
  }
  return result
}
