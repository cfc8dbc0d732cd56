/** @file Determinants of the matrices in the last two axes. */
import { isBatch } from '../graph/graph.js'
import { badNode, requiredInput } from './node-attributes.js'
import type { Operator } from './operator.js'
import { formatDims } from './shape-rules.js'

/** The product of the pivots of Gaussian elimination with row exchanges; `a` is overwritten. */
function eliminate(a: Float64Array, n: number): number {
  let product = 1
  for (let k = 0; k < n && product !== 0; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i * n + k]) > Math.abs(a[pivot * n + k])) pivot = i
    if (pivot !== k) {
      product = -product
      for (let j = k; j < n; j++) [a[k * n + j], a[pivot * n + j]] = [a[pivot * n + j], a[k * n + j]]
    }
    product *= a[k * n + k]
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k] / a[k * n + k]
      for (let j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j]
    }
  }
  return product
}

/** It has no derivative rule: that would need inverses. */
const determinant: Operator = {
  op: 'Det',
  infer(node, inputs) {
    const { dtype, shape } = requiredInput(node, inputs, 0)
    const [rows, columns] = shape.slice(-2)
    if (shape.length < 2 || isBatch(rows) || rows !== columns) {
      throw badNode(node, `its input must be square matrices; its shape is ${formatDims(shape)}.`)
    }
    return [{ dtype, shape: shape.slice(0, -2) }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const n = x.shape[x.shape.length - 1]
    const shape = x.shape.slice(0, -2)
    const data = context.allocate(x.dtype, shape.reduce((size, extent) => size * extent, 1))
    for (let i = 0; i < data.length; i++) {
      data[i] = eliminate(Float64Array.from(x.data.subarray(i * n * n, (i + 1) * n * n)), n)
    }
    return [{ dtype: x.dtype, shape, data }]
  },
}

/** Determinants. */
export const determinantOperators: readonly Operator[] = [determinant]
