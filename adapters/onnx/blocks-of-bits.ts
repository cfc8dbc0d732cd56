/**
 * @file MatMulNBits of ONNX Runtime: a product with a weight whose numbers take 2, 4 or 8 bits and have a scale and a
 * zero point for each block. As a product with the weight that this stands for.
 *
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
 */
import type { Node } from '../../core/graph/graph.js'
import { badNode, numberAttribute } from '../../core/ops/node-attributes.js'
import { allocate, type Tensor } from '../../core/tensor/tensor.js'

/** How the weight, K x N, is divided: each column into blocks of `size` numbers of `bits` bits. */
interface Blocks {
  readonly depth: number
  readonly columns: number
  readonly size: number
  readonly bits: number
  /** Blocks of a column. */
  readonly count: number
}

/** What a weight is made of. */
interface Packed {
  readonly numbers: Tensor
  readonly scales: Tensor
  readonly zeros: Tensor | undefined
}

/** Number `i` among numbers of a few bits that begin at a byte. */
function unpacked({ data }: Tensor, from: number, i: number, bits: number): number {
  return data[from + Math.floor(i * bits / 8)] >> i * bits % 8 & (1 << bits) - 1
}

/** Blocks by the node's attributes. @throws GraphError BAD_GRAPH where they do not fit what is stored */
function blocksOf(node: Node, { numbers, scales, zeros }: Packed): Blocks {
  const [depth, columns, size, bits] = ['K', 'N', 'block_size', 'bits'].map(key =>
    numberAttribute(node, key, key === 'bits' ? 4 : undefined)
  )
  const count = Math.ceil(depth / size)
  const stored = columns * count
  const zeroBytes = columns * Math.ceil(count * bits / 8)
  if (![2, 4, 8].includes(bits) || !(size > 0) || numbers.data.length !== stored * size * bits / 8 ||
    scales.data.length !== stored || (zeros !== undefined && ![stored, zeroBytes].includes(zeros.data.length))) {
    throw badNode(node, `its weight of ${depth} x ${columns} numbers in blocks of ${size} is stored otherwise.`)
  }
  return { depth, columns, size, bits, count }
}

/** The weight, K x N. @throws GraphError BAD_GRAPH */
function unpack(node: Node, packed: Packed): Tensor {
  const { numbers, scales, zeros } = packed
  const { depth, columns, size, bits, count } = blocksOf(node, packed)
  const zeroOf = (column: number, block: number): number => {
    if (zeros === undefined) return 1 << bits - 1
    return zeros.dtype === 'int64'
      ? unpacked(zeros, column * Math.ceil(count * bits / 8), block, bits)
      : zeros.data[column * count + block]
  }
  const data = allocate(scales.dtype, depth * columns)
  for (let column = 0; column < columns; column++) {
    for (let k = 0; k < depth; k++) {
      const block = Math.floor(k / size)
      const at = column * count + block
      const number = unpacked(numbers, at * size * bits / 8, k % size, bits)
      data[k * columns + column] = (number - zeroOf(column, block)) * scales.data[at]
    }
  }
  return { dtype: scales.dtype, shape: [depth, columns], data }
}

/** The weight of a MatMulNBits node and the nodes in its place; undefined where it is no constant, or reordered. */
export function writtenWithReals(node: Node, values: ReadonlyMap<string, Tensor>): { weight: Tensor, name: string,
  nodes: Node[] } | undefined {
  const [x, b, s, z = '', order = '', bias = ''] = node.inputs
  const [numbers, scales, zeros] = [b, s, z].map(name => values.get(name))
  if (numbers === undefined || scales === undefined || (z !== '' && zeros === undefined) || order !== '') {
    return undefined
  }
  const [output] = node.outputs
  const [name, product] = [`${b}:real`, bias === '' ? output : `${output}:product`]
  const rest = node.name === undefined ? {} : { name: node.name }
  return { weight: unpack(node, { numbers, scales, zeros }), name, nodes: [
    { op: 'MatMul', inputs: [x, name], outputs: [product], attributes: {}, ...rest },
    ...(bias === '' ? [] : [{ op: 'Add', inputs: [product, bias], outputs: [output], attributes: {}, ...rest }]),
  ] }
}
