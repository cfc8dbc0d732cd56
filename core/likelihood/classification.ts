/** @file Categorical likelihood with a softmax link: Lambda = diag(p) - p p'. */
import { packedLength, type RealArray, syrk, zerosLike } from '../kernels/linear-algebra.js'
import type { RandomGenerator } from '../tensor/random.js'
import type { LikelihoodModel } from './likelihood.js'
import { logSumExp, softmax } from './softmax.js'

/** Classes 0..C-1; loss = sum -log softmax(f)[y]. */
export const classification: LikelihoodModel = {
  name: 'classification',
  hessianPattern: 'dense',
  targetWidth: () => 1,
  loss,
  residual,
  hessianPairs,
  hessianDiagonal,
  seedCount: outputs => Math.max(1, outputs - 1),
  hessianSeeds,
  sumHessian,
  logNormaliser: () => 0,
  draw,
  inverseLink: softmax,
}

/** The first class whose cumulative probability exceeds a uniform number. */
function draw(f: RealArray, examples: number, outputs: number, random: RandomGenerator): Float64Array {
  const p = softmax(f, examples, outputs)
  return Float64Array.from({ length: examples }, (_, n) => {
    let rest = random.uniform()
    for (let c = 0; c < outputs - 1; c++) {
      rest -= p[n * outputs + c]
      if (rest < 0) return c
    }
    return outputs - 1
  })
}

function loss(f: RealArray, y: Float64Array, examples: number, outputs: number): number {
  return logSumExp(f, examples, outputs).reduce((sum, value, n) => sum + value - f[n * outputs + y[n]], 0)
}

function residual(f: RealArray, y: Float64Array, examples: number, outputs: number): Float64Array {
  const r = softmax(f, examples, outputs)
  for (let n = 0; n < examples; n++) r[n * outputs + y[n]] -= 1
  return r
}

function hessianPairs(f: RealArray, examples: number, outputs: number): RealArray {
  const p = softmax(f, examples, outputs)
  const length = examples * packedLength(outputs)
  const pairs = zerosLike(f, length)
  for (let row = 0, at = 0; row < p.length; row += outputs) {
    for (let c = 0; c < outputs; c++) {
      pairs[at++] = p[row + c] * complement(p, row, outputs, c)
      for (let d = c + 1; d < outputs; d++) pairs[at++] = -p[row + c] * p[row + d]
    }
  }
  return pairs
}

/** 1 - p_c as the sum of the other probabilities, which keeps its digits when p_c is near 1. */
function complement(p: Float64Array, offset: number, outputs: number, c: number): number {
  if (p[offset + c] < 0.5) return 1 - p[offset + c]
  let sum = 0
  for (let d = 0; d < outputs; d++) if (d !== c) sum += p[offset + d]
  return sum
}

function hessianDiagonal(f: RealArray, examples: number, outputs: number): Float64Array {
  return diagonalOf(softmax(f, examples, outputs), outputs)
}

/** p (1 - p) in the place of probabilities p. */
function diagonalOf(p: Float64Array, outputs: number): Float64Array {
  const row = new Float64Array(outputs)
  for (let at = 0; at < p.length; at += outputs) {
    row.set(p.subarray(at, at + outputs))
    for (let c = 0; c < outputs; c++) p[at + c] = row[c] * complement(row, 0, outputs, c)
  }
  return p
}

/**
 * The Cholesky root of Lambda in closed form (Tanabe and Sagae 1992): with s_k = sum_{i >= k} p_i,
 * L_kk = sqrt(p_k s_{k+1} / s_k) and L_ck = -p_c sqrt(p_k / (s_k s_{k+1})) for c > k. Its last column is zero, so C - 1
 * seeds are enough.
 */
function hessianSeeds(f: RealArray, examples: number, outputs: number): RealArray {
  const seeds = Math.max(1, outputs - 1)
  const length = seeds * examples * outputs
  const root = zerosLike(f, length)
  const all = softmax(f, examples, outputs)
  const tail = new Float64Array(outputs + 1)
  for (let n = 0; n < examples; n++) {
    const p = all.subarray(n * outputs, (n + 1) * outputs)
    for (let c = outputs - 1; c >= 0; c--) tail[c] = tail[c + 1] + p[c]
    for (let k = 0; k < outputs - 1; k++) {
      const at = (k * examples + n) * outputs
      if (!(tail[k + 1] > 0)) continue
      const rest = Math.sqrt(tail[k + 1])
      const share = Math.sqrt(p[k] / tail[k])
      root[at + k] = share * rest
      for (let c = k + 1; c < outputs; c++) root[at + c] = -(p[c] / rest) * share
    }
  }
  return root
}

function sumHessian(f: RealArray, examples: number, outputs: number): Float64Array {
  const p = softmax(f, examples, outputs)
  const sum = new Float64Array(outputs * outputs)
  syrk(outputs, examples, -1, p, 0, sum)
  const diagonal = diagonalOf(p, outputs)
  for (let c = 0; c < outputs; c++) {
    let total = 0
    for (let n = 0; n < examples; n++) total += diagonal[n * outputs + c]
    sum[c * outputs + c] = total
  }
  return sum
}
