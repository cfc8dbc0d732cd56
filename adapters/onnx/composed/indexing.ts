/** @file Operators that pick and place elements, as Gather, GatherElements and ScatterElements. */
import { type Dim, isBatch } from '../../../core/graph/graph.js'
import { badNode, numberAttribute, stringAttribute } from '../../../core/ops/node-attributes.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'
import { type Composition, type Compositions, isGiven, upTo } from './composition.js'

/** A shape as the target of a Reshape; the number of examples is left to the value. */
const target = (shape: readonly Dim[]): number[] => shape.map(dim => (isBatch(dim) ? -1 : dim))

/**
 * The places that vectors of indices (in the last axis) name among elements counted through, row by row, and how many
 * elements there are: sum of index_i stride_i. Indices may be negative.
 */
function places(indices: string, extents: readonly number[], context: UpgradeContext): string {
  const count = tensor('int64', [extents.length], extents)
  const strides = tensor('int64', [extents.length], extents.map((_, i) => sizeOf(extents.slice(i + 1))))
  const constant = context.type(indices).constant
  const negative = constant === undefined || constant.data.some(index => index < 0)
  const fromFront = !negative
    ? indices
    : context.node('Where', [context.binary('Less', indices, 0),
      context.add(indices, context.constant(count, 'extents')), indices])
  const terms = context.mul(fromFront, context.constant(strides, 'strides'))
  return context.node('ReduceSum', [terms, context.integers([-1])], { keepdims: 0 })
}

/** Elements, or parts, of data at places named by the last axis of the indices. */
const gatherND: Composition = (node, context) => {
  const [data, indices] = node.inputs
  return [pickedParts(data, indices, numberAttribute(node, 'batch_dims', 0), context)]
}

/** What vectors of indices pick, behind `batchDims` axes that data and indices have in common. */
export function pickedParts(data: string, indices: string, batchDims: number, context: UpgradeContext): string {
  const width = context.length(indices, -1, 'index')
  const extents = upTo(width).map(i => context.length(data, batchDims + i, 'axis that is indexed'))
  const at = places(indices, extents, context)
  const rest = context.shape(data).slice(batchDims + width)
  if (batchDims === 0) {
    return context.node('Gather', [context.reshape(data, [sizeOf(extents), ...target(rest)]), at], { axis: 0 })
  }
  if (rest.some(isBatch)) throw new NotExpressible('that picks along the examples')
  const kept = new Array<number>(batchDims).fill(0)
  const picked = context.shape(at).slice(batchDims).map((_, i) => context.length(at, batchDims + i, 'index'))
  const parts = sizeOf(rest as readonly number[])
  const rows = context.reshape(data, [...kept, sizeOf(extents), parts])
  const columns = context.node('Expand', [context.reshape(at, [...kept, sizeOf(picked), 1]),
    context.integers([...kept.map(() => 1), 1, parts])])
  const found = context.node('GatherElements', [rows, columns], { axis: batchDims })
  return context.reshape(found, [...kept, ...picked, ...rest as readonly number[]])
}

/** Updates placed into data at places named by the last axis of the indices. */
const scatterND: Composition = (node, context) => {
  const [data, indices, updates] = node.inputs
  const width = context.length(indices, -1, 'index')
  const extents = upTo(width).map(i => context.length(data, i, 'axis that is indexed'))
  const shape = context.shape(data)
  const rest = shape.slice(width)
  const picked = context.shape(indices).slice(0, -1).map((_, i) => context.length(indices, i, 'index'))
  const columns = rest.some(isBatch) ? -1 : sizeOf(rest as readonly number[])
  const rows = context.reshape(data, [sizeOf(extents), columns])
  const values = context.reshape(updates, [sizeOf(picked), columns])
  const at = context.reshape(places(indices, extents, context), [sizeOf(picked)])
  const reduction = stringAttribute(node, 'reduction', 'none')
  return [context.reshape(placeRows(rows, at, values, reduction, context), target(shape))]
}

/** Rows of values added to rows of data, or in their place. */
function placeRows(data: string, at: string, values: string, reduction: string, context: UpgradeContext): string {
  const rows = context.length(data, 0, 'axis that is indexed')
  const indices = context.type(at).constant
  const repeated = indices !== undefined && new Set(indices.data).size < indices.data.length
  if (reduction === 'none' ? repeated : reduction !== 'add') {
    const each = context.node('Expand', [context.unsqueeze(at, 1), context.extents(values)])
    return context.node('ScatterElements', [data, each, values], { axis: 0, reduction })
  }
  const placed = context.node('ScatterRows', [values, at], { rows })
  // Zeros that an exporter writes for one number of examples would fix it.
  if (context.type(data).constant?.data.every(value => value === 0) === true) return placed
  if (reduction === 'add') return context.add(data, placed)
  const ones = context.node('ConstantOfShape', [context.integers([context.length(at, 0, 'index'), 1])], {
    value: tensor('float32', [1], [1]),
  })
  const replaced = context.binary('Greater', context.node('ScatterRows', [ones, at], { rows }), 0)
  return context.node('Where', [replaced, placed, data])
}

/** The elements along an axis where a condition holds. */
const compress: Composition = (node, context) => {
  const [x, condition] = node.inputs
  const truths = context.known(condition, 'condition').data
  const chosen = Array.from(truths.keys()).filter(i => truths[i] !== 0)
  if (node.attributes['axis'] !== undefined) {
    return [context.node('Gather', [x, context.integers(chosen)], { axis: numberAttribute(node, 'axis') })]
  }
  const elements = context.reshape(x, [sizeOf(context.shape(x).map((_, i) => context.length(x, i, 'axis')))])
  return [context.node('Gather', [elements, context.integers(chosen)], { axis: 0 })]
}

/** The positions 0, 1, ... along an axis of a value, as integers. */
function positions(value: string, axis: number, context: UpgradeContext): string {
  const extent = context.node('Gather', [context.extents(value), context.integer(axis)], { axis: 0 })
  return context.node('Range', [context.integer(0), extent, context.integer(1)])
}

/** The first elements of every sequence in reverse order, as many as its length says. */
const reverseSequence: Composition = (node, context) => {
  const [x, lengths] = node.inputs
  const [examples, times] = [numberAttribute(node, 'batch_axis', 1), numberAttribute(node, 'time_axis', 0)]
  const rank = context.shape(x).length
  if (examples + times !== 1) throw badNode(node, 'its batch_axis and time_axis must be 0 and 1.')
  const along = (value: string, axis: number): string =>
    context.unsqueeze(value, ...upTo(rank).filter(other => other !== axis))
  const t = along(positions(x, times, context), times)
  const length = along(lengths, examples)
  const index = context.node('Where', [context.binary('Less', t, length),
    context.sub(context.sub(length, t), context.integer(1)), context.add(t, context.mul(length, 0))])
  return [context.node('GatherElements', [x, context.node('Expand', [index, context.extents(x)])], { axis: times })]
}

/** 1 at the largest element along an axis, 0 elsewhere. */
const hardmax: Composition = (node, context) => {
  const [x] = node.inputs
  const rank = context.shape(x).length
  const axis = (numberAttribute(node, 'axis', -1) + rank) % rank
  const largest = context.node('ArgMax', [x], { axis, keepdims: 0 })
  const values = context.constant(tensor(context.type(x).dtype, [2], [0, 1]), 'values')
  return [context.node('OneHot', [largest, context.extents(x, axis, axis + 1), values], { axis })]
}

/** New keys or values written into a cache, for every example from its own position on. */
const tensorScatter: Composition = (node, context) => {
  const [cache, update, start] = node.inputs
  const rank = context.shape(cache).length
  const axis = (numberAttribute(node, 'axis', -2) + rank) % rank
  const others = (own: number): number[] => upTo(rank).filter(other => other !== own)
  let at = context.unsqueeze(positions(update, axis, context), ...others(axis))
  if (isGiven(start)) at = context.add(at, context.unsqueeze(start, ...others(0)))
  if (stringAttribute(node, 'mode', 'linear') === 'circular') {
    at = context.node('Mod', [at, context.extents(cache, axis, axis + 1)])
  }
  const each = context.node('Expand', [at, context.extents(update)])
  return [context.node('ScatterElements', [cache, each, update], { axis })]
}

/** Maxima back at the places that MaxPool found them at, zeros elsewhere. */
const maxUnpool: Composition = (node, context) => {
  const [x, indices, outputShape] = node.inputs
  const list = (key: string, fallback: number): readonly number[] => {
    const value = node.attributes[key]
    return Array.isArray(value) ? value as readonly number[] : new Array<number>(2 * axes.length).fill(fallback)
  }
  const axes = context.shape(x).slice(2)
  const [kernel, strides, pads] = [list('kernel_shape', 1), list('strides', 1), list('pads', 0)]
  const space = axes.map((_, i) =>
    (context.length(x, i + 2, 'image') - 1) * strides[i] - pads[i] - pads[i + axes.length] + kernel[i]
  )
  const plane = sizeOf(space)
  const front = context.extents(x, 0, 2)
  const zeros = context.node('ConstantOfShape', [context.concat([front, context.integers([plane])], 0)], {
    value: tensor(context.type(x).dtype, [1], [0]),
  })
  const flat = (value: string): string => context.reshape(value, [0, 0, -1])
  const inPlane = context.node('Mod', [flat(indices), context.integer(plane)])
  const placed = context.reshape(
    context.node('ScatterElements', [zeros, inPlane, flat(x)], { axis: 2 }),
    [0, 0, ...space],
  )
  if (!isGiven(outputShape)) return [placed]
  const wanted = Array.from(context.known(outputShape, 'output shape').data).slice(2)
  return [
    context.node('Pad', [placed,
      context.integers([...space.map(() => 0), ...wanted.map((extent, i) => extent - space[i])]), '',
      context.integers(axes.map((_, i) => i + 2))]),
  ]
}

/** The distinct elements, or slices along an axis, of a constant. */
const unique: Composition = (node, context) => {
  const value = context.known(node.inputs[0], 'input')
  const axis = node.attributes['axis'] === undefined ? undefined : numberAttribute(node, 'axis')
  const shape = axis === undefined ? [value.data.length] : value.shape
  const at = axis === undefined ? 0 : (axis + shape.length) % shape.length
  const [outer, extent, inner] = [sizeOf(shape.slice(0, at)), shape[at], sizeOf(shape.slice(at + 1))]
  const slices = upTo(extent).map(k =>
    upTo(outer * inner).map(i => value.data[(Math.floor(i / inner) * extent + k) * inner + i % inner])
  )
  const same = (a: readonly number[], b: readonly number[]): boolean => a.every((element, i) => element === b[i])
  const first = upTo(extent).filter(k => slices.findIndex(other => same(other, slices[k])) === k)
  const compare = (a: readonly number[], b: readonly number[]): number => {
    const differing = a.findIndex((element, i) => element !== b[i])
    return differing < 0 ? 0 : a[differing] - b[differing]
  }
  if (numberAttribute(node, 'sorted', 1) !== 0) first.sort((a, b) => compare(slices[a], slices[b]))
  const inverse = slices.map(each => first.findIndex(k => same(slices[k], each)))
  const counts = first.map((_, k) => inverse.filter(index => index === k).length)
  const data = upTo(outer * first.length * inner).map(i => {
    const [o, k, j] = [Math.floor(i / (first.length * inner)), Math.floor(i / inner) % first.length, i % inner]
    return slices[first[k]][o * inner + j]
  })
  const values = tensor(value.dtype, shape.map((own, i) => (i === at ? first.length : own)), data)
  return [context.constant(values, 'unique'), context.integers(first), context.integers(inverse),
    context.integers(counts)]
}

/** A box by its sides. */
type Box = readonly [top: number, left: number, bottom: number, right: number]

/** Intersection over union. */
function overlap([top, left, bottom, right]: Box, other: Box): number {
  const height = Math.min(bottom, other[2]) - Math.max(top, other[0])
  const width = Math.min(right, other[3]) - Math.max(left, other[1])
  const shared = Math.max(0, height) * Math.max(0, width)
  const area = (box: Box): number => (box[2] - box[0]) * (box[3] - box[1])
  return shared / (area([top, left, bottom, right]) + area(other) - shared)
}

/**
 * The best boxes of every class, without those that overlap a better one. How many remain depends on the values, which
 * must therefore be constant.
 */
const nonMaxSuppression: Composition = (node, context) => {
  const optional = (index: number, fallback: number): number => {
    const name = node.inputs[index]
    return isGiven(name) ? context.known(name, 'limit').data[0] : fallback
  }
  const [boxes, scores] = [0, 1].map(i => context.known(node.inputs[i], i === 0 ? 'boxes' : 'scores'))
  const [most, overlapLimit, scoreLimit] = [optional(2, 0), optional(3, 0), optional(4, -Infinity)]
  const [examples, count] = boxes.shape
  const classes = scores.shape[1]
  const centred = numberAttribute(node, 'center_point_box', 0) !== 0
  const boxAt = (example: number, i: number): Box => {
    const [a, b, c, d] = boxes.data.subarray((example * count + i) * 4, (example * count + i + 1) * 4)
    return centred
      ? [b - d / 2, a - c / 2, b + d / 2, a + c / 2]
      : [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)]
  }
  const rows = upTo(examples).flatMap(n =>
    upTo(classes).flatMap(k => {
      const score = (i: number): number => scores.data[(n * classes + k) * count + i]
      const chosen: number[] = []
      for (const i of upTo(count).filter(i => score(i) > scoreLimit).sort((a, b) => score(b) - score(a) || a - b)) {
        if (chosen.length >= most) break
        if (chosen.every(other => overlap(boxAt(n, i), boxAt(n, other)) <= overlapLimit)) chosen.push(i)
      }
      return chosen.map(i => [n, k, i])
    })
  )
  return [context.constant(tensor('int64', [rows.length, 3], rows.flat()), 'boxes')]
}

/** Picking and placing. */
export const indexingCompositions: Compositions = [
  ['GatherND', gatherND],
  ['ScatterND', scatterND],
  ['Compress', compress],
  ['ReverseSequence', reverseSequence],
  ['Hardmax', hardmax],
  ['TensorScatter', tensorScatter],
  ['MaxUnpool', maxUnpool],
  ['Unique', unique],
  ['NonMaxSuppression', nonMaxSuppression],
]
