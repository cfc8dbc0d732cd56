/** @file How much of the products of one operator's inputs and gradients is there at once. */

/** Numbers of all outputs' products, and columns of them that are worth a product. */
const [BLOCK_NUMBERS, FEWEST_COLUMNS] = [1 << 21, 64]

/** Columns of the out x width products of every output, and of their sum, that are made at once. */
export function columnsAtOnce(outputs: number, out: number, width: number): number {
  return Math.min(width, Math.max(FEWEST_COLUMNS, Math.floor(BLOCK_NUMBERS / ((outputs + 1) * out))))
}
