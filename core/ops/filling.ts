/** @file Operators that make values out of shapes and numbers: ConstantOfShape, Range, OneHot, Size, NonZero. */
import { isBatch, type Node } from '../graph/graph.js'
import { sizeOf, type Tensor, tensor } from '../tensor/tensor.js'
import { axisBlocks } from './axis-blocks.js'
import { badNode, batchAxisError, numberAttribute, requiredInput, scalarOf } from './node-attributes.js'
import type { Operator } from './operator.js'
import { constantIntegers, elementsPerExample, requiredDims, resolveAxis } from './shape-rules.js'
import { adviceAbout } from './unsupported.js'

function fillValue(node: Node): Tensor {
  const { value } = node.attributes
  if (value === undefined) return tensor('float32', [1], [0])
  if (typeof value !== 'object' || !('data' in value) || value.data.length !== 1) {
    throw badNode(node, "attribute 'value' must be a tensor of one element.")
  }
  return value
}

/** A value of the shape that its input lists, filled with one number. */
const constantOfShape: Operator = {
  op: 'ConstantOfShape',
  infer(node, inputs) {
    const shape = requiredDims(node, requiredInput(node, inputs, 0), 'shape')
    if (shape.some(dim => !isBatch(dim) && (!Number.isInteger(dim) || dim < 0))) {
      throw badNode(node,
        `its shape must be of integers that are not negative; it is ${
          shape.map(dim => (isBatch(dim) ? 'N' : dim)).join(', ')
        }.`)
    }
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
      if (value.constant === undefined) {
        throw badNode(node, 'its start, limit and delta must be constant; one is computed from the data.')
      }
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
  if (!Number.isSafeInteger(length)) {
    throw badNode(node, `it cannot count from ${start} to ${limit} in steps of ${delta}.`)
  }
  return length
}

/**
 * One axis more, with `on` at the index and `off` elsewhere; a negative index counts from the end, one outside is
 * nowhere.
 */
const oneHot: Operator = {
  op: 'OneHot',
  infer(node, inputs) {
    const [indices, depth, values] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
    const [extent] = constantIntegers(node, depth, 'depth')
    if (!(extent >= 1)) throw badNode(node, `its depth must be at least 1; it is ${extent}.`)
    const axis = resolveAxis(node, numberAttribute(node, 'axis', -1), indices.shape.length + 1)
    return [{ dtype: values.dtype,
      shape: [...indices.shape.slice(0, axis), Math.trunc(extent), ...indices.shape.slice(axis)] }]
  },
  run(node, inputs, context) {
    const [indices, depth, values] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
    const extent = Math.trunc(scalarOf(node, depth, 'its depth'))
    const axis = resolveAxis(node, numberAttribute(node, 'axis', -1), indices.shape.length + 1)
    const shape = [...indices.shape.slice(0, axis), extent, ...indices.shape.slice(axis)]
    const { outer, inner } = axisBlocks(shape, axis)
    const [off, on] = values.data
    const data = context.allocate(values.dtype, sizeOf(shape)).fill(off)
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const given = indices.data[o * inner + i]
        const index = given < 0 ? given + extent : given
        if (index >= 0 && index < extent) data[(o * extent + Math.trunc(index)) * inner + i] = on
      }
    }
    return [{ dtype: values.dtype, shape, data }]
  },
}

/** Number of elements, which may be a multiple of the batch size. */
const size: Operator = {
  op: 'Size',
  infer(node, inputs) {
    const { shape } = requiredInput(node, inputs, 0)
    const elements = elementsPerExample(shape)
    return [{ dtype: 'int64', shape: [], dims: [shape.some(isBatch) ? { outer: 1, inner: elements } : elements] }]
  },
  run: (node, inputs) => [tensor('int64', [], [requiredInput(node, inputs, 0).data.length])],
  backward: () => [undefined],
}

/**
 * The indices of what is not zero, one column each. Their number depends on the data, which must therefore be constant.
 */
const nonZero: Operator = {
  op: 'NonZero',
  infer(node, inputs) {
    const { constant } = requiredInput(node, inputs, 0)
    if (constant === undefined) {
      throw badNode(node, 'it is supported for constants only; here its input is computed from the data. '
        + String(adviceAbout(node.op)))
    }
    const value = nonZeroIndices(constant)
    return [{ dtype: 'int64', shape: value.shape, constant: value }]
  },
  run: (node, inputs) => [nonZeroIndices(requiredInput(node, inputs, 0))],
  backward: () => [undefined],
}

function nonZeroIndices({ shape, data }: Tensor): Tensor {
  const nonZero: number[] = []
  data.forEach((value, i) => {
    if (value !== 0) nonZero.push(i)
  })
  const rows = shape.flatMap((extent, axis) => {
    const step = sizeOf(shape.slice(axis + 1))
    return nonZero.map(at => Math.floor(at / step) % extent)
  })
  return tensor('int64', [shape.length, nonZero.length], rows)
}

/** Values made out of numbers and shapes. */
export const fillingOperators: readonly Operator[] = [constantOfShape, range, oneHot, size, nonZero]
