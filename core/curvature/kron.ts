/**
 * @file Kronecker-factored curvature (Martens and Grosse 2015; 'expand' and 'reduce' of Eschenhagen et al. 2023 for
 * shared weights).
 */
import { InternalError } from '../errors/errors.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { byRow } from '../likelihood/weighted.js'
import type { LinearShape } from '../network/linear-shape.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { KfacApproximation } from '../options/words.js'
import type { FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { takeRows } from '../tensor/rows.js'
import type { KronBlock } from './curvature.js'
import { parameterJacobian, usesByParameter } from './jacobian.js'
import { addGram } from './real.js'

/** A parameter outside of linear operators has a dense block up to this many entries. */
const DENSE_LIMIT = 64

/** Blocks of zeros, one per parameter in the order of the slots. */
export function zeroKron(slots: readonly ParameterSlot[], linears: readonly LinearShape[]): KronBlock[] {
  return slots.map(({ name, size }, index) => {
    const asWeight = linears.find(linear => linear.weight === index)
    if (asWeight !== undefined) {
      const { in: inputs, out } = asWeight
      return { kind: 'weight', name, out, in: inputs, B: new Float64Array(out * out),
        A: new Float64Array(inputs * inputs), rows: 0 }
    }
    if (size <= DENSE_LIMIT || linears.some(linear => linear.bias === index)) {
      return { kind: 'dense', name, out: size, B: new Float64Array(size * size) }
    }
    return { kind: 'diagonal', name, diagonal: new Float64Array(size) }
  })
}

/** Adds a batch to the blocks' arrays; the result counts its rows. @param inputs whether its inputs a are added too */
export function accumulateKron(blocks: readonly KronBlock[], jacobian: FactoredJacobian,
  approximation: KfacApproximation, inputs: boolean): KronBlock[] {
  const slots = blocks.map((block, index) => ({ name: block.name, shape: [], offset: 0, size: blockSize(block),
    index })
  )
  return usesByParameter(slots, jacobian).map(uses => {
    const block = blocks[uses.slot]
    switch (block.kind) {
      case 'weight':
        return addWeight(block, uses.asWeight, jacobian, approximation, inputs)
      case 'dense': {
        if (uses.direct.length > 0) {
          addGram(block.out, jacobian.seeds * jacobian.examples,
            parameterJacobian(slots[uses.slot], uses, jacobian, 0, jacobian.examples), block.B)
        } else {for (const g of outputGradients(uses.asBias, jacobian, approximation)) {
            addGram(block.out, g.length / block.out, g, block.B)
          }}
        return block
      }
      case 'diagonal': {
        const rows = parameterJacobian(slots[uses.slot], uses, jacobian, 0, jacobian.examples)
        const { diagonal } = block
        for (let at = 0; at < rows.length; at += diagonal.length) {
          for (let i = 0; i < diagonal.length; i++) diagonal[i] += rows[at + i] ** 2
        }
        return block
      }
    }
  })
}

/** Number of parameters of a block. */
export function blockSize(block: KronBlock): number {
  switch (block.kind) {
    case 'weight':
      return block.out * block.in
    case 'dense':
      return block.out
    case 'diagonal':
      return block.diagonal.length
  }
}

type WeightBlock = Extract<KronBlock, { kind: 'weight' }>

function addWeight(block: WeightBlock, factors: readonly LinearFactor[], jacobian: FactoredJacobian,
  approximation: KfacApproximation, inputs: boolean): WeightBlock {
  let rows = block.rows
  for (const a of inputs ? layerInputs(factors, jacobian, approximation) : []) {
    rows += addInputs(block, a, jacobian.weights)
  }
  for (const g of outputGradients(factors, jacobian, approximation)) {
    addGram(block.out, g.length / block.out, g, block.B)
  }
  return { ...block, rows }
}

/** Adds sum w a a' to A; returns how many rows that counts. @param a of every example one row, or several */
export function addInputs({ A, in: width }: WeightBlock, a: RealArray, weights: Float64Array | undefined): number {
  const rows = a.length / width
  if (weights === undefined) {
    addGram(width, rows, a, A)
    return rows
  }
  const positions = rows / weights.length
  addGram(width, rows, byRow(a, weights.map(Math.sqrt), positions * width), A)
  return positions * weights.reduce((sum, weight) => sum + weight, 0)
}

/** Which rows of the inputs of every factor some seed reaches: 1 for those, N x positions. */
export type ReachedRows = readonly (Uint8Array | undefined)[]

/** The rows that the seeds of a batch reach, beside those that others of the same batch reached. */
export function reachedRows({ factors, examples, seeds }: FactoredJacobian, before: ReachedRows = []): ReachedRows {
  return factors.map((factor, i) => {
    if (factor.kind === 'direct') return undefined
    const { g, out, positions } = factor
    const rows = before[i] ?? new Uint8Array(examples * positions)
    for (let at = 0, row = 0; row < seeds * rows.length; row++, at += out) {
      if (rows[row % rows.length] === 0 && g.subarray(at, at + out).some(value => value !== 0)) {
        rows[row % rows.length] = 1
      }
    }
    return rows
  })
}

/** Adds the inputs of the reached rows alone: positions that are left out say nothing of the data. */
export function addReachedInputs(blocks: readonly KronBlock[], { factors, examples, weights }: FactoredJacobian,
  reached: ReachedRows): KronBlock[] {
  return blocks.map((block, slot) => {
    if (block.kind !== 'weight') return block
    let { rows } = block
    factors.forEach((factor, i) => {
      const there = reached[i]
      if (factor.kind === 'direct' || factor.weight !== slot || there === undefined) return
      const chosen = Int32Array.from(there.keys()).filter(row => there[row] === 1)
      const own = weights && Float64Array.from(chosen, row => weights[Math.floor(row * examples / there.length)])
      rows += addInputs(block, takeRows(factor.a, chosen, block.in), own)
    })
    return { ...block, rows }
  })
}

/** Rows of a whose Gram matrix is A: every position ('expand'), or the mean over positions and uses ('reduce'). */
function layerInputs(factors: readonly LinearFactor[], { examples }: FactoredJacobian,
  approximation: KfacApproximation): RealArray[] {
  if (approximation === 'expand' || single(factors)) return factors.map(factor => factor.a)
  const width = factors[0].in
  const mean = new Float64Array(examples * width)
  const total = factors.reduce((sum, factor) => sum + factor.positions, 0)
  // The mean of a, but the sum of g (Eschenhagen et al. 2023): two means would make H too small by the square of T.
  for (const { a, positions } of factors) addPositions(mean, a, examples, positions, width, 1 / total)
  return [mean]
}

/** Rows of g whose Gram matrix is B: every position ('expand'), or the sum over positions and uses ('reduce'). */
function outputGradients(factors: readonly LinearFactor[], { seeds, examples }: FactoredJacobian,
  approximation: KfacApproximation): RealArray[] {
  if (approximation === 'expand' || single(factors)) return factors.map(factor => factor.g)
  const width = factors[0].out
  const sum = new Float64Array(seeds * examples * width)
  for (const { g, positions } of factors) addPositions(sum, g, seeds * examples, positions, width, 1)
  return [sum]
}

function single(factors: readonly LinearFactor[]): boolean {
  if (factors.some(({ in: inputs, out }) => inputs !== factors[0].in || out !== factors[0].out)) {
    throw new InternalError('Two linear operators use one weight with different sizes.')
  }
  return factors.length === 0 || (factors.length === 1 && factors[0].positions === 1)
}

function addPositions(sum: Float64Array, values: RealArray, rows: number, positions: number, width: number,
  scale: number): void {
  for (let row = 0; row < rows; row++) {
    for (let t = 0; t < positions; t++) {
      const from = (row * positions + t) * width
      for (let i = 0; i < width; i++) sum[row * width + i] += scale * values[from + i]
    }
  }
}
