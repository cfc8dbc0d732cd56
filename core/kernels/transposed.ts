/** @file The transpose. */

/** The transpose of a matrix, rows x columns. */
export function transposed(matrix: Float64Array, rows: number, columns: number,
  result: Float64Array = new Float64Array(rows * columns)): Float64Array {
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j]
  return result
}
