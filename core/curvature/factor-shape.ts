/** @file Which Kronecker factors are thin, and what decomposing a factor takes. */
import type { LinearShape } from '../network/linear-shape.js'

/** Rows of a matrix that is to be decomposed, and what is known of it. */
export interface FactorShape {
  readonly size: number
  /** About its rank: where that is low, the thin side is tried first. */
  readonly rank: number
}

/** Up to this share of the size the range alone is decomposed and kept. */
export const THIN = 0.5

/** Whether a factor is decomposed from its thin side. */
export function usesThinSide({ size, rank }: FactorShape): boolean {
  return rank <= THIN * size
}

/** Multiplications that decomposing a factor takes, about. */
export function decompositionCost(factor: FactorShape): number {
  const { size, rank } = factor
  return usesThinSide(factor) ? 4 * size * rank ** 2 + 5 * rank ** 3 : 5 * size ** 3
}

/** Bytes that decomposing a factor takes beside it. */
export function decompositionBytes(factor: FactorShape): number {
  const { size, rank } = factor
  return usesThinSide(factor) ? 8 * (4 * size * rank + 6 * rank ** 2) : 8 * 6 * size ** 2
}

/** The factor A of every weight, with as many rows as it has of so many examples; those of groups are never thin. */
export function inputFactors(linears: readonly LinearShape[],
  examples: number): (FactorShape & { readonly out: number })[] {
  const rows = new Map<number, number>()
  for (const { weight, positions } of linears) {
    rows.set(weight, (rows.get(weight) ?? 0) + (positions === undefined ? Infinity : positions * examples))
  }
  return linears.flatMap(({ weight, in: size, out, groups = 1 }) => {
    const rank = groups > 1 ? size : Math.min(size, rows.get(weight) ?? size)
    return Array.from({ length: groups }, () => ({ size, out, rank }))
  })
}
