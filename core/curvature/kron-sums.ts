/** @file Kronecker factors from the Gram matrices of a batch, where the engine adds them to the blocks itself. */
import type { LinearShape } from '../network/linear-shape.js'
import type { OperatorSums } from '../programs/operator-sums.js'
import type { KronBlock } from './curvature.js'
import { mirrorLower } from './mirror.js'

/** A use of a weight by a linear operator, with its positions in one example. */
type LinearUse = LinearShape & { readonly positions: number }

/**
 * Whether Gram matrices of batches are all that the factors need: every weight has its own bias (or none), whose factor
 * is then that of the weight, and 'reduce' has no means and sums over positions to take first.
 */
export function gramsSuffice(approximation: 'expand' | 'reduce', linears: readonly LinearUse[]): boolean {
  const paired = linears.every(a =>
    a.weight >= 0 && linears.every(b => (a.weight === b.weight ? a.bias === b.bias : a.bias < 0 || a.bias !== b.bias))
  )
  if (!paired || approximation === 'expand') return paired
  return new Set(linears.map(({ weight }) => weight)).size === linears.length &&
    linears.every(({ positions }) => positions === 1)
}

/** The sums of every linear operator. Only lower triangles are summed, and a bias has no sum: see `completed`. */
export function operatorSums(blocks: readonly KronBlock[], linears: readonly LinearUse[]): OperatorSums[] {
  return linears.flatMap(({ weight }) => {
    const block = blocks[weight]
    return block.kind === 'weight' ? [block] : []
  })
}

/** Counts the rows that a batch has added to the blocks of weights. */
export function countRows(blocks: readonly KronBlock[], linears: readonly LinearUse[], examples: number): KronBlock[] {
  return blocks.map((block, slot) => {
    if (block.kind !== 'weight') return block
    const positions = linears.reduce((sum, use) => sum + (use.weight === slot ? use.positions : 0), 0)
    return { ...block, rows: block.rows + examples * positions }
  })
}

/** The blocks with both triangles of every factor, and with the factor of every bias copied from its weight. */
export function completed(blocks: readonly KronBlock[], linears: readonly LinearUse[]): readonly KronBlock[] {
  for (const { weight, bias, in: inputs, out } of linears) {
    const [from, to] = [blocks[weight], blocks[bias]]
    if (from.kind !== 'weight') continue
    // Until here the upper triangles are unfinished: eigenvalues, read from the lower ones, would be right, and H and
    // saved files wrong.
    mirrorLower(from.A, inputs)
    mirrorLower(from.B, out)
    if (bias >= 0 && to.kind === 'dense') to.B.set(from.B)
  }
  return blocks
}
