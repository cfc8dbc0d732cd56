/** @file Operators that crop, pad, fold and convert. */
import { isBatch, type Node } from '../../../core/graph/graph.js'
import { castAttributes, elementTypeOf } from '../../../core/ops/element-types.js'
import { integersAttribute, numberAttribute } from '../../../core/ops/node-attributes.js'
import { knownDims, sameDim } from '../../../core/ops/shape-rules.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { NotExpressible } from '../upgrade-context.js'
import { type Composition, type Compositions, isGiven, upTo } from './composition.js'

/** The middle of an axis, or the axis with zeros on both sides. */
const centerCropPad: Composition = (node, context) => {
  const [x, shape] = node.inputs
  const rank = context.shape(x).length
  const wanted = knownDims(context.type(shape))
  if (wanted === undefined) throw new NotExpressible('whose shape depends on the data')
  const axes = integersAttribute(node, 'axes', upTo(rank)).map(axis => (axis + rank) % rank)
  return [axes.reduce((value, axis, i) => {
    const target = wanted[i]
    if (sameDim(context.shape(value)[axis], target)) return value
    if (isBatch(target)) throw new NotExpressible('that changes the number of examples')
    const extent = context.length(value, axis, 'axis')
    if (extent > target) {
      const first = Math.floor((extent - target) / 2)
      return context.slice(value, axis, first, first + target)
    }
    const front = Math.floor((target - extent) / 2)
    return context.node('Pad', [value, context.integers([front, target - extent - front]), '',
      context.integers([axis])])
  }, x)]
}

/** Overlapping blocks added up to an image: a transposed convolution in which every block element has its place. */
const columnsToImage: Composition = (node, context) => {
  const [x, imageInput, blockInput] = node.inputs
  const image = Array.from(context.known(imageInput, 'image shape').data)
  const block = Array.from(context.known(blockInput, 'block shape').data)
  const list = (key: string, length: number, fallback: number): readonly number[] =>
    integersAttribute(node, key, new Array<number>(length).fill(fallback))
  const [strides, dilations] = [list('strides', image.length, 1), list('dilations', image.length, 1)]
  const pads = list('pads', 2 * image.length, 0)
  const size = sizeOf(block)
  const channels = context.length(x, 1, 'channels') / size
  const positions = image.map((extent, i) =>
    Math.floor((extent + pads[i] + pads[i + image.length] - dilations[i] * (block[i] - 1) - 1) / strides[i]) + 1
  )
  const covered = positions.map((count, i) =>
    (count - 1) * strides[i] - pads[i] - pads[i + image.length] + dilations[i] * (block[i] - 1) + 1
  )
  const identity = upTo(channels * size * size).map(i => (i % size === Math.floor(i / size) % size ? 1 : 0))
  const weight = context.constant(tensor(context.type(x).dtype, [channels * size, 1, ...block], identity), 'blocks')
  return [context.node('ConvTranspose', [context.reshape(x, [0, channels * size, ...positions]), weight], {
    group: channels,
    kernel_shape: block,
    strides,
    dilations,
    pads,
    output_padding: image.map((extent, i) => extent - covered[i]),
  })]
}

/** Ones on a diagonal. */
const eyeLike: Composition = (node, context) => {
  const [rows, columns] = [0, 1].map(axis => context.length(node.inputs[0], axis, 'shape'))
  const k = numberAttribute(node, 'k', 0)
  const { dtype } = context.type(node.inputs[0])
  const data = upTo(rows * columns).map(i => (i % columns - Math.floor(i / columns) === k ? 1 : 0))
  const eye = context.constant(tensor('float32', [rows, columns], data), 'eye')
  return [context.node('Cast', [eye], castAttributes(numberAttribute(node, 'dtype', elementTypeOf(dtype))))]
}

/** A conversion to the element type of another value. */
const castLike: Composition = ({ inputs: [x, like], attributes }: Node, context) => [
  context.node('Cast', [x], { ...attributes, ...castAttributes(context.elementType(like)) }),
]

/** Recurrences with the examples first are those with the times first, between exchanges of axes. */
const timesFirst: Composition = (node, context) => {
  if (numberAttribute(node, 'layout', 0) === 0) return undefined
  const exchanged = (name: string | undefined): string => (isGiven(name) ? context.transpose(name, [1, 0, 2]) : '')
  const { layout: _, ...attributes } = node.attributes
  const [x, w, r, b = '', lengths = '', ...states] = node.inputs
  const values = states.map((name, i) => (i < 2 ? exchanged(name) : name))
  const [y, ...last] = context.nodeOutputs(node.op, [exchanged(x), w, r, b, lengths, ...values],
    node.op === 'LSTM' ? 3 : 2, attributes)
  return [context.transpose(y, [2, 0, 1, 3]), ...last.map(exchanged)]
}

/** Layout. */
export const layoutCompositions: Compositions = [
  ['CenterCropPad', centerCropPad],
  ['Col2Im', columnsToImage],
  ['EyeLike', eyeLike],
  ['CastLike', castLike],
  ['RNN', timesFirst],
  ['GRU', timesFirst],
  ['LSTM', timesFirst],
]
