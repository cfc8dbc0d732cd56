/** @file Operators that move or repeat elements in blocks: DepthToSpace, SpaceToDepth, Tile, Trilu. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf } from '../tensor/tensor.js'
import { badNode, batchAxisError, numberAttribute, requiredInput, stringAttribute } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { constantIntegers, cotangentTarget, formatDims, requiredDims } from './shape-rules.js'
import { copyStrided } from './strided-copy.js'
import { spatialExtents } from './window.js'

/** The value as six axes, and their order in the result. */
interface BlockMove {
  readonly six: readonly Dim[]
  readonly perm: readonly number[]
  readonly result: readonly Dim[]
}

function blockSize(node: Node): number {
  const size = numberAttribute(node, 'blocksize')
  if (!Number.isInteger(size) || size < 1) {
    throw badNode(node, `blocksize ${size} must be a whole number of at least 1.`)
  }
  return size
}

/** Where the block is in the channel axis: first (DCR) or last (CRD). */
function blockMode(node: Node): 'DCR' | 'CRD' {
  const mode = stringAttribute(node, 'mode', 'DCR')
  if (mode !== 'DCR' && mode !== 'CRD') throw badNode(node, `mode '${mode}' is neither DCR nor CRD.`)
  return mode
}

function imageExtents(node: Node, shape: readonly Dim[]): { channels: number, height: number, width: number } {
  const space = spatialExtents(node, shape)
  if (space.length !== 2) {
    throw badNode(node, `its input must be images, N x channels x height x width; its shape is ${formatDims(shape)}.`)
  }
  return { channels: Number(shape[1]), height: space[0], width: space[1] }
}

/** Channels become blocks of pixels. */
function depthToSpace(node: Node, shape: readonly Dim[]): BlockMove {
  const { channels, height, width } = imageExtents(node, shape)
  const b = blockSize(node)
  const rest = channels / (b * b)
  if (!Number.isInteger(rest)) throw badNode(node, `${channels} channels cannot be divided into blocks of ${b} x ${b}.`)
  const result = [shape[0], rest, height * b, width * b]
  return blockMode(node) === 'DCR'
    ? { six: [shape[0], b, b, rest, height, width], perm: [0, 3, 4, 1, 5, 2], result }
    : { six: [shape[0], rest, b, b, height, width], perm: [0, 1, 4, 2, 5, 3], result }
}

function spaceToDepth(node: Node, shape: readonly Dim[]): BlockMove {
  const { channels, height, width } = imageExtents(node, shape)
  const b = blockSize(node)
  const [rows, columns] = [height / b, width / b]
  if (!Number.isInteger(rows) || !Number.isInteger(columns)) {
    throw badNode(node, `an image of ${height} x ${width} cannot be divided into blocks of ${b} x ${b}.`)
  }
  return { six: [shape[0], channels, rows, b, columns, b],
    perm: blockMode(node) === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4],
    result: [shape[0], channels * b * b, rows, columns] }
}

function blockMove(op: string, move: (node: Node, shape: readonly Dim[]) => BlockMove): Operator {
  return {
    op,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      return [{ dtype: x.dtype, shape: move(node, x.shape).result }]
    },
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const { six, perm, result } = move(node, x.shape) as { six: number[], perm: number[], result: number[] }
      const data = context.allocate(x.dtype, x.data.length)
      const steps = six.map((_, axis) => sizeOf(six.slice(axis + 1)))
      copyStrided(x.data, 0, { extents: perm.map(axis => six[axis]), strides: perm.map(axis => steps[axis]) }, data)
      return [{ dtype: x.dtype, shape: result, data }]
    },
    backward({ builder, node, inputs: [x], outputs: [y], cotangents: [cotangent], lead }) {
      if (cotangent === undefined || x === undefined) return [undefined]
      const { six, perm } = move(node, x.shape)
      const apart = builder.node('Reshape', [cotangent,
        builder.integers(cotangentTarget({ shape: perm.map(axis => six[axis]) }))])
      const front = lead(y)
      const back = builder.node('Transpose', [apart], {
        perm: [...Array.from({ length: front }, (_, i) => i), ...perm.map((_, axis) => front + perm.indexOf(axis))],
      })
      return [builder.node('Reshape', [back, builder.integers(cotangentTarget(x))])]
    },
  }
}

/** An axis of one element takes any extent, the batch's among them; other axes are repeated a fixed number of times. */
function tiledDims(node: Node, shape: readonly Dim[], repeats: readonly Dim[]): Dim[] {
  if (repeats.length !== shape.length) {
    throw badNode(node, `it needs ${shape.length} repeats, one an axis; it has ${repeats.length}.`)
  }
  return shape.map((dim, axis) => {
    const times = repeats[axis]
    if (times === 1) return dim
    if (dim === 1) return times
    if (isBatch(dim) || isBatch(times)) {
      throw batchAxisError(node, `it repeats a value of shape ${formatDims(shape)} along the batch axis.`)
    }
    return dim * times
  })
}

/** Repeats its input along each axis. */
const tile: Operator = {
  op: 'Tile',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ dtype: x.dtype,
      shape: tiledDims(node, x.shape, requiredDims(node, requiredInput(node, inputs, 1), 'repeats')) }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const repeats = Array.from(requiredInput(node, inputs, 1).data)
    const shape = tiledDims(node, x.shape, repeats) as number[]
    const data = context.allocate(x.dtype, sizeOf(shape))
    const steps = x.shape.map((_, axis) => sizeOf(x.shape.slice(axis + 1)))
    copyStrided(x.data, 0, { extents: x.shape.flatMap((extent, axis) => [repeats[axis], extent]),
      strides: steps.flatMap(step => [0, step]) }, data)
    return [{ dtype: x.dtype, shape, data }]
  },
  backward: tileBackward,
}

/** Repetitions become axes of their own, over which the cotangent is summed. */
function tileBackward(
  { builder, node, inputs, outputs: [y], cotangents: [cotangent], lead, unbroadcast }: BackwardContext,
): (string | undefined)[] {
  const [x] = inputs
  if (cotangent === undefined || x === undefined) return [undefined]
  const repeats = requiredDims(node, requiredInput(node, inputs, 1), 'repeats')
  if (x.shape.every((dim, axis) => dim === 1 || repeats[axis] === 1)) return [unbroadcast(cotangent, x)]
  if (repeats.some(isBatch)) {
    throw batchAxisError(node, 'its repetitions along the batch axis and along other axes cannot be told apart.')
  }
  const front = lead(y)
  const apart = x.shape.flatMap((dim, axis): Dim[] => [repeats[axis], dim])
  const split = builder.node('Reshape', [cotangent, builder.integers(cotangentTarget({ shape: apart }))])
  return [
    builder.node('ReduceSum', [split, builder.integers(repeats.map((_, axis) => front + 2 * axis))], { keepdims: 0 }),
  ]
}

function diagonalOf(node: Node, inputs: readonly (InferredValue | undefined)[]): number {
  return inputs[1] === undefined ? 0 : constantIntegers(node, inputs[1], 'diagonal')[0]
}

/** The upper or lower triangle of the matrices in the last two axes, zero elsewhere. */
const trilu: Operator = {
  op: 'Trilu',
  infer(node, inputs) {
    const { dtype, shape } = requiredInput(node, inputs, 0)
    if (shape.length < 2) {
      throw badNode(node, `its input must have at least two axes; its shape is ${formatDims(shape)}.`)
    }
    if (shape.slice(-2).some(isBatch)) {
      throw batchAxisError(node, `it takes a triangle across the examples of a value of shape ${formatDims(shape)}.`)
    }
    diagonalOf(node, inputs)
    return [{ dtype, shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const diagonal = inputs[1]?.data[0] ?? 0
    const upper = numberAttribute(node, 'upper', 1) !== 0
    const [rows, columns] = x.shape.slice(-2)
    const data = context.allocate(x.dtype, x.data.length).fill(0)
    for (let from = 0, row = 0; from < data.length; from += columns, row = (row + 1) % rows) {
      const edge = Math.min(columns, Math.max(0, row + diagonal + (upper ? 0 : 1)))
      const [first, end] = upper ? [edge, columns] : [0, edge]
      for (let j = first; j < end; j++) data[from + j] = x.data[from + j]
    }
    return [{ ...x, data }]
  },
  backward({ builder, node, cotangents: [cotangent] }) {
    if (cotangent === undefined) return [undefined]
    return [builder.node('Trilu', [cotangent, ...node.inputs.slice(1)], node.attributes)]
  },
}

/** Moving and repeating. */
export const rearrangingOperators: readonly Operator[] = [blockMove('DepthToSpace', depthToSpace),
  blockMove('SpaceToDepth', spaceToDepth), tile, trilu]
