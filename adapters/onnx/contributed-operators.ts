/**
 * @file Operators of ONNX Runtime, and the scaler of ONNX' classical models, that are no operators of ONNX itself,
 * written with those that are.
 */
import type { Node } from '../../core/graph/graph.js'
import { badNode, numberAttribute } from '../../core/ops/node-attributes.js'
import { type Tensor, tensor } from '../../core/tensor/tensor.js'
import type { UpgradeContext } from './upgrade-context.js'

type Rewrite = (node: Node, context: UpgradeContext) => Node

const as = (op: string, attributes: Node['attributes'] = {}): Rewrite => node => ({ ...node, op, attributes })

/** Gelu of the sum of a value and an optional bias. */
const biasedGelu = (approximate: 'none' | 'tanh'): Rewrite => (node, context) => {
  const [x, bias = ''] = node.inputs
  return { ...node, op: 'Gelu', inputs: [bias === '' ? x : context.node('Add', [x, bias])],
    attributes: { approximate } }
}

const quickGelu: Rewrite = node => ({ ...node, op: 'Swish',
  attributes: { alpha: numberAttribute(node, 'alpha', 1.702) } })

const rootMeanSquare: Rewrite = node => ({
  ...node,
  op: 'RMSNormalization',
  outputs: node.outputs.slice(0, 1),
  attributes: { axis: numberAttribute(node, 'axis', -1), epsilon: numberAttribute(node, 'epsilon', 1e-5) },
})

/** alpha op(A) op(B); only the last two axes are exchanged. */
const fusedMatMul: Rewrite = (node, context) => {
  const flagged = ['transBatchA', 'transBatchB'].some(key => numberAttribute(node, key, 0) !== 0)
  const [a, b] = [0, 1].map(i => {
    const name = node.inputs[i]
    if (numberAttribute(node, i === 0 ? 'transA' : 'transB', 0) === 0) return name
    const rank = context.rank(name)
    if (rank === undefined || rank < 2) return undefined
    return context.node('Transpose', [name], {
      perm: [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2],
    })
  })
  if (flagged || a === undefined || b === undefined) return node
  const alpha = numberAttribute(node, 'alpha', 1)
  if (alpha === 1) return { ...node, op: 'MatMul', inputs: [a, b], attributes: {} }
  const dtype = context.types.get(a)?.dtype ?? context.builder.precision
  const scale = context.constant(tensor(dtype, [], [alpha]), 'alpha')
  return { ...node, op: 'Mul', inputs: [context.node('MatMul', [a, b]), scale], attributes: {} }
}

/** LayerNormalization of the sum of two values and an optional bias; its further outputs are for training. */
const skipLayerNormalization: Rewrite = (node, context) => {
  const [x, skip, scale, shift = '', bias = ''] = node.inputs
  const sum = context.node('Add', [x, skip])
  const total = bias === '' ? sum : context.node('Add', [sum, bias])
  return {
    ...node,
    op: 'LayerNormalization',
    inputs: [total, scale, ...(shift === '' ? [] : [shift])],
    outputs: node.outputs.slice(0, 1),
    attributes: { axis: -1, epsilon: numberAttribute(node, 'epsilon', 1e-12) },
  }
}

/** (x - offset) scale, feature by feature: scikit-learn's scalers before a network. */
const scaler: Rewrite = (node, context) => {
  const dtype = context.types.get(node.inputs[0])?.dtype
  const x = dtype === 'int64' || dtype === 'bool' ? context.node('Cast', [node.inputs[0]], { to: 1 }) : node.inputs[0]
  const row = (key: string, fallback: number): Tensor => {
    const values = node.attributes[key] ?? [fallback]
    if (!Array.isArray(values) || !values.every(value => typeof value === 'number')) {
      throw badNode(node, `attribute '${key}' must be a list of numbers.`)
    }
    return tensor(dtype === 'float64' ? 'float64' : 'float32', [values.length], values as number[])
  }
  const centred = context.node('Sub', [x, context.constant(row('offset', 0), 'offset')])
  return { ...node, op: 'Mul', inputs: [centred, context.constant(row('scale', 1), 'scale')], attributes: {} }
}

/** By operator and domain. */
export const CONTRIBUTED: ReadonlyMap<string, Rewrite> = new Map([
  ['SimplifiedLayerNormalization', rootMeanSquare],
  ['com.microsoft::SimplifiedLayerNormalization', rootMeanSquare],
  ['ai.onnx.ml::Scaler', scaler],
  ['com.microsoft::Gelu', as('Gelu')],
  ['com.microsoft::BiasGelu', biasedGelu('none')],
  ['com.microsoft::FastGelu', biasedGelu('tanh')],
  ['com.microsoft::QuickGelu', quickGelu],
  ['com.microsoft::FusedMatMul', fusedMatMul],
  ['com.microsoft::SkipLayerNormalization', skipLayerNormalization],
])
