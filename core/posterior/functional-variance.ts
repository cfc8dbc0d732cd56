/**
 * @file The variance of the outputs, J P^-1 J', from factored Jacobians in a blockwise eigenbasis.
 *
 * Where an operator is applied once per example, the rotated Jacobian of output c is the outer product g~_c a~', so
 * that with t_no = sum_i a~_ni^2 v_oi the variance is sum_o g~_nco^2 t_no: a few matrix products, shared by all
 * outputs. With positions or shared parameters the outer products are added before they are weighted.
 */
import { plainUse } from '../curvature/diagonal.js'
import { parameterJacobian, type ParameterUses, usesByParameter } from '../curvature/jacobian.js'
import { arenaArray, beginArena } from '../kernels/arena.js'
import { square } from '../kernels/arithmetic.js'
import { addWeightedRowDots, gemm, type RealArray } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { type EigenBlock, rotate } from './eigen-block.js'
import type { VarianceKind } from './variance-kind.js'

/** A block with the posterior variances in its eigenbasis, out x in. */
export interface WeightedBlock extends EigenBlock {
  readonly variance: Float64Array
}

/** Bytes of one block of Jacobian rows, where they must be written out. */
const BLOCK_BYTES = 1 << 22

/** Two outputs, the second not after the first. */
type OutputPair = readonly [number, number]

/** N x C variances or N x C x C covariances of the outputs. */
export function functionalVariance(blocks: readonly WeightedBlock[], slots: readonly ParameterSlot[],
  jacobian: FactoredJacobian, kind: VarianceKind): Float64Array {
  const { seeds, examples } = jacobian
  beginArena()
  const pairs = outputPairs(seeds, kind)
  const sums = arenaArray(new Float64Array(0), pairs.length * examples).fill(0)
  const uses = usesByParameter(slots, jacobian)
  const done = new Set<number>()
  for (const use of uses) {
    const factor = plainUse(use)
    if (factor === undefined) continue
    const bias = foldableBias(factor, uses, blocks) ? factor.bias : -1
    addPlain(sums, pairs, factor, blocks[use.slot], bias < 0 ? undefined : blocks[bias], jacobian)
    done.add(use.slot)
    if (bias >= 0) done.add(bias)
  }
  const result = spreadPairs(sums, pairs, seeds, examples, kind)
  for (const use of uses) {
    if (!done.has(use.slot)) addGeneral(result, use, blocks[use.slot], slots[use.slot], jacobian, kind)
  }
  return result
}

function outputPairs(outputs: number, kind: VarianceKind): OutputPair[] {
  return Array.from({ length: outputs },
    (_,
      c) => (kind === 'diagonal' ? [[c, c] as const] : Array.from({ length: c + 1 }, (_unused, d) => [c, d] as const)))
    .flat()
}

/** Pairs x N as N x C variances, or N x C x C symmetric matrices. */
function spreadPairs(sums: Float64Array, pairs: readonly OutputPair[], outputs: number, examples: number,
  kind: VarianceKind): Float64Array {
  const result = new Float64Array(examples * outputs * (kind === 'covariance' ? outputs : 1))
  pairs.forEach(([c, d], i) => {
    for (let n = 0, at = i * examples; n < examples; n++, at++) {
      if (kind === 'diagonal') result[n * outputs + c] = sums[at]
      else addSymmetric(result, n, c, d, outputs, sums[at])
    }
  })
  return result
}

/** Whether a bias belongs to this factor alone and lives in the same eigenbasis as the weight's outputs. */
function foldableBias(factor: LinearFactor, uses: readonly ParameterUses[], blocks: readonly WeightedBlock[]): boolean {
  if (factor.bias < 0) return false
  const use = uses[factor.bias]
  return use.asBias.length === 1 && use.asWeight.length === 0 && use.direct.length === 0 &&
    blocks[factor.bias].left === blocks[factor.weight].left
}

/** Adds to the sums of every pair of outputs, pairs x N, what one plain operator contributes. */
function addPlain(sums: Float64Array, pairs: readonly OutputPair[], factor: LinearFactor, weight: WeightedBlock,
  bias: WeightedBlock | undefined, { seeds, examples }: FactoredJacobian): void {
  const { out } = weight
  const t = inputVariance(factor.a, examples, weight, bias)
  const g = rotate(factor.g, seeds * examples, out, inPrecisionOf(factor.g, weight.left))
  const rowsOf = (c: number): RealArray => g.subarray(c * examples * out, (c + 1) * examples * out)
  pairs.forEach(([c, d], i) => {
    addWeightedRowDots(out, rowsOf(c), rowsOf(d), t, sums.subarray(i * examples, (i + 1) * examples))
  })
}

function addSymmetric(result: Float64Array, n: number, c: number, d: number, seeds: number, value: number): void {
  result[(n * seeds + c) * seeds + d] += value
  if (c !== d) result[(n * seeds + d) * seeds + c] += value
}

/**
 * t = (a U_A)^2 v' (+ the bias's variances): what each rotated output unit contributes, N x out, in the precision of a.
 * It may live in the arena.
 */
export function inputVariance(a: RealArray, examples: number, weight: WeightedBlock,
  bias: WeightedBlock | undefined): RealArray {
  const { out, in: inputs } = weight
  const squares = arenaArray(a, examples * inputs)
  square(rotate(a, examples, inputs, inPrecisionOf(a, weight.right)), squares)
  const t = arenaArray(a, examples * out)
  if (bias !== undefined) { for (let n = 0; n < examples; n++) t.set(bias.variance, n * out) }
  gemm(false, true, examples, out, inputs, 1, squares, inPrecisionOf(a, weight.variance), bias === undefined ? 0 : 1, t)
  return t
}

const singles = new WeakMap<Float64Array, Float32Array>()

/** The values in the precision of the data; a float32 copy is kept as long as its source. */
function inPrecisionOf<T extends Float64Array | undefined>(data: RealArray, values: T): T | Float32Array {
  if (values === undefined || data instanceof Float64Array) return values
  let single = singles.get(values)
  if (single === undefined) singles.set(values, single = Float32Array.from(values))
  return single
}

/** Writes the rotated Jacobian of one parameter out, a few examples at a time. */
function addGeneral(result: Float64Array, uses: ParameterUses, block: WeightedBlock, slot: ParameterSlot,
  jacobian: FactoredJacobian, kind: VarianceKind): void {
  const { seeds, examples } = jacobian
  const rotated = rotateUses(uses, block, jacobian)
  const { variance } = block
  const size = variance.length
  const step = Math.max(1, Math.floor(BLOCK_BYTES / (8 * seeds * size)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    const rows = parameterJacobian(slot, rotated, jacobian, from, to)
    for (let n = from; n < to; n++) {
      for (let c = 0; c < seeds; c++) {
        const ci = ((n - from) * seeds + c) * size
        for (let d = kind === 'diagonal' ? c : 0; d <= c; d++) {
          const di = ((n - from) * seeds + d) * size
          let sum = 0
          for (let i = 0; i < size; i++) sum += rows[ci + i] * rows[di + i] * variance[i]
          if (kind === 'diagonal') result[n * seeds + c] += sum
          else addSymmetric(result, n, c, d, seeds, sum)
        }
      }
    }
  }
}

/** The factors of one parameter in its eigenbasis. */
function rotateUses(uses: ParameterUses, block: WeightedBlock, { seeds, examples }: FactoredJacobian): ParameterUses {
  const rotateLinear = (factor: LinearFactor, weight: boolean): LinearFactor => ({
    ...factor,
    a: weight
      ? rotate(factor.a, examples * factor.positions, factor.in, inPrecisionOf(factor.a, block.right))
      : factor.a,
    g: rotate(factor.g, seeds * examples * factor.positions, factor.out, inPrecisionOf(factor.g, block.left)),
  })
  return {
    slot: uses.slot,
    asWeight: uses.asWeight.map(factor => rotateLinear(factor, true)),
    asBias: uses.asBias.map(factor => rotateLinear(factor, false)),
    direct: uses.direct.map(factor => ({ ...factor,
      gradient: rotate(factor.gradient, seeds * examples, block.out * block.in,
        inPrecisionOf(factor.gradient, block.left)) })
    ),
  }
}
