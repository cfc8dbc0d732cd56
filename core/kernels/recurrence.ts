/**
 * @file Steps of recurrences in the arena of the kernels. Each function returns false, and nothing is done, where the
 * arrays do not live there.
 */
import { inArena } from './arena.js'
import { pauseBetweenProducts } from './interruption.js'
import type { RealArray } from './plain.js'

/** Gates of n units that are multiplied with a state of k numbers. */
export interface GateShape {
  readonly gates: number
  readonly n: number
  readonly k: number
}

/** Columns of a panel of packed weights: two vectors. */
const PANEL_BYTES = 32

/** How many numbers the packed weights of gates are. */
export function packedGatesLength({ gates, n, k }: GateShape, { BYTES_PER_ELEMENT: bytes }: RealArray): number {
  const columns = PANEL_BYTES / bytes
  return gates * k * Math.ceil(n / columns) * columns
}

/** packed = the weights of gates, n x k each, in the order in which `addGates` reads them. */
export function packGates({ gates, n, k }: GateShape, weights: RealArray, packed: RealArray): boolean {
  return inArena([{ array: weights, use: 'read' }, { array: packed, use: 'write' }], (kernel, from, to) => {
    ;(packed.BYTES_PER_ELEMENT === 8 ? kernel.packGates64 : kernel.packGates32)(gates, n, k, from, to)
  })
}

/** C_g += A B_g' for A of m x k, the packed weights B_g of gates, and C_g of m x n, one after the other. */
export function addGates({ gates, n, k }: GateShape, m: number, a: RealArray, packed: RealArray,
  c: RealArray): boolean {
  pauseBetweenProducts(m, gates * n, k)
  return inArena([{ array: a, use: 'read' }, { array: packed, use: 'read' }, { array: c, use: 'update' }],
    (kernel, atA, atPacked, atC) => {
      ;(c.BYTES_PER_ELEMENT === 8 ? kernel.addGates64 : kernel.addGates32)(gates, m, n, k, atA, atPacked, atC)
    })
}

/** c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c); `values` holds the sums of i, o, f and g. */
export function stepLstm(values: RealArray, c: RealArray, h: RealArray): boolean {
  return inArena([{ array: values, use: 'read' }, { array: c, use: 'update' }, { array: h, use: 'write' }],
    (kernel, from, atC, atH) => {
      ;(h.BYTES_PER_ELEMENT === 8 ? kernel.stepLstm64 : kernel.stepLstm32)(h.length, from, atC, atH)
    })
}

/**
 * n = tanh(v + sigmoid(r) w), h = (1 - sigmoid(z)) n + sigmoid(z) h; `values` holds the sums of z, r and v, and w is
 * the candidate's recurrent product with its bias.
 */
export function stepGru(values: RealArray, w: RealArray, h: RealArray): boolean {
  return inArena([{ array: values, use: 'read' }, { array: w, use: 'read' }, { array: h, use: 'update' }],
    (kernel, from, atW, atH) => {
      ;(h.BYTES_PER_ELEMENT === 8 ? kernel.stepGru64 : kernel.stepGru32)(h.length, from, atW, atH)
    })
}
