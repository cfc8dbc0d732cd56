/** @file Kronecker factors from the Gram matrices of a batch, where the engine sums them itself. */
import type { LinearShape } from './accumulate.js'
import type { KronBlock } from './curvature.js'

/** Where a'a and g'g of one linear operator are added. */
export interface OperatorSums { readonly A: Float64Array, readonly B: Float64Array }

/** Sums for a batch: A is the block's own (it is added to in place), B is fresh or that of `before`, as the bias shares it. */
export function operatorSums(blocks: readonly KronBlock[], linears: readonly LinearShape[], before?: readonly OperatorSums[]): OperatorSums[] {
  return linears.map(({ weight, in: inputs, out }, i) => {
    const block = weight < 0 ? undefined : blocks[weight]
    return { A: block?.kind === 'weight' ? block.A : new Float64Array(inputs * inputs), B: before?.[i].B.fill(0) ?? new Float64Array(out * out) }
  })
}

/** Adds a batch's g'g to the blocks of weights and biases, and counts its rows. */
export function addOperatorSums(blocks: readonly KronBlock[], linears: readonly (LinearShape & { readonly positions: number })[], sums: readonly OperatorSums[], examples: number): KronBlock[] {
  const rows = blocks.map(() => 0)
  linears.forEach(({ weight, bias, positions }, i) => {
    for (const slot of [weight, bias]) {
      const block = slot < 0 ? undefined : blocks[slot]
      if (block !== undefined && block.kind !== 'diagonal') for (let j = 0; j < block.B.length; j++) block.B[j] += sums[i].B[j]
    }
    if (weight >= 0) rows[weight] += examples * positions
  })
  return blocks.map((block, slot) => (block.kind === 'weight' ? { ...block, rows: block.rows + rows[slot] } : block))
}

/** Whether a batch's Gram matrices are all that Kronecker factors need: 'reduce' takes means and sums over positions first. */
export function gramsSuffice(approximation: 'expand' | 'reduce', linears: readonly (LinearShape & { readonly positions: number })[]): boolean {
  if (approximation === 'expand') return true
  const uses = linears.flatMap(({ weight, bias }) => [weight, bias].filter(slot => slot >= 0))
  return new Set(uses).size === uses.length && linears.every(({ positions }) => positions === 1)
}
