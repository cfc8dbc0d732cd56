/**
 * @file Limits on the size of computed values, so that a small file cannot ask for a huge one (Expand, ConstantOfShape,
 * Tile, Pad, ...).
 *
 * What a network computes from constants and weights alone is about as large as these; a value of each example has no
 * such bound, and the memory that a run needs is estimated elsewhere.
 */
import { GraphError } from '../errors/errors.js'
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { badNode, describeNode } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import { elementsPerExample, formatDims } from '../ops/shape-rules.js'

/** Elements that one node may compute without the input, unless its own inputs are larger: 128 MiB of float64. */
const LARGEST_CONSTANT = 2 ** 24
/** Elements of one example; typed arrays hold no more. */
const LARGEST_EXAMPLE = 2 ** 31
/** Elements that folding may compute altogether, unless the network's own arrays are larger. */
const LARGEST_FOLDING = 2 ** 25

/**
 * Checks the result of a node, before it is computed.
 * @throws GraphError BAD_GRAPH when an extent is not a size, or when the value is too large
 */
export function checkValueSize(node: Node, inputs: readonly (InferredValue | undefined)[],
  { shape }: InferredValue): void {
  if (shape.some(dim => !isSize(dim))) {
    throw badNode(node,
      `its result would have the shape ${formatDims(shape)}; extents must be integers that are not negative.`)
  }
  const size = elementsPerExample(shape)
  if (shape.some(isBatch) || inputs.some(input => input?.ofInput === true)) {
    if (size > LARGEST_EXAMPLE) {
      throw badNode(node,
        `its result of shape ${formatDims(shape)} has ${size} elements${
          shape.some(isBatch) ? ' for each example' : ''
        }; at most ${LARGEST_EXAMPLE} are possible.`)
    }
    return
  }
  const given = [...new Set(inputs)].reduce(
    (sum, input) => sum + (input === undefined || input.shape.some(isBatch) ? 0 : elementsPerExample(input.shape)),
    0,
  )
  const limit = Math.max(LARGEST_CONSTANT, given)
  if (size > limit) {
    throw badNode(node,
      `its result of shape ${
        formatDims(shape)
      }, which does not depend on the input, has ${size} elements; at most ${limit} are allowed.`)
  }
}

function isSize(dim: Dim): boolean {
  const sizes = isBatch(dim) ? [dim.outer, dim.inner] : [dim]
  return sizes.every(size => Number.isSafeInteger(size) && size >= 0)
}

/**
 * A meter for constant folding: call it with every node that is folded and the number of elements that it makes.
 * @param given elements of the network's own arrays
 * @throws GraphError BAD_GRAPH when folding makes far more numbers than the network holds
 */
export function foldingMeter(given: number): (node: Node, elements: number) => void {
  const limit = Math.max(LARGEST_FOLDING, 4 * given)
  let used = 0
  return (node, elements) => {
    used += elements
    if (used > limit) {
      throw new GraphError('BAD_GRAPH',
        `${describeNode(node)}: what the network computes without its input comes to more than ${limit} numbers.`, {
        op: node.op,
        node: node.name ?? node.outputs[0],
        limit,
      })
    }
  }
}
