/** @file ScatterElements: elements placed by an index for each. */
import { GraphError } from '../errors/errors.js'
import { isBatch, type Node } from '../graph/graph.js'
import { sizeOf, tensor } from '../tensor/tensor.js'
import { expression } from './expression.js'
import { checkAligned, resolveIndex } from './gathering.js'
import { badNode, describeNode, numberAttribute, requiredInput, stringAttribute } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { formatDims, resolveAxis, sameShape } from './shape-rules.js'

const REDUCTIONS: Readonly<Record<string, (old: number, update: number) => number>> = {
  none: (_old, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  max: Math.max,
  min: Math.min,
}

function reductionOf(node: Node): string {
  const reduction = stringAttribute(node, 'reduction', 'none')
  if (!Object.hasOwn(REDUCTIONS, reduction)) {
    throw badNode(node, `reduction '${reduction}' is not one of ${Object.keys(REDUCTIONS).join(', ')}.`)
  }
  return reduction
}

const axisOf = (node: Node, rank: number): number => resolveAxis(node, numberAttribute(node, 'axis', 0), rank)

/** y = data, with updates[..., i, ...] at [..., indices[..., i, ...], ...] along one axis. */
const scatterElements: Operator = {
  op: 'ScatterElements',
  infer(node, inputs) {
    const [data, indices, updates] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
    checkAligned(node, data, indices, axisOf(node, data.shape.length))
    if (!sameShape(indices.shape, updates.shape)) {
      throw badNode(node,
        `it has indices of shape ${formatDims(indices.shape)} for updates of shape ${formatDims(updates.shape)}.`)
    }
    reductionOf(node)
    return [{ dtype: data.dtype, shape: data.shape }]
  },
  run(node, inputs, context) {
    const [data, indices, updates] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
    const axis = axisOf(node, data.shape.length)
    const reduction = reductionOf(node)
    const combine = REDUCTIONS[reduction]
    const placed = reduction === 'none' ? new Uint8Array(data.data.length) : undefined
    const steps = data.shape.map((_, i) => sizeOf(data.shape.slice(i + 1)))
    const out = context.allocate(data.dtype, data.data.length)
    out.set(data.data)
    const at = indices.shape.map(() => 0)
    for (let i = 0; i < indices.data.length; i++) {
      const index = resolveIndex(node, indices.data[i], data.shape[axis])
      let to = 0
      for (let k = 0; k < at.length; k++) to += (k === axis ? index : at[k]) * steps[k]
      const old = out[to]
      out[to] = combine(old, updates.data[i])
      if (placed?.[to] === 1 && out[to] !== old) throw placedTwice(node)
      if (placed !== undefined) placed[to] = 1
      for (let k = at.length - 1; k >= 0; k--) {
        if (++at[k] < indices.shape[k]) break
        at[k] = 0
      }
    }
    return [{ ...data, data: out }]
  },
  backward(context) {
    const { node, inputs: [data, indices], cotangents: [cotangent], needs } = context
    if (cotangent === undefined || data === undefined || indices === undefined) return []
    const reduction = reductionOf(node)
    if (reduction !== 'none' && reduction !== 'add') throw noRule(node, `the reduction '${reduction}'`)
    return [needs[0] ? keptCotangent(context, cotangent, reduction) : undefined, undefined,
      needs[2] ? pickedCotangent(context, cotangent, data, indices) : undefined]
  },
}

function placedTwice(node: Node): GraphError {
  return badNode(node, 'it places different numbers at one element, of which ONNX does not say which one stays. ' +
    "torch's older exporter writes that for index_add: export by torch.onnx.export(..., dynamo=True).")
}

function noRule(node: Node, what: string): GraphError {
  return new GraphError('NOT_DIFFERENTIABLE',
    `${describeNode(node)} has no derivative rule for ${what}, and parameters below it are asked for. ` +
      "Use subset 'last_layer', or parameters above that node.", { op: node.op, node: node.name ?? node.outputs[0] })
}

/** Where data are replaced, nothing of their cotangent is left. */
function keptCotangent({ builder, node }: BackwardContext, cotangent: string, reduction: string): string {
  if (reduction === 'add') return cotangent
  const filled = (value: string, number: number): string =>
    builder.node('ConstantOfShape', [builder.node('Shape', [value])], {
      value: tensor(builder.precision, [1], [number]),
    })
  const [data, indices, updates] = node.inputs
  const replaced = builder.node('ScatterElements', [filled(data, 0), indices, filled(updates, 1)], {
    axis: numberAttribute(node, 'axis', 0),
  })
  const e = expression(builder)
  return e.mul(cotangent, e.sub(1, replaced))
}

/**
 * The cotangent of the updates is picked from where they were placed. All axes but that of the examples are counted
 * through as one, so that indices may cover a part of the others.
 */
function pickedCotangent({ builder, node, seeds }: BackwardContext, cotangent: string, data: InferredValue,
  indices: InferredValue): string {
  const hasBatch = data.shape.some(isBatch)
  const [first] = data.shape
  if (hasBatch && !(isBatch(first) && first.outer === 1 && first.inner === 1)) {
    throw noRule(node, `examples along another axis than the first one (${formatDims(data.shape)})`)
  }
  const own = (hasBatch ? data.shape.slice(1) : data.shape) as number[]
  const picked = (hasBatch ? indices.shape.slice(1) : indices.shape) as number[]
  const places = placesOf(builder, node, own, picked, hasBatch)
  const flat = builder.node('Reshape', [cotangent, builder.integers(hasBatch ? [0, -1, sizeOf(own)] : [0, 0, -1])])
  if (!hasBatch) {
    return builder.node('Reshape', [builder.node('Gather', [flat, places], { axis: 2 }),
      builder.integers([0, 0, ...picked])])
  }
  const each = builder.node('Expand', [builder.node('Unsqueeze', [places, builder.integers([0])]),
    builder.integers([seeds, 1, 1])])
  return builder.node('Reshape', [builder.node('GatherElements', [flat, each], { axis: 2 }),
    builder.integers([0, -1, ...picked])])
}

/** The place of every update among the elements of one example, counted through: a vector, or N of them. */
function placesOf(builder: BackwardContext['builder'], node: Node, own: readonly number[], picked: readonly number[],
  hasBatch: boolean): string {
  const axis = axisOf(node, own.length + (hasBatch ? 1 : 0)) - (hasBatch ? 1 : 0)
  const steps = own.map((_, i) => sizeOf(own.slice(i + 1)))
  const others = Array.from({ length: sizeOf(picked) }, (_, at) =>
    picked.reduce(
      (sum, extent, i) => (i === axis ? sum : sum + Math.floor(at / sizeOf(picked.slice(i + 1))) % extent * steps[i]),
      0,
    ))
  const integer = (value: number): string => builder.constant(tensor('int64', [], [value]))
  const e = expression(builder)
  const index = builder.node('Mod', [e.add(node.inputs[1], integer(own[axis])), integer(own[axis])])
  const places = e.add(e.mul(index, integer(steps[axis])), builder.constant(tensor('int64', picked, others)))
  return builder.node('Reshape', [places, builder.integers(hasBatch ? [-1, sizeOf(picked)] : [-1])])
}

/** Placing by indices. */
export const scatteringOperators: readonly Operator[] = [scatterElements]
