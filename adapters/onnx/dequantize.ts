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
import { operatorFor } from '../../core/ops/registry.js'
import { heapContext } from '../../core/passes/infer.js'
import { allocate, sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { writtenWithReals } from './blocks-of-bits.js'

/** Constants of a file: their values, element types there, and places in its order. */
export interface Constants {
  readonly values: Map<string, Tensor>
  /** TensorProto.DataType. */
  readonly elementTypes: Map<string, number>
  readonly order: Map<string, number>
}

/** TensorProto.DataType. */
const UINT8 = 2
/** The real types that integers of few bits are converted to. */
const REAL = new Map([[1, 'float32'], [11, 'float64']] as const)

/** What (x - zero point) scale consists of, where it is written out. */
const ARITHMETIC = new Set(['Sub', 'Mul', 'Div'])

/** Operators that pass integers on in another layout, in the form that they have in all operator sets. */
const LAYOUT = new Set(['Identity', 'Transpose', 'Reshape'])

/** An operator of ONNX Runtime that ONNX has too. */
const plainName = (op: string): string => op.replace(/^com\.microsoft::/, '')

/** The nodes, in topological order, without those that could be worked out; their results join the constants. */
export function foldQuantization<N extends Node>(nodes: readonly N[], constants: Constants): N[] {
  const reals = new Set<string>()
  return nodes.flatMap(node => {
    const op = plainName(node.op)
    if (op === 'MatMulNBits') return withRealWeight(node, constants)
    const folded = op === 'DequantizeLinear' || op === 'QuantizeLinear'
      ? foldScaled({ ...node, op }, constants)
      : op === 'Cast'
      ? foldCast(node, constants, reals)
      : ARITHMETIC.has(op)
      ? foldArithmetic(node, constants, reals)
      : LAYOUT.has(node.op) && foldLayout(node, constants)
    return folded ? [] : [node]
  })
}

function withRealWeight<N extends Node>(node: N, { values, order }: Constants): N[] {
  const found = writtenWithReals(node, values)
  if (found === undefined) return [node]
  values.set(found.name, found.weight)
  order.set(found.name, order.get(node.inputs[1]) ?? Infinity)
  return found.nodes.map(each => ({ ...node, ...each }))
}

/** Works a DequantizeLinear or QuantizeLinear of constants out. @returns false where it is not one of constants */
function foldScaled(node: Node, { values, elementTypes, order }: Constants): boolean {
  const [x, scale, zero] = node.inputs.map(name => values.get(name))
  if (x === undefined || scale === undefined ||
    (node.inputs.length > 2 && node.inputs[2] !== '' && zero === undefined)) return false
  const [output] = node.outputs
  if (node.op === 'DequantizeLinear') values.set(output, dequantize(node, x, scale, zero))
  else {
    const type = elementTypes.get(node.inputs[2] ?? '') ?? numberAttribute(node, 'output_dtype', UINT8)
    if (!isNarrowInteger(type)) return false
    values.set(output, quantize(node, x, scale, zero, type === 0 ? UINT8 : type))
    elementTypes.set(output, type)
  }
  order.set(output, order.get(node.inputs[0]) ?? Infinity)
  return true
}

/** Works out another layout of an integer of few bits. @returns false for other values */
function foldLayout(node: Node, { values, elementTypes, order }: Constants): boolean {
  const inputs = node.inputs.flatMap(name => values.get(name) ?? [])
  const type = elementTypes.get(node.inputs[0]) ?? 0
  if (inputs.length < node.inputs.length || !isNarrowInteger(type)) return false
  const [output] = node.outputs
  const { infer, run } = operatorFor(node.op)
  infer(node, inputs.map(constant => ({ dtype: constant.dtype, shape: constant.shape, constant })))
  values.set(output, run(node, inputs, heapContext)[0])
  elementTypes.set(output, type)
  order.set(output, order.get(node.inputs[0]) ?? Infinity)
  return true
}

/** Works out a conversion of integers of few bits to reals, which join `reals`. @returns false for other conversions */
function foldCast(node: Node, { values, elementTypes, order }: Constants, reals: Set<string>): boolean {
  const x = values.get(node.inputs[0])
  const dtype = REAL.get(numberAttribute(node, 'to', 0) as 1 | 11)
  if (x === undefined || x.data.length < 2 || dtype === undefined ||
    !isNarrowInteger(elementTypes.get(node.inputs[0]) ?? 0)) return false
  const [output] = node.outputs
  values.set(output, { dtype, shape: x.shape, data: allocate(dtype, x.data.length).map((_, i) => x.data[i]) })
  order.set(output, order.get(node.inputs[0]) ?? Infinity)
  reals.add(output)
  return true
}

/** Works out what scales or shifts such reals by constants. @returns false for other arithmetic */
function foldArithmetic(node: Node, { values, order }: Constants, reals: Set<string>): boolean {
  const inputs = node.inputs.flatMap(name => values.get(name) ?? [])
  const from = node.inputs.find(name => reals.has(name))
  // Old operator sets broadcast by attributes.
  if (from === undefined || inputs.length < 2 || Object.keys(node.attributes).length > 0) return false
  const { infer, run } = operatorFor(node.op)
  const [{ shape }] = infer(node, inputs.map(constant => ({ dtype: constant.dtype, shape: constant.shape, constant })))
  // A scale never makes a weight larger.
  if (sizeOf(shape as number[]) !== values.get(from)?.data.length) return false
  const [output] = node.outputs
  values.set(output, run(node, inputs, heapContext)[0])
  order.set(output, order.get(from) ?? Infinity)
  reals.add(output)
  return true
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
