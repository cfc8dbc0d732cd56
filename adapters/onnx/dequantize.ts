/**
 * @file Weights stored as integers: DequantizeLinear (and QuantizeLinear before it) of constants are worked out, so
 * that the network has real weights.
 *
 * https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html: y = (x - zero point) scale, with one scale for all, one
 * for each index of an axis, or one for each block along an axis.
 */
import type { Node } from '../../core/graph/graph.js'
import { badNode, numberAttribute } from '../../core/ops/node-attributes.js'
import { allocate, sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import type { FileDType } from '../tensors/file-tensor.js'

/** Constants of a file: their values, element types there, and places in its order. */
export interface Constants {
  readonly values: Map<string, Tensor>
  readonly fileTypes: Map<string, FileDType>
  readonly order: Map<string, number>
}

/** The nodes, in topological order, without those that could be worked out; their results join the constants. */
export function foldQuantization(nodes: readonly Node[], constants: Constants): Node[] {
  return nodes.filter(node => {
    if (node.op !== 'DequantizeLinear' && node.op !== 'QuantizeLinear') return true
    const [x, scale, zero] = node.inputs.map(name => constants.values.get(name))
    if (x === undefined || scale === undefined ||
      (node.inputs.length > 2 && node.inputs[2] !== '' && zero === undefined)) return true
    const [output] = node.outputs
    const result = node.op === 'DequantizeLinear'
      ? dequantize(node, x, scale, zero)
      : quantize(node, x, scale, zero, constants.fileTypes.get(node.inputs[2] ?? '') ?? 'uint8')
    constants.values.set(output, result)
    constants.order.set(output, constants.order.get(node.inputs[0]) ?? Infinity)
    if (node.op === 'QuantizeLinear') {
      constants.fileTypes.set(output, constants.fileTypes.get(node.inputs[2] ?? '') ?? 'uint8')
    }
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

/** The range of an integer type. */
const RANGES: Partial<Readonly<Record<FileDType, readonly [number, number]>>> = { uint8: [0, 255], int8: [-128, 127],
  uint16: [0, 65535], int16: [-32768, 32767] }

function quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | undefined, type: FileDType): Tensor {
  const range = RANGES[type]
  if (range === undefined) throw badNode(node, `it quantises to ${type}; expected integers of 8 or 16 bits.`)
  const index = scaleIndex(node, x, scale)
  const zeros = zeroPoints(node, scale, zero)
  const data = allocate('int64', x.data.length)
  for (let i = 0; i < data.length; i++) {
    const k = index(i)
    data[i] = Math.max(range[0], Math.min(range[1], roundToEven(x.data[i] / scale.data[k]) + zeros[k]))
  }
  return { dtype: 'int64', shape: x.shape, data }
}

function roundToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1
}
