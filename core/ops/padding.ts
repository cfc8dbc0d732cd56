/** @file Pad: values around a tensor, constant or taken from its border. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf, type Tensor } from '../tensor/tensor.js'
import { badNode, batchAxisError, requiredInput, scalarOf, stringAttribute } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { scatterAlong } from './scatter-rows.js'
import { constantIntegers, formatDims, resolveAxis } from './shape-rules.js'
import { copyRun } from './strided-copy.js'

const MODES = ['constant', 'reflect', 'edge', 'wrap'] as const
type Mode = (typeof MODES)[number]

/** Elements added in front of and behind every axis; negative ones are cut off. */
interface Padding {
  readonly front: readonly number[]
  readonly back: readonly number[]
}

function modeOf(node: Node): Mode {
  const name = stringAttribute(node, 'mode', 'constant')
  const mode = MODES.find(known => known === name)
  if (mode === undefined) throw badNode(node, `mode '${name}' is not one of ${MODES.join(', ')}.`)
  return mode
}

/** `pads` holds the fronts of all axes, then the backs; `axes` says which axes they are. */
function paddingOf(node: Node, rank: number, pads: readonly number[], axes: readonly number[] | undefined): Padding {
  const named = axes === undefined
    ? Array.from({ length: rank }, (_, axis) => axis)
    : axes.map(axis => resolveAxis(node, axis, rank))
  if (pads.length !== 2 * named.length) {
    throw badNode(node,
      `it needs ${2 * named.length} pads, one in front of and one behind each axis; it has ${pads.length}.`)
  }
  const front = new Array<number>(rank).fill(0)
  const back = new Array<number>(rank).fill(0)
  named.forEach((axis, i) => {
    front[axis] += pads[i]
    back[axis] += pads[named.length + i]
  })
  return { front, back }
}

function inferredPadding(node: Node, inputs: readonly (InferredValue | undefined)[]): Padding {
  const x = requiredInput(node, inputs, 0)
  const pads = constantIntegers(node, requiredInput(node, inputs, 1), 'pads')
  return paddingOf(node, x.shape.length, pads,
    inputs[3] === undefined ? undefined : constantIntegers(node, inputs[3], 'axes'))
}

function paddedDim(node: Node, dim: Dim, front: number, back: number, mode: Mode, shape: readonly Dim[]): Dim {
  if (front === 0 && back === 0) return dim
  if (isBatch(dim)) throw batchAxisError(node, `it pads the batch axis of a value of shape ${formatDims(shape)}.`)
  const extent = dim + front + back
  const room = mode === 'reflect' ? dim - 1 : mode === 'wrap' ? dim : mode === 'edge' && dim === 0 ? 0 : Infinity
  if (extent < 0) throw badNode(node, `it cuts ${-front - back} elements from an axis of ${dim}.`)
  if (Math.max(front, back) > room) {
    throw badNode(node, `mode '${mode}' cannot pad an axis of ${dim} elements by ${Math.max(front, back)}.`)
  }
  return extent
}

/** The index in the input of each index of a padded axis; -1 where the constant is. */
function sourceIndices(extent: number, front: number, back: number, mode: Mode): number[] {
  return Array.from({ length: Math.max(0, extent + front + back) }, (_, i) => {
    const at = i - front
    if (at >= 0 && at < extent) return at
    switch (mode) {
      case 'constant':
        return -1
      case 'edge':
        return at < 0 ? 0 : extent - 1
      case 'wrap':
        return at < 0 ? at + extent : at - extent
      case 'reflect':
        return at < 0 ? -at : 2 * (extent - 1) - at
    }
  })
}

function padInto(x: Tensor, { front, back }: Padding, mode: Mode, value: number, out: Tensor): void {
  if (out.data.length === 0) return
  const padded = x.shape.map((_, axis) => front[axis] !== 0 || back[axis] !== 0)
  const last = padded.lastIndexOf(true)
  // Behind the last padded axis whole blocks are copied.
  const block = sizeOf(x.shape.slice(last + 1))
  const maps = x.shape.slice(0, last + 1).map((extent, axis) => sourceIndices(extent, front[axis], back[axis], mode))
  const steps = maps.map((_, axis) => sizeOf(x.shape.slice(axis + 1)))
  const inner = maps[last] ?? [0]
  const index = maps.slice(0, -1).map(() => 0)
  const rows = out.data.length / (inner.length * block)
  for (let row = 0, to = 0; row < rows; row++) {
    let from = 0
    for (let axis = 0; axis < index.length; axis++) {
      const source = maps[axis][index[axis]]
      if (source < 0) from = -Infinity
      else from += source * steps[axis]
    }
    for (const source of inner) {
      if (source < 0 || from < 0) out.data.fill(value, to, to + block)
      else copyRun(x.data, from + source * block, out.data, to, block)
      to += block
    }
    for (let axis = index.length - 1; axis >= 0; axis--) {
      if (++index[axis] < maps[axis].length) break
      index[axis] = 0
    }
  }
}

/**
 * Of a constant border nothing remains: the cotangent is cut. In the other modes every element collects the cotangents
 * of its copies.
 */
function padBackward(
  { builder, node, inputs, outputs, cotangents: [cotangent] }: BackwardContext,
): (string | undefined)[] {
  const [x] = inputs
  if (cotangent === undefined || x === undefined) return [undefined]
  const { front, back } = inferredPadding(node, inputs)
  const mode = modeOf(node)
  const axes = [...front.keys()].filter(axis => front[axis] !== 0 || back[axis] !== 0)
  if (axes.length === 0) return [cotangent]
  if (mode === 'constant') {
    const cut = builder.integers([...axes.map(axis => -front[axis]), ...axes.map(axis => -back[axis])])
    return [
      builder.node('Pad', [cotangent, cut, builder.scalar(0), builder.integers(axes.map(axis =>
        axis - x.shape.length
      ))]),
    ]
  }
  let result = cotangent
  let shape: readonly Dim[] = outputs[0].shape
  for (const axis of axes) {
    const extent = Number(x.shape[axis])
    result = scatterAlong(builder, result, shape, axis, sourceIndices(extent, front[axis], back[axis], mode), extent)
    shape = shape.map((dim, i) => (i === axis ? extent : dim))
  }
  return [result]
}

const pad: Operator = {
  op: 'Pad',
  infer(node, inputs) {
    const { dtype, shape } = requiredInput(node, inputs, 0)
    const { front, back } = inferredPadding(node, inputs)
    const mode = modeOf(node)
    return [{ dtype, shape: shape.map((dim, axis) => paddedDim(node, dim, front[axis], back[axis], mode, shape)) }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const padding = paddingOf(node, x.shape.length, Array.from(requiredInput(node, inputs, 1).data),
      inputs[3] === undefined ? undefined : Array.from(inputs[3].data))
    const shape = x.shape.map((extent, axis) => extent + padding.front[axis] + padding.back[axis])
    const out = { dtype: x.dtype, shape, data: context.allocate(x.dtype, sizeOf(shape)) }
    padInto(x, padding, modeOf(node), inputs[2] === undefined ? 0 : scalarOf(node, inputs[2], 'its constant'), out)
    return [out]
  },
  backward: padBackward,
}

/** Padding. */
export const paddingOperators: readonly Operator[] = [pad]
