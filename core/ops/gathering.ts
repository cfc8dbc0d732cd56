/** @file Gather and GatherElements: elements picked by indices, among them embeddings (rows of a table). */
import { GraphError } from '../errors/errors.js'
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf } from '../tensor/tensor.js'
import { axisBlocks } from './axis-blocks.js'
import { badNode, batchAxisError, describeNode, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { exampleRows } from './positions.js'
import { appendScatterRows, scatterAlong } from './scatter-rows.js'
import { cotangentTarget, elementsPerExample, formatDims, knownDims, resolveAxis, sameDim } from './shape-rules.js'
import { copyRun } from './strided-copy.js'

/** An index counted from the front. @throws GraphError BAD_GRAPH when there is no such element */
export function resolveIndex(node: Node, index: number, extent: number): number {
  const resolved = index < 0 ? index + extent : index
  if (!Number.isInteger(index) || resolved < 0 || resolved >= extent) {
    throw badNode(node, `index ${index} is not one of the ${extent} elements of its axis (0 .. ${extent - 1}).`)
  }
  return resolved
}

function axisOf(node: Node, rank: number): number {
  return resolveAxis(node, numberAttribute(node, 'axis', 0), rank)
}

/** Single extents are picked out of shapes. */
function gatheredDims(node: Node, data: InferredValue, indices: InferredValue): { dims?: readonly Dim[] } {
  const dims = data.dtype === 'int64' && data.shape.length === 1 ? knownDims(data) : undefined
  if (dims === undefined || indices.constant === undefined || indices.shape.length > 1) return {}
  return { dims: Array.from(indices.constant.data, index => dims[resolveIndex(node, index, dims.length)]) }
}

function dataAndIndices(node: Node,
  inputs: readonly (InferredValue | undefined)[]): { readonly data: InferredValue, readonly indices: InferredValue } {
  const [data, indices] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
  if (indices.dtype !== 'int64') {
    throw badNode(node, `its indices must be integers; they are of type ${indices.dtype}.`)
  }
  return { data, indices }
}

/** y = data with the axis replaced by the axes of the indices. */
const gather: Operator = {
  op: 'Gather',
  infer(node, inputs) {
    const { data, indices } = dataAndIndices(node, inputs)
    const axis = axisOf(node, data.shape.length)
    if (isBatch(data.shape[axis])) {
      throw batchAxisError(node, `it picks examples out of a value of shape ${formatDims(data.shape)}.`)
    }
    const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)]
    return [{ dtype: data.dtype, shape, ...gatheredDims(node, data, indices) }]
  },
  run(node, inputs, context) {
    const [data, indices] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    const axis = axisOf(node, data.shape.length)
    const { outer, extent, inner } = axisBlocks(data.shape, axis)
    const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)]
    const count = indices.data.length
    if (count === 1 && outer === 1) {
      const from = resolveIndex(node, indices.data[0], extent) * inner
      return [{ dtype: data.dtype, shape, data: data.data.subarray(from, from + inner) }]
    }
    const out = context.allocate(data.dtype, sizeOf(shape))
    for (let i = 0; i < count; i++) {
      const index = resolveIndex(node, indices.data[i], extent)
      for (let o = 0; o < outer; o++) {
        copyRun(data.data, (o * extent + index) * inner, out, (o * count + i) * inner, inner)
      }
    }
    return [{ dtype: data.dtype, shape, data: out }]
  },
  backward(context) {
    const { node, inputs: [data, indices], cotangents: [cotangent] } = context
    if (cotangent === undefined || data === undefined || indices === undefined) return []
    const axis = axisOf(node, data.shape.length)
    if (indices.shape.some(isBatch)) return [tableCotangent(context, cotangent, data, indices, axis)]
    return [pickedCotangent(context, cotangent, data, indices, axis)]
  },
}

/** The same elements are picked for every example: their cotangents go back to where they came from. */
function pickedCotangent({ builder, node }: BackwardContext, cotangent: string, data: InferredValue,
  indices: InferredValue, axis: number): string {
  const count = elementsPerExample(indices.shape)
  const shape = data.shape.map((dim, i) => (i === axis ? count : dim))
  const merged = builder.node('Reshape', [cotangent, builder.integers(cotangentTarget({ shape }))])
  const places = indices.constant === undefined
    ? builder.node('Reshape', [node.inputs[1], builder.integers([count])])
    : Array.from(indices.constant.data)
  return scatterAlong(builder, merged, shape, axis, places, Number(data.shape[axis]))
}

/**
 * The indices differ from example to example and the table is the same for all: its gradient is per example,
 * K x N x table, where row v collects the cotangents of the positions that picked it.
 */
function tableCotangent({ builder, node }: BackwardContext, cotangent: string, table: InferredValue,
  indices: InferredValue, axis: number): string {
  const picked = indices.shape.length
  const [front, back] = [table.shape.slice(0, axis), table.shape.slice(axis + 1)] as number[][]
  const width = sizeOf(front) * sizeOf(back)
  const rank = front.length + picked + back.length
  // Positions first, then what each of them picked, merged into one axis.
  const order = [...Array.from({ length: picked }, (_, i) => axis + i),
    ...Array.from({ length: rank - picked }, (_, i) => (i < axis ? i : i + picked))]
  const moved = axis === 0 ? cotangent : builder.node('Transpose', [cotangent], { perm: [0, ...order.map(i => i + 1)] })
  const shape = [...indices.shape, width]
  const flat = builder.node('Reshape', [moved, builder.integers(cotangentTarget({ shape }))])
  const positions = builder.node('Unsqueeze', [node.inputs[1], builder.integers([-1])])
  const ids = exampleRows(builder, positions, [...indices.shape, 1], false)
  const rows = exampleRows(builder, flat, shape, true)
  const count = elementsPerExample(indices.shape)
  const gradient = appendScatterRows(builder, rows, builder.node('Reshape', [ids, builder.integers([-1, count])]),
    Number(table.shape[axis]))
  if (axis === 0) return builder.node('Reshape', [gradient, builder.integers(cotangentTarget(table))])
  const apart = builder.node('Reshape', [gradient,
    builder.integers([0, 0, Number(table.shape[axis]), ...front, ...back])])
  const perm = [...front.map((_, i) => i + 3), 2, ...back.map((_, i) => i + 3 + front.length)]
  return builder.node('Transpose', [apart], { perm: [0, 1, ...perm] })
}

/** Checks that picking along `axis` keeps the examples of data and indices together. */
/** @throws GraphError BAD_GRAPH, BATCH_AXIS */
export function checkAligned(node: Node, data: InferredValue, indices: InferredValue, axis: number): void {
  const shapes = `${formatDims(data.shape)} and ${formatDims(indices.shape)}`
  if (data.shape.length !== indices.shape.length) {
    throw badNode(node, `data and indices of shapes ${shapes} must have the same number of axes.`)
  }
  if (isBatch(data.shape[axis])) {
    throw batchAxisError(node, `it picks examples out of a value of shape ${formatDims(data.shape)}.`)
  }
  data.shape.forEach((dim, i) => {
    const own = indices.shape[i]
    if (i === axis || sameDim(dim, own)) return
    if (isBatch(dim) || isBatch(own)) {
      throw batchAxisError(node, `data and indices of shapes ${shapes} do not carry the examples alike.`)
    }
    if (own > dim) {
      throw badNode(node,
        `its indices of shape ${formatDims(indices.shape)} are longer than the data of shape ${
          formatDims(data.shape)
        }.`)
    }
  })
}

/** y[..., i, ...] = data[..., indices[..., i, ...], ...] along one axis. */
const gatherElements: Operator = {
  op: 'GatherElements',
  infer(node, inputs) {
    const { data, indices } = dataAndIndices(node, inputs)
    checkAligned(node, data, indices, axisOf(node, data.shape.length))
    return [{ dtype: data.dtype, shape: indices.shape }]
  },
  run(node, inputs, context) {
    const [data, indices] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    const axis = axisOf(node, data.shape.length)
    const steps = data.shape.map((_, i) => sizeOf(data.shape.slice(i + 1)))
    const out = context.allocate(data.dtype, indices.data.length)
    const at = indices.shape.map(() => 0)
    for (let i = 0; i < out.length; i++) {
      const index = resolveIndex(node, indices.data[i], data.shape[axis])
      let from = 0
      for (let k = 0; k < at.length; k++) from += (k === axis ? index : at[k]) * steps[k]
      out[i] = data.data[from]
      for (let k = at.length - 1; k >= 0; k--) {
        if (++at[k] < indices.shape[k]) break
        at[k] = 0
      }
    }
    return [{ dtype: data.dtype, shape: indices.shape, data: out }]
  },
  backward(context) {
    const { node, inputs: [data, indices], cotangents: [cotangent] } = context
    if (cotangent === undefined || data === undefined || indices === undefined) return []
    const axis = axisOf(node, data.shape.length)
    if (data.shape.some((dim, i) => i !== axis && !sameDim(dim, indices.shape[i]))) {
      throw new GraphError('NOT_DIFFERENTIABLE',
        `${describeNode(node)} has a derivative rule only where indices and data differ along its axis alone.`, {
        op: node.op,
      })
    }
    return [placedCotangent(context, cotangent, data, node.inputs[1], axis)]
  },
}

/** The cotangent of data of which elements were picked by an index for each: back where they came from. */
export function placedCotangent({ builder, lead }: BackwardContext, cotangent: string, data: InferredValue,
  indices: string, axis: number): string {
  const last = data.shape.length - 1
  const exchange = (front: number): number[] =>
    Array.from({ length: front + last + 1 },
      (_, i) => (i === front + axis ? front + last : i === front + last ? front + axis : i))
  const moved = (value: string,
    front: number): string => (axis === last ? value : builder.node('Transpose', [value], { perm: exchange(front) }))
  const front = lead(data)
  const columns = builder.node('Unsqueeze', [moved(cotangent, front), builder.integers([-1])])
  const placed = appendScatterRows(builder, columns, moved(indices, 0), Number(data.shape[axis]))
  return moved(builder.node('Squeeze', [placed, builder.integers([-1])]), front)
}

/** Picking by indices. */
export const gatheringOperators: readonly Operator[] = [gather, gatherElements]
