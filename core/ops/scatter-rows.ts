/**
 * @file ScatterRows, an operator of our own: the transpose of picking rows. Derivatives of Gather, of slices with steps
 * and of padding by repetition are made of it.
 *
 * out[..., v, :] = sum of g[..., t, :] over all t with indices[..., t] = v. The ONNX writer expresses it in other
 * operators.
 */
import type { GraphBuilder } from '../graph/builder.js'
import { type Dim, isBatch } from '../graph/graph.js'
import { placeNumbers } from '../kernels/rows.js'
import { sizeOf, tensor, type TensorData } from '../tensor/tensor.js'
import { broadcastPlan, forEachRow } from './broadcast.js'
import { leadingAxes } from './cotangents.js'
import { badNode, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, Operator } from './operator.js'
import { broadcastDims, formatDims, sameDim, sameShape } from './shape-rules.js'

/**
 * g: L... x T x M and indices: T, or L'... x T whose leading axes are broadcast to L; `rows` is the number of rows of
 * the result.
 */
export const scatterRows: Operator = {
  op: 'ScatterRows',
  infer(node, inputs) {
    const [g, indices] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    const rank = g.shape.length
    const lead = g.shape.slice(0, -2)
    const fits = rank >= 2 && indices.shape.length >= 1 &&
      sameDim(g.shape[rank - 2], indices.shape[indices.shape.length - 1])
    if (!fits || !sameShape(broadcastDims(node, lead, indices.shape.slice(0, -1)), lead)) {
      throw badNode(node,
        `rows of shape ${formatDims(g.shape)} cannot be placed by indices of shape ${formatDims(indices.shape)}.`)
    }
    return [{ dtype: g.dtype, shape: [...lead, numberAttribute(node, 'rows'), g.shape[rank - 1]] }]
  },
  run(node, inputs, context) {
    const [g, indices] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    const rows = numberAttribute(node, 'rows')
    const lead = g.shape.slice(0, -2)
    const [count, width] = g.shape.slice(-2)
    const shape = [...lead, rows, width]
    // Storage is used again: without `fill` the sums would start from some older value, though not in the first run.
    const data = context.allocate(g.dtype, sizeOf(shape)).fill(0)
    const plan = broadcastPlan(lead, indices.shape.slice(0, -1))
    const last = plan.extents.length - 1
    const size = { count, rows, width }
    forEachRow(plan, ([, block], at) => {
      const [blocks, step] = [plan.extents[last], plan.strides[1][last]]
      if (width === 1 && placeBlocks(g.data, at, indices.data, block, data, { ...size, blocks, step })) return
      for (let i = 0; i < plan.extents[last]; i++) {
        placeRows(g.data, at + i, indices.data, block + i * plan.strides[1][last], data, size)
      }
    })
    return [{ dtype: g.dtype, shape, data }]
  },
  backward: scatterRowsBackward,
}

interface BlockSize {
  /** Rows of g, rows of the result, and numbers of a row. */
  readonly count: number
  readonly rows: number
  readonly width: number
}

/** The same of many blocks of single numbers in the kernels. @returns false, and nothing is done, where they cannot */
function placeBlocks(g: TensorData, block: number, indices: TensorData, indexBlock: number, data: TensorData,
  { blocks, count, rows, step }: BlockSize & { readonly blocks: number, readonly step: number }): boolean {
  if (!(indices instanceof Float64Array) || g instanceof Uint8Array || data instanceof Uint8Array
    || g.BYTES_PER_ELEMENT !== data.BYTES_PER_ELEMENT) return false
  return placeNumbers({ blocks, count, length: rows, step: step * count },
    g.subarray(block * count, (block + blocks) * count),
    indices.subarray(indexBlock * count, (indexBlock + (step === 0 ? 1 : blocks)) * count),
    data.subarray(block * rows, (block + blocks) * rows))
}

/** Adds the rows of one block of g to those that the indices name. */
function placeRows(g: TensorData, block: number, indices: TensorData, indexBlock: number, data: TensorData,
  { count, rows, width }: BlockSize): void {
  const to = block * rows * width
  const first = indexBlock * count
  let source = block * count * width
  for (let t = 0; t < count; t++) {
    const index = indices[first + t]
    let target = to + (index < 0 ? index + rows : index) * width
    for (const end = source + width; source < end; source++, target++) data[target] += g[source]
  }
}

/**
 * The transpose of placing rows is picking them: the cotangent of g[..., t, :] is that of out[..., indices[..., t], :].
 * Nothing here reads the shape of the cotangent: what a second backward pass computes must not depend on it.
 */
function scatterRowsBackward(
  { builder, node, inputs: [g, indices], cotangents: [cotangent], seeds }: BackwardContext,
): (string | undefined)[] {
  if (cotangent === undefined || g === undefined || indices === undefined) return []
  const [, places] = node.inputs
  if (indices.shape.length === 1) return [builder.node('Gather', [cotangent, places], { axis: -2 })]
  if (indices.shape.some(isBatch)) {
    // GatherElements broadcasts nothing: an index for each element, the axis of the examples being there already.
    const target = builder.integers([seeds, ...g.shape.map(dim => (isBatch(dim) ? 1 : dim))])
    const columns = builder.node('Unsqueeze', [places, builder.integers([-1])])
    return [builder.node('GatherElements', [cotangent, builder.node('Expand', [columns, target])], { axis: -2 })]
  }
  // How many examples the cotangent has is not known here; a product with a matrix of zeros and ones is broadcast.
  const picked = builder.node('OneHot', [places, builder.integers([numberAttribute(node, 'rows')]),
    builder.constant(tensor(builder.precision, [2], [0, 1]))])
  return [builder.node('MatMul', [picked, cotangent])]
}

/** Appends the node for g: L... x T x M. */
export function appendScatterRows(builder: GraphBuilder, g: string, indices: string, rows: number): string {
  return builder.node('ScatterRows', [g, indices], { rows })
}

/**
 * Appends the nodes that do the same along any axis of the cotangent of a value of shape `shape`: element t of the axis
 * is added to element indices[t] (a list, or the name of a vector) of an axis of `extent` elements.
 */
export function scatterAlong(builder: GraphBuilder, cotangent: string, shape: readonly Dim[], axis: number,
  indices: readonly number[] | string, extent: number): string {
  const lead = leadingAxes(shape)
  const behind = shape.slice(axis + 1)
  const positions = typeof indices === 'string' ? indices : builder.integers(indices)
  if (!behind.some(isBatch)) {
    const front = [...new Array<number>(lead).fill(0), ...shape.slice(0, axis).map(dim => (isBatch(dim) ? -1 : dim))]
    const rows = builder.node('Reshape', [cotangent,
      builder.integers([...front, Number(shape[axis]), sizeOf(behind as readonly number[])])])
    return builder.node('Reshape', [appendScatterRows(builder, rows, positions, extent),
      builder.integers([...front, extent, ...behind as readonly number[]])])
  }
  // The examples lie behind the axis, which is therefore exchanged with the last one.
  const last = lead + shape.length - 1
  const exchange = Array.from({ length: last + 1 }, (_, i) => (i === lead + axis ? last : i === last ? lead + axis : i))
  const columns = builder.node('Unsqueeze', [builder.node('Transpose', [cotangent], { perm: exchange }),
    builder.integers([-1])])
  const placed = builder.node('Squeeze', [appendScatterRows(builder, columns, positions, extent),
    builder.integers([-1])])
  return builder.node('Transpose', [placed], { perm: exchange })
}
