/**
 * @file Weights stored as integers: DequantizeLinear (and QuantizeLinear before it) of constants are worked out, so
 * that the network has real weights.
 *
 * https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html: y = (x - zero point) scale, with one scale for all, one
 * for each index of an axis, or one for each block along an axis.
 */
import type { Node } from '../../core/graph/graph.js'
import { integerRange, isNarrowInteger, roundToEven } from '../../core/ops/narrow-types.js'
import { badNode, numberAttribute } from '../../core/ops/node-attributes.js'
import { allocate, sizeOf, type Tensor } from '../../core/tensor/tensor.js'

/** Constants of a file: their values, element types there, and places in its order. */
export interface Constants {
  readonly values: Map<string, Tensor>
  /** TensorProto.DataType. */
  readonly elementTypes: Map<string, number>
  readonly order: Map<string, number>
}

/** TensorProto.DataType. */
const UINT8 = 2

/** The nodes, in topological order, without those that could be worked out; their results join the constants. */
export function foldQuantization<N extends Node>(nodes: readonly N[], constants: Constants): N[] {
  return nodes.filter(node => {
    if (node.op !== 'DequantizeLinear' && node.op !== 'QuantizeLinear') return true
    const [x, scale, zero] = node.inputs.map(name => constants.values.get(name))
    if (x === undefined || scale === undefined ||
      (node.inputs.length > 2 && node.inputs[2] !== '' && zero === undefined)) return true
    const [output] = node.outputs
    if (node.op === 'DequantizeLinear') constants.values.set(output, dequantize(node, x, scale, zero))
    else {
      const type = constants.elementTypes.get(node.inputs[2] ?? '') ?? numberAttribute(node, 'output_dtype', UINT8)
      if (!isNarrowInteger(type)) return true
      constants.values.set(output, quantize(node, x, scale, zero, type === 0 ? UINT8 : type))
      constants.elementTypes.set(output, type)
    }
    constants.order.set(output, constants.order.get(node.inputs[0]) ?? Infinity)
    return false
  })
}

/** For every element of x the index of its scale. @throws GraphError BAD_GRAPH when the shapes do not fit */
function scaleIndex(node: Node, x: Tensor, scale: Tensor): (i: number) => number {
  if (sizeOf(scale.shape) === 1) return () => 0
  const given = numberAttribute(node, 'axis', 1)
  const axis = given < 0 ? given + x.shape.length : given
  const block = numberAttribute(node, 'block_size', 0)
  const length = x.shape[axis]
  const inner = sizeOf(x.shape.slice(axis + 1))
  if (length === undefined) throw badNode(node, `axis ${given} does not exist; the weight has ${x.shape.length} axes.`)
  if (block === 0) {
    if (sizeOf(scale.shape) !== length) {
      throw badNode(node, `it has ${sizeOf(scale.shape)} scales for an axis of length ${length}.`)
    }
    return i => Math.floor(i / inner) % length
  }
  const blocks = Math.ceil(length / block)
  if (block < 0 || sizeOf(scale.shape) !== sizeOf(x.shape) / length * blocks) {
    throw badNode(node, `its scales do not fit blocks of ${block} along an axis of length ${length}.`)
  }
  return i =>
    (Math.floor(i / (inner * length)) * blocks + Math.floor(Math.floor(i / inner) % length / block)) * inner + i % inner
}

function zeroPoints(node: Node, scale: Tensor, zero: Tensor | undefined): ArrayLike<number> {
  if (zero !== undefined && zero.data.length !== scale.data.length) {
    throw badNode(node, `it has ${zero.data.length} zero points for ${scale.data.length} scales.`)
  }
  return zero?.data ?? new Float64Array(scale.data.length)
}

function dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | undefined): Tensor {
  const index = scaleIndex(node, x, scale)
  const zeros = zeroPoints(node, scale, zero)
  const data = allocate(scale.dtype, x.data.length)
  for (let i = 0; i < data.length; i++) {
    const k = index(i)
    data[i] = (x.data[i] - zeros[k]) * scale.data[k]
  }
  return { dtype: scale.dtype, shape: x.shape, data }
}

function quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | undefined, type: number): Tensor {
  const [low, high] = integerRange(type)
  const index = scaleIndex(node, x, scale)
  const zeros = zeroPoints(node, scale, zero)
  const data = allocate('int64', x.data.length)
  for (let i = 0; i < data.length; i++) {
    const k = index(i)
    data[i] = Math.max(low, Math.min(high, roundToEven(x.data[i] / scale.data[k]) + zeros[k]))
  }
  return { dtype: 'int64', shape: x.shape, data }
}
