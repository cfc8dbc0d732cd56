/** @file Concat and Split: several values along one axis of another. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf, type Tensor } from '../tensor/tensor.js'
import { axisBlocks } from './axis-blocks.js'
import { expression } from './expression.js'
import { badNode, batchAxisError, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { constantIntegers, formatDims, knownDims, resolveAxis, sameDim } from './shape-rules.js'
import { copyRun } from './strided-copy.js'

/** Appends the elements `from` to `to` (exclusive) along an axis that is counted from the end. */
function slice(context: BackwardContext, value: string, axis: number, from: number, to: number): string {
  const { builder } = context
  return builder.node('Slice', [value, builder.integers([from]), builder.integers([to]), builder.integers([axis])])
}

function concatenated(node: Node, values: readonly InferredValue[]): Dim[] {
  const [{ shape: first, dtype }] = values
  const axis = resolveAxis(node, numberAttribute(node, 'axis'), first.length)
  let extent = 0
  for (const { shape, dtype: own } of values) {
    const shapes = values.map(value => formatDims(value.shape)).join(', ')
    if (own !== dtype) {
      throw badNode(node, `its inputs have the types ${
        values.map(value => value.dtype).join(', ')
      }; expected one type.`)
    }
    if (shape.length !== first.length) {
      throw badNode(node, `its inputs have the shapes ${shapes}; expected the same number of axes.`)
    }
    const along = shape[axis]
    if (isBatch(along)) throw batchAxisError(node, `it joins values of shapes ${shapes} along the batch axis.`)
    const other = shape.findIndex((dim, i) => i !== axis && !sameDim(dim, first[i]))
    if (other >= 0 && (isBatch(shape[other]) || isBatch(first[other]))) {
      throw batchAxisError(node, `its inputs of shapes ${shapes} do not carry the examples alike.`)
    }
    if (other >= 0) {
      throw badNode(node, `its inputs have the shapes ${shapes}; they may differ only along axis ${axis}.`)
    }
    extent += along
  }
  return first.map((dim, i) => (i === axis ? extent : dim))
}

/** Shapes are put together from extents; several of them may be multiples of the batch size. */
function concatenatedDims(values: readonly InferredValue[]): { dims?: readonly Dim[] } {
  if (values.some(({ dtype, shape }) => dtype !== 'int64' || shape.length !== 1)) return {}
  const known = values.map(knownDims)
  return known.every((dims): dims is readonly Dim[] => dims !== undefined) ? { dims: known.flat() } : {}
}

const concat: Operator = {
  op: 'Concat',
  infer(node, inputs) {
    const values = inputs.map((_, i) => requiredInput(node, inputs, i))
    const { dtype } = requiredInput(node, values, 0)
    return [{ dtype, shape: concatenated(node, values), ...concatenatedDims(values) }]
  },
  run(node, inputs, context) {
    const values = inputs.map((_, i) => requiredInput(node, inputs, i))
    const { dtype, shape: first } = requiredInput(node, values, 0)
    const axis = resolveAxis(node, numberAttribute(node, 'axis'), first.length)
    const extent = values.reduce((sum, { shape }) => sum + shape[axis], 0)
    const shape = first.map((own, i) => (i === axis ? extent : own))
    const data = context.allocate(dtype, sizeOf(shape))
    const { outer, inner } = axisBlocks(shape, axis)
    let at = 0
    for (const value of values) {
      const run = value.shape[axis] * inner
      for (let o = 0; o < outer; o++) copyRun(value.data, o * run, data, o * extent * inner + at, run)
      at += run
    }
    return [{ dtype, shape, data }]
  },
  backward(context) {
    const { node, inputs, needs, cotangents: [cotangent] } = context
    if (cotangent === undefined) return []
    let from = 0
    return inputs.map((input, i) => {
      if (input === undefined) return undefined
      const axis = resolveAxis(node, numberAttribute(node, 'axis'), input.shape.length)
      const to = from + Number(input.shape[axis])
      const part = needs[i] ? slice(context, cotangent, axis - input.shape.length, from, to) : undefined
      from = to
      return part
    })
  },
}

/** How an axis is split: the second input, or `num_outputs` parts of which the last may be smaller. */
function splitSizes(node: Node, extent: number, sizes: readonly number[] | undefined): readonly number[] {
  const count = node.outputs.length
  if (sizes !== undefined) {
    if (sizes.length !== count || sizes.some(size => !(size >= 0)) || sizes.reduce((a, b) => a + b, 0) !== extent) {
      throw badNode(node,
        `its parts of ${sizes.join(', ')} elements do not make up ${count} outputs of an axis of ${extent}.`)
    }
    return sizes
  }
  const parts = numberAttribute(node, 'num_outputs', count)
  const size = Math.ceil(extent / parts)
  const rest = extent - size * (parts - 1)
  if (parts !== count || rest < 0) {
    throw badNode(node, `an axis of ${extent} elements cannot be split into ${parts} parts for ${count} outputs.`)
  }
  return Array.from({ length: parts }, (_, i) => (i < parts - 1 ? size : rest))
}

function inferredSplit(node: Node,
  inputs: readonly (InferredValue | undefined)[]): { axis: number, sizes: readonly number[] } {
  const { shape } = requiredInput(node, inputs, 0)
  const axis = resolveAxis(node, numberAttribute(node, 'axis', 0), shape.length)
  const extent = shape[axis]
  if (isBatch(extent)) throw batchAxisError(node, `it splits the batch axis of a value of shape ${formatDims(shape)}.`)
  return { axis,
    sizes: splitSizes(node, extent,
      inputs[1] === undefined ? undefined : constantIntegers(node, inputs[1], 'part sizes')) }
}

const split: Operator = {
  op: 'Split',
  infer(node, inputs) {
    const { dtype, shape } = requiredInput(node, inputs, 0)
    const { axis, sizes } = inferredSplit(node, inputs)
    const dims = shape.length === 1 ? knownDims(inputs[0]) : undefined
    let from = 0
    return sizes.map(size => {
      from += size
      return { dtype, shape: shape.map((dim, i) => (i === axis ? size : dim)),
        ...(dims === undefined || dtype !== 'int64' ? {} : { dims: dims.slice(from - size, from) }) }
    })
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const axis = resolveAxis(node, numberAttribute(node, 'axis', 0), x.shape.length)
    const sizes = splitSizes(node, x.shape[axis], inputs[1] === undefined ? undefined : Array.from(inputs[1].data))
    const { outer, extent, inner } = axisBlocks(x.shape, axis)
    let from = 0
    return sizes.map((size): Tensor => {
      const run = size * inner
      const data = context.allocate(x.dtype, outer * run)
      for (let o = 0; o < outer; o++) copyRun(x.data, o * extent * inner + from, data, o * run, run)
      from += run
      return { dtype: x.dtype, shape: x.shape.map((own, i) => (i === axis ? size : own)), data }
    })
  },
  backward(context) {
    const { builder, node, inputs, cotangents } = context
    const [x] = inputs
    if (x === undefined) return [undefined]
    const { axis, sizes } = inferredSplit(node, inputs)
    const fromEnd = axis - x.shape.length
    if (cotangents.every((part): part is string => part !== undefined)) {
      return [builder.node('Concat', cotangents, { axis: fromEnd })]
    }
    // Parts that the output does not depend on are zeros around the others.
    const extent = sizes.reduce((a, b) => a + b, 0)
    const placed: string[] = []
    let from = 0
    cotangents.forEach((part, i) => {
      const pads = builder.integers([from, extent - from - sizes[i]])
      if (part !== undefined) {
        placed.push(builder.node('Pad', [part, pads, builder.scalar(0), builder.integers([fromEnd])]))
      }
      from += sizes[i]
    })
    return [placed.length === 0 ? undefined : placed.reduce((a, b) => expression(builder).add(a, b))]
  },
}

/** Joining and splitting. */
export const joiningOperators: readonly Operator[] = [concat, split]
