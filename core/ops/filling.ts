/** @file Operators that make values out of shapes and numbers: ConstantOfShape, Range. */
import { isBatch, type Node } from '../graph/graph.js'
import { sizeOf, type Tensor, tensor } from '../tensor.js'
import { badNode, batchAxisError, requiredInput, scalarOf } from './node-attributes.js'
import type { Operator } from './operator.js'
import { knownDims } from './shape-rules.js'

function fillValue(node: Node): Tensor {
  const { value } = node.attributes
  if (value === undefined) return tensor('float32', [1], [0])
  if (typeof value !== 'object' || !('data' in value) || value.data.length !== 1) throw badNode(node, "attribute 'value' must be a tensor of one element.")
  return value
}

/** A value of the shape that its input lists, filled with one number. */
const constantOfShape: Operator = {
  op: 'ConstantOfShape',
  infer(node, inputs) {
    const shape = knownDims(requiredInput(node, inputs, 0))
    if (shape === undefined) throw badNode(node, 'its shape must follow from shapes; here it is computed from the data.')
    if (shape.some(dim => !isBatch(dim) && (!Number.isInteger(dim) || dim < 0))) throw badNode(node, `its shape must be of integers that are not negative; it is ${shape.map(dim => (isBatch(dim) ? 'N' : dim)).join(', ')}.`)
    return [{ dtype: fillValue(node).dtype, shape }]
  },
  run(node, inputs, context) {
    const shape = Array.from(requiredInput(node, inputs, 0).data)
    const { dtype, data: [value] } = fillValue(node)
    return [{ dtype, shape, data: context.allocate(dtype, sizeOf(shape)).fill(value) }]
  },
  backward: () => [undefined],
}

/** start, start + delta, ... up to the limit, which is left out. */
const range: Operator = {
  op: 'Range',
  infer(node, inputs) {
    const values = [0, 1, 2].map(i => requiredInput(node, inputs, i))
    if (values.some(({ dims }) => dims?.some(isBatch) === true)) throw batchAxisError(node, 'it counts the examples.')
    const [start, limit, delta] = values.map(value => {
      if (value.constant === undefined) throw badNode(node, 'its start, limit and delta must be constant; one is computed from the data.')
      return scalarOf(node, value.constant, 'each input')
    })
    return [{ dtype: values[0].dtype, shape: [rangeLength(node, start, limit, delta)] }]
  },
  run(node, inputs, context) {
    const [start, limit, delta] = [0, 1, 2].map(i => scalarOf(node, requiredInput(node, inputs, i), 'each input'))
    const { dtype } = requiredInput(node, inputs, 0)
    const data = context.allocate(dtype, rangeLength(node, start, limit, delta))
    for (let i = 0; i < data.length; i++) data[i] = start + i * delta
    return [{ dtype, shape: [data.length], data }]
  },
  backward: () => [],
}

function rangeLength(node: Node, start: number, limit: number, delta: number): number {
  const length = Math.max(0, Math.ceil((limit - start) / delta))
  if (!Number.isSafeInteger(length)) throw badNode(node, `it cannot count from ${start} to ${limit} in steps of ${delta}.`)
  return length
}

/** Values made out of numbers. */
export const fillingOperators: readonly Operator[] = [constantOfShape, range]
