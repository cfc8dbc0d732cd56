/** @file Dot products of the rows of two matrices, weighted or not. */
import { inKernelMemory, type Operand } from './arena.js'
import type { RealArray } from './plain.js'

/** out_r += sum_i a_ri b_ri for rows of n numbers, added up in float64; a and b have one type. */
export function addRowDots(n: number, a: RealArray, b: RealArray, out: Float64Array): void {
  const operands: Operand[] = [{ array: a, use: 'read' }, { array: b, use: 'read' }, { array: out, use: 'update' }]
  if (inKernelMemory(operands, (kernel, ...at) => {
    ;(a.BYTES_PER_ELEMENT === 8 ? kernel.addRowDots64 : kernel.addRowDots32)(out.length, n, at[0], at[1], at[2])
  })) return
  for (let r = 0, i = 0; r < out.length; r++) {
    let sum = 0
    for (const end = i + n; i < end; i++) sum += a[i] * b[i]
    out[r] += sum
  }
}

/** out_r += sum_i a_ri b_ri w_ri for rows of n numbers, added up in float64; a, b and w have one type. */
export function addWeightedRowDots(n: number, a: RealArray, b: RealArray, w: RealArray, out: Float64Array): void {
  const operands: Operand[] = [{ array: a, use: 'read' }, { array: b, use: 'read' }, { array: w, use: 'read' }, {
    array: out,
    use: 'update',
  }]
  if (inKernelMemory(operands, (kernel, ...at) => {
    ;(a.BYTES_PER_ELEMENT === 8 ? kernel.addWeightedRowDots64 : kernel.addWeightedRowDots32)(out.length, n, at[0],
      at[1], at[2], at[3])
  })) return
  for (let r = 0, i = 0; r < out.length; r++) {
    let sum = 0
    for (const end = i + n; i < end; i++) sum += a[i] * b[i] * w[i]
    out[r] += sum
  }
}
