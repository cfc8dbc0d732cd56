/** @file Rules about symbolic shapes that the operators share: broadcasting, axes, integers known before a run. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { badNode, batchAxisError } from './node-attributes.js'
import type { InferredValue } from './operator.js'

/** A symbolic shape as it is printed in messages, for example `N x 64` or `3*N x 2`; a scalar is `scalar`. */
export function formatDims(shape: readonly Dim[]): string {
  const text = (
    dim: Dim,
  ): string => (isBatch(dim)
    ? [...(dim.outer === 1 ? [] : [String(dim.outer)]), 'N', ...(dim.inner === 1 ? [] : [String(dim.inner)])].join('*')
    : String(dim))
  return shape.length === 0 ? 'scalar' : shape.map(text).join(' x ')
}

/** Whether two extents are the same for every batch size, with the examples at the same indices. */
export function sameDim(a: Dim, b: Dim): boolean {
  return isBatch(a) && isBatch(b) ? a.outer === b.outer && a.inner === b.inner : a === b
}

/** Whether two shapes are the same for every batch size. */
export function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, i) => sameDim(dim, b[i]))
}

/**
 * The common shape of operands (numpy's rule: aligned at the last axis, extents equal or 1).
 * @throws GraphError BATCH_AXIS when a batch axis meets another axis, BAD_GRAPH when extents do not fit
 */
export function broadcastDims(node: Node, ...shapes: readonly (readonly Dim[])[]): Dim[] {
  const rank = Math.max(0, ...shapes.map(shape => shape.length))
  const result: Dim[] = []
  for (let axis = 0; axis < rank; axis++) {
    let dim: Dim = 1
    for (const shape of shapes) {
      const at = axis - (rank - shape.length)
      if (at >= 0) dim = meet(node, dim, shape[at], shapes)
    }
    result.push(dim)
  }
  if (result.filter(isBatch).length > 1) {
    throw batchAxisError(node,
      `the operands ${shapes.map(formatDims).join(' and ')} carry the examples on different axes.`)
  }
  return result
}

function meet(node: Node, a: Dim, b: Dim, shapes: readonly (readonly Dim[])[]): Dim {
  if (a === 1 || sameDim(a, b)) return b
  if (b === 1) return a
  const operands = shapes.map(formatDims).join(' and ')
  if (isBatch(a) || isBatch(b)) {
    throw batchAxisError(node, `the operands ${operands} pair the batch axis with another one.`)
  }
  throw badNode(node, `the operands ${operands} cannot be broadcast to one shape.`)
}

/** An axis counted from the front. @throws GraphError BAD_GRAPH when it is outside of -rank .. rank-1 */
export function resolveAxis(node: Node, axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= rank) {
    throw badNode(node, `axis ${axis} does not exist; the value has ${rank} ${rank === 1 ? 'axis' : 'axes'}.`)
  }
  return resolved
}

/** The elements of an integer value known before a run (multiples of the batch size among them), or undefined. */
export function knownDims(value: InferredValue | undefined): readonly Dim[] | undefined {
  if (value?.dims !== undefined) return value.dims
  return value?.constant === undefined || value.constant.data.length > 4096
    ? undefined
    : Array.from(value.constant.data)
}

/** The elements of an integer input, known before a run. @throws GraphError BAD_GRAPH when they depend on the data */
export function requiredDims(node: Node, value: InferredValue, what: string): readonly Dim[] {
  const known = knownDims(value)
  if (known === undefined) throw badNode(node, `its ${what} must follow from constants and shapes, not from the data.`)
  return known
}

/**
 * The integers of an input that must not depend on the data: axes, a target shape, split sizes.
 * @throws GraphError BAD_GRAPH when they are known only while the network runs, or change with the batch size
 */
export function constantIntegers(node: Node, value: InferredValue, what: string): number[] {
  return requiredDims(node, value, what).map(dim => {
    if (isBatch(dim)) throw batchAxisError(node, `its ${what} depends on the number of examples.`)
    return dim
  })
}

/** Number of elements of one example: what the batch axis' multiples and the other axes hold. */
export function elementsPerExample(shape: readonly Dim[]): number {
  return shape.reduce<number>((size, dim) => size * (isBatch(dim) ? dim.outer * dim.inner : dim), 1)
}

/**
 * Target of a `Reshape` node that gives a cotangent the shape that the cotangent of `value` must have: K is copied (0),
 * the batch axis is left to the size (-1), and a value without batch axis has [K, N] in front.
 */
export function cotangentTarget(value: Pick<InferredValue, 'shape'>): number[] {
  const shape = value.shape.map(dim => (isBatch(dim) ? -1 : dim))
  return value.shape.some(isBatch) ? [0, ...shape] : [0, 0, ...shape]
}
