/** @file Products and convolutions of ONNX Runtime, with what it has drawn into them. */
import type { Node } from '../../../core/graph/graph.js'
import { numberAttribute } from '../../../core/ops/node-attributes.js'
import { type Composition, type Compositions, isGiven, upTo } from '../composed/composition.js'
import type { UpgradeContext } from '../upgrade-context.js'
import { activated } from './activations.js'

/** An operand with its axes in the order of the product: the first one last but one, the last two exchanged. */
function oriented(value: string, transposed: boolean, batch: boolean, context: UpgradeContext): string {
  const rank = context.shape(value).length
  if (rank < 2 || !(transposed || batch)) return value
  const axes = upTo(rank)
  const rows = batch ? [...axes.slice(1, -1), 0, rank - 1] : axes
  const perm = transposed ? [...rows.slice(0, -2), rows[rank - 1], rows[rank - 2]] : rows
  return context.transpose(value, perm)
}

/** alpha op(A) op(B). */
const matMul: Composition = (node, context) => {
  const flag = (key: string): boolean => numberAttribute(node, key, 0) !== 0
  const [a, b] = node.inputs
  const product = context.node('MatMul', [oriented(a, flag('transA'), flag('transBatchA'), context),
    oriented(b, flag('transB'), flag('transBatchB'), context)])
  const alpha = numberAttribute(node, 'alpha', 1)
  return [activated(alpha === 1 ? product : context.mul(product, alpha), node, context)]
}

/** The attributes that an operator of ONNX has too. */
function own(node: Node, ...keys: readonly string[]): Node['attributes'] {
  return Object.fromEntries(keys.flatMap(key => (key in node.attributes ? [[key, node.attributes[key]]] : [])))
}

const gemm: Composition = (node, context) => [
  activated(context.node('Gemm', node.inputs, own(node, 'alpha', 'beta', 'transA', 'transB')), node, context),
]

const WINDOW = ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides']

/** A convolution, the sum with a further value, and an activation. */
const conv: Composition = (node, context) => {
  const [x, weight, bias, added] = node.inputs
  const product = context.node('Conv', [x, weight, ...(isGiven(bias) ? [bias] : [])], own(node, ...WINDOW))
  return [activated(isGiven(added) ? context.add(product, added) : product, node, context)]
}

/** A convolution of examples whose channels are last, as those of its filters. */
const channelsLastConv: Composition = (node, context) => {
  const [x, weight, ...bias] = node.inputs
  const rank = context.shape(x).length
  const [first, last] = [[0, rank - 1, ...upTo(rank - 2).map(i => i + 1)], [0, ...upTo(rank - 2).map(i => i + 2), 1]]
  const product = context.node('Conv', [context.transpose(x, first), context.transpose(weight, first), ...bias],
    own(node, ...WINDOW))
  return [context.transpose(product, last)]
}

/** Products, with what follows them. */
export const productCompositions: Compositions = [
  ['FusedMatMul', matMul],
  ['FusedMatMulActivation', matMul],
  ['TransposeMatMul', matMul],
  ['FusedGemm', gemm],
  ['FusedConv', conv],
  ['NhwcConv', channelsLastConv],
]
