/** @file The identity matrix. */

/** The identity, size x size. */
export function identity(size: number): Float64Array {
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) matrix[i * (size + 1)] = 1
  return matrix
}
