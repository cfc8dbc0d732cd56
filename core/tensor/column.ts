/** @file One output of every row. */

/** Column c of N x C, N. */
export function column(values: Float64Array, c: number, outputs: number): Float64Array {
  return Float64Array.from({ length: values.length / outputs }, (_, n) => values[n * outputs + c])
}
