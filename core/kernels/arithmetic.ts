/** @file Arithmetic of arrays in the arena of the kernels. */
import { inArena } from './arena.js'
import type { RealArray } from './plain.js'

/**
 * The operations, as core/kernels/assembly/arithmetic.ts numbers them. The numbers are all that the module sees:
 * exchanged here alone, it would divide where it should multiply.
 */
const OPERATIONS = { add: 0, subtract: 1, multiply: 2, divide: 3 } as const

/** The name of an operation on two arrays. */
export type Arithmetic = keyof typeof OPERATIONS

/** An array that is read in steps of 1, or of 0: one number for a whole row. */
export interface Stepped {
  readonly array: RealArray
  readonly step: number
}

/** Less is done sooner by the loops of the operators. */
const SHORT_ROW = 16
const SHORT_ARRAY = 256

/**
 * out = a (operation) b, in rows of `count` numbers; `eachRow` calls its argument with the indices in a, b and out
 * where each row starts.
 * @returns false, and nothing is done, where the arrays do not live in the arena or are laid out otherwise
 */
export function combineRows(operation: Arithmetic, count: number, a: Stepped, b: Stepped, out: RealArray,
  eachRow: (visit: (a: number, b: number, out: number) => void) => void): boolean {
  const size = out.BYTES_PER_ELEMENT
  const steps = a.step + b.step
  if (count < SHORT_ROW || out.length < SHORT_ARRAY || a.step > 1 || b.step > 1 || steps === 0) return false
  if (size < 4 || a.array.BYTES_PER_ELEMENT !== size || b.array.BYTES_PER_ELEMENT !== size) return false
  return inArena([{ array: a.array, use: 'read' }, { array: b.array, use: 'read' }, { array: out, use: 'write' }],
    (kernel, atA, atB, atOut) => {
      const run = size === 8 ? kernel.combine64 : kernel.combine32
      eachRow((ai, bi, oi) => {
        run(OPERATIONS[operation], count, atA + ai * size, a.step * size, atB + bi * size, b.step * size,
          atOut + oi * size)
      })
    })
}

/** out = x^2, element by element. */
export function square(x: RealArray, out: RealArray): void {
  const whole = { array: x, step: 1 }
  if (!combineRows('multiply', x.length, whole, whole, out, visit => {
    visit(0, 0, 0)
  })) { for (let i = 0; i < x.length; i++) out[i] = x[i] * x[i] }
}

/** product *= x, element by element. */
export function multiplyInPlace(product: RealArray, x: RealArray): void {
  if (!combineRows('multiply', x.length, { array: product, step: 1 }, { array: x, step: 1 }, product, visit => {
    visit(0, 0, 0)
  })) { for (let i = 0; i < x.length; i++) product[i] *= x[i] }
}

/** sum += x, element by element. */
export function addInPlace(sum: RealArray, x: RealArray): void {
  if (!combineRows('add', x.length, { array: sum, step: 1 }, { array: x, step: 1 }, sum, visit => {
    visit(0, 0, 0)
  })) { for (let i = 0; i < x.length; i++) sum[i] += x[i] }
}

/** out = max(x, 0); NaN stays NaN. @returns false, and nothing is done, where the arrays do not live in the arena */
export function rectify(x: RealArray, out: RealArray): boolean {
  if (out.length < SHORT_ARRAY) return false
  return inArena([{ array: x, use: 'read' }, { array: out, use: 'write' }], (kernel, from, to) => {
    ;(out.BYTES_PER_ELEMENT === 8 ? kernel.rectify64 : kernel.rectify32)(out.length, from, to)
  })
}

/** What a gate lets through: values beside a number above the limit, or below it. */
export interface Limit {
  readonly limit: number
  readonly below: boolean
}

/**
 * out = c where x is on the right side of the limit, else 0 c, in rows of `count` numbers; `eachRow` calls its argument
 * with the indices in c, x and out where each row starts.
 * @returns false, and nothing is done, where the arrays do not live in the arena
 */
export function gateRows({ limit, below }: Limit, count: number, c: RealArray, x: RealArray, out: RealArray,
  eachRow: (visit: (c: number, x: number, out: number) => void) => void): boolean {
  const size = out.BYTES_PER_ELEMENT
  if (count < SHORT_ROW || out.length < SHORT_ARRAY || c.BYTES_PER_ELEMENT !== size || x.BYTES_PER_ELEMENT !== size) {
    return false
  }
  return inArena([{ array: c, use: 'read' }, { array: x, use: 'read' }, { array: out, use: 'write' }],
    (kernel, atC, atX, atOut) => {
      const run = size === 8 ? kernel.gate64 : kernel.gate32
      eachRow((ci, xi, oi) => {
        run(Number(below), limit, count, atC + ci * size, atX + xi * size, atOut + oi * size)
      })
    })
}
