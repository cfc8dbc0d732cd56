/**
 * @file exp, tanh and the logistic function of whole arrays. One element's result does not depend on the others or on
 * where it is.
 */
import { inArena } from './arena.js'
import { type KernelExports, kernels, kernelView, withKernelMemory } from './kernel-module.js'
import * as plain from './plain-elementwise.js'
import type { RealArray } from './plain.js'

/** Numbers that go through kernel memory at once; they fit the middle cache. */
const CHUNK = 8192

/** out_i = e^x_i for arrays of one type and length; `out` may be `x`. Within 2 units in the last place. */
export function exp(x: RealArray, out: RealArray): void {
  if (!apply('exp', x, out)) plain.exp(x, out)
}

/** out_i = tanh x_i for arrays of one type and length; `out` may be `x`. Within 4 units in the last place. */
export function tanh(x: RealArray, out: RealArray): void {
  if (!apply('tanh', x, out)) plain.tanh(x, out)
}

/** out_i = 1 / (1 + e^-x_i) for arrays of one type and length; `out` may be `x`. Within 4 units in the last place. */
export function sigmoid(x: RealArray, out: RealArray): void {
  if (!apply('sigmoid', x, out)) plain.sigmoid(x, out)
}

/**
 * out = erf x or x Phi(x), by a table of expansions.
 * @returns false, and nothing is done, where the arrays do not live in the arena
 */
export function byTable(name: 'erf' | 'gelu', x: RealArray, out: RealArray,
  tables: { readonly float32: Float32Array, readonly float64: Float64Array }): boolean {
  const table = out.BYTES_PER_ELEMENT === 8 ? tables.float64 : tables.float32
  return inArena([{ array: x, use: 'read' }, { array: out, use: 'write' }, { array: table, use: 'read' }],
    (kernel, from, to, at) => {
      ;(out.BYTES_PER_ELEMENT === 8 ? kernel[`${name}64` as const] : kernel[`${name}32` as const])(out.length, from, to,
        at)
    })
}

/** @returns false where there are no kernels */
function apply(name: 'exp' | 'tanh' | 'sigmoid', x: RealArray, out: RealArray): boolean {
  if (kernels() === undefined || x.BYTES_PER_ELEMENT !== out.BYTES_PER_ELEMENT) return false
  const length = x.length
  const run = (
    kernel: KernelExports,
  ): (count: number,
    at: number) => void => (x.BYTES_PER_ELEMENT === 8 ? kernel[`${name}64` as const] : kernel[`${name}32` as const])
  if (inArena([{ array: out, use: x === out ? 'update' : 'write' }], (kernel, at) => {
    if (x !== out) out.set(x)
    run(kernel)(length, at)
  })) return true
  return withKernelMemory(Math.min(CHUNK, length + 4) * x.BYTES_PER_ELEMENT, (kernel, at) => {
    for (let first = 0; first < length; first += CHUNK) {
      const count = Math.min(CHUNK, length - first)
      const view = kernelView(kernel, x, at, count)
      view.set(count === length ? x : x.subarray(first, first + count))
      run(kernel)(count, at)
      out.set(view, first)
    }
    return true
  }) ?? false
}
