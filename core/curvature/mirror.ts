/** @file Symmetric matrices of which one triangle was computed. */

/** Rows and columns of a block whose lines stay in the cache. */
const BLOCK = 32

/** Copies what is left of the diagonal of an n x n matrix to its right, block by block. */
export function mirrorLower(matrix: Float64Array, n: number): void {
  for (let row = 0; row < n; row += BLOCK) {
    for (let column = 0; column <= row; column += BLOCK) {
      for (let i = row; i < Math.min(row + BLOCK, n); i++) {
        for (let j = column; j < Math.min(column + BLOCK, i); j++) matrix[j * n + i] = matrix[i * n + j]
      }
    }
  }
}
