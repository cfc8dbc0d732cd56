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
import type { FactoredJacobian, GroupedFactor, LinearFactor } from '../programs/factored-jacobian.js'
import { takeRows } from '../tensor/rows.js'
import type { KronBlock } from './curvature.js'
import { parameterJacobian, usesByParameter } from './jacobian.js'
import { blockSize } from './kron-blocks.js'
import { addGram } from './real.js'

/** A parameter outside of linear operators has a dense block up to this many entries. */
export const DENSE_LIMIT = 64

/** Blocks of zeros, one per parameter in the order of the slots. */
export function zeroKron(slots: readonly ParameterSlot[], linears: readonly LinearShape[]): KronBlock[] {
  return slots.map(({ name, size }, index) => {
    const asWeight = linears.find(linear => linear.weight === index)
    if (asWeight !== undefined) {
      const { in: inputs, out, groups } = asWeight
      return ofGroups(name, groups,
        () => ({ kind: 'weight', name, out, in: inputs, B: new Float64Array(out * out),
          A: new Float64Array(inputs * inputs), rows: 0 }))
    }
    const asBias = linears.find(linear => linear.bias === index)
    if (size > DENSE_LIMIT && asBias === undefined) return { kind: 'diagonal', name, diagonal: new Float64Array(size) }
    const out = size / (asBias?.groups ?? 1)
    return ofGroups(name, asBias?.groups, () => ({ kind: 'dense', name, out, B: new Float64Array(out * out) }))
  })
}

/** A block, or as many as there are groups. */
function ofGroups(name: string, groups: number | undefined, make: () => KronBlock): KronBlock {
  return groups === undefined ? make() : { kind: 'grouped', name, parts: Array.from({ length: groups }, make) }
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
      case 'grouped':
        return addGroups(block, groupedUses(uses.slot, jacobian), jacobian, approximation, inputs)
      case 'dense': {
        if (uses.direct.length > 0) {
          addGram(block.out, jacobian.seeds * jacobian.examples,
            parameterJacobian(slots[uses.slot], uses, jacobian, 0, jacobian.examples), block.B)
        } else addBias(block, uses.asBias, jacobian, approximation)
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

type GroupedBlock = Extract<KronBlock, { kind: 'grouped' }>

/** Each group as a layer of its own, with its weight or its bias. */
function addGroups(block: GroupedBlock, factors: readonly GroupedFactor[], jacobian: FactoredJacobian,
  approximation: KfacApproximation, inputs: boolean): GroupedBlock {
  return { ...block, parts: block.parts.map((part, group) => {
    const own = factors.map(factor => ofGroup(factor, group, jacobian))
    if (part.kind === 'weight') return addWeight(part, own, jacobian, approximation, inputs)
    if (part.kind === 'dense') addBias(part, own, jacobian, approximation)
    return part
  }) }
}

function groupedUses(slot: number, { grouped = [] }: FactoredJacobian): GroupedFactor[] {
  return grouped.filter(({ weight, bias }) => weight === slot || bias === slot)
}

/** One group of a convolution as a linear operator. */
function ofGroup({ weight, bias, in: inputs, out, groups, images, a, g }: GroupedFactor, group: number,
  { seeds, examples }: FactoredJacobian): LinearFactor {
  const own = <R extends RealArray>(values: R, rows: number): R => {
    const width = values.length / (rows * groups)
    const result = values.slice(0, rows * width) as R
    for (let row = 0; row < rows; row++) {
      const from = (row * groups + group) * width
      result.set(values.subarray(from, from + width), row * width)
    }
    return result
  }
  return { kind: 'linear', weight, bias, in: inputs, out, positions: a.length / (examples * groups * inputs),
    a: own(a, examples * images), g: own(g, seeds * examples * images) }
}

type WeightBlock = Extract<KronBlock, { kind: 'weight' }>
type DenseBlock = Extract<KronBlock, { kind: 'dense' }>

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

function addBias({ out, B }: DenseBlock, factors: readonly LinearFactor[], jacobian: FactoredJacobian,
  approximation: KfacApproximation): void {
  for (const g of outputGradients(factors, jacobian, approximation)) addGram(out, g.length / out, g, B)
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

/** Which rows of the inputs of every use of a weight some seed reaches: 1 for those, N x positions. */
export type ReachedRows = readonly Uint8Array[]

/** The rows that the seeds of a batch reach, beside those that others of the same batch reached. */
export function reachedRows(jacobian: FactoredJacobian, before: ReachedRows = []): ReachedRows {
  return weightUses(jacobian).map(({ factor: { g, out, positions } }, i) => {
    const rows = before[i] ?? new Uint8Array(jacobian.examples * positions)
    for (let at = 0, row = 0; row < jacobian.seeds * rows.length; row++, at += out) {
      if (rows[row % rows.length] === 0 && g.subarray(at, at + out).some(value => value !== 0)) {
        rows[row % rows.length] = 1
      }
    }
    return rows
  })
}

/** Adds the inputs of the reached rows alone: positions that are left out say nothing of the data. */
export function addReachedInputs(blocks: readonly KronBlock[], jacobian: FactoredJacobian,
  reached: ReachedRows): KronBlock[] {
  const { examples, weights } = jacobian
  const uses = weightUses(jacobian)
  const added = (block: KronBlock, slot: number, group?: number): KronBlock => {
    if (block.kind === 'grouped') return { ...block, parts: block.parts.map((part, i) => added(part, slot, i)) }
    if (block.kind !== 'weight') return block
    let { rows } = block
    uses.forEach(({ factor, group: own }, i) => {
      if (factor.weight !== slot || own !== group) return
      const chosen = Int32Array.from(reached[i].keys()).filter(row => reached[i][row] === 1)
      const counts = weights &&
        Float64Array.from(chosen, row => weights[Math.floor(row * examples / reached[i].length)])
      rows += addInputs(block, takeRows(factor.a, chosen, block.in), counts)
    })
    return { ...block, rows }
  }
  return blocks.map((block, slot) => added(block, slot))
}

/** Every use of a weight by a linear operator, with its group where it has one. */
function weightUses(jacobian: FactoredJacobian): { factor: LinearFactor, group?: number }[] {
  return [
    ...jacobian.factors.flatMap(factor => (factor.kind === 'linear' ? [{ factor }] : [])),
    ...(jacobian.grouped ?? []).flatMap(factor =>
      Array.from({ length: factor.groups }, (_, group) => ({ factor: ofGroup(factor, group, jacobian), group }))
    ),
  ]
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
