/** @file Operators of ONNX Runtime that are not part of ONNX, written with those that are. */
import type { Node } from '../../core/graph/graph.js'
import { numberAttribute } from '../../core/ops/node-attributes.js'
import type { UpgradeContext } from './upgrade-context.js'

type Rewrite = (node: Node, context: UpgradeContext) => Node

const as = (op: string, attributes: Node['attributes'] = {}): Rewrite => node => ({ ...node, op, attributes })

/** Gelu of the sum of a value and an optional bias. */
const biasedGelu = (approximate: 'none' | 'tanh'): Rewrite => (node, context) => {
  const [x, bias = ''] = node.inputs
  return { ...node, op: 'Gelu', inputs: [bias === '' ? x : context.node('Add', [x, bias])], attributes: { approximate } }
}

const quickGelu: Rewrite = node => ({ ...node, op: 'Swish', attributes: { alpha: numberAttribute(node, 'alpha', 1.702) } })

const rootMeanSquare: Rewrite = node => ({
  ...node, op: 'RMSNormalization', outputs: node.outputs.slice(0, 1),
  attributes: { axis: numberAttribute(node, 'axis', -1), epsilon: numberAttribute(node, 'epsilon', 1e-5) },
})

/** alpha op(A) op(B); only the last two axes are exchanged. */
const fusedMatMul: Rewrite = (node, context) => {
  const flagged = ['transBatchA', 'transBatchB'].some(key => numberAttribute(node, key, 0) !== 0)
  const [a, b] = [0, 1].map(i => {
    const name = node.inputs[i]
    if (numberAttribute(node, i === 0 ? 'transA' : 'transB', 0) === 0) return name
    const rank = context.rank(name)
    return rank === undefined || rank < 2 ? undefined : context.node('Transpose', [name], { perm: [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2] })
  })
  if (flagged || a === undefined || b === undefined) return node
  const alpha = numberAttribute(node, 'alpha', 1)
  if (alpha === 1) return { ...node, op: 'MatMul', inputs: [a, b], attributes: {} }
  const dtype = context.types.get(a)?.dtype ?? context.builder.precision
  const scale = context.constant({ dtype, shape: [], data: dtype === 'float64' ? Float64Array.of(alpha) : Float32Array.of(alpha) }, 'alpha')
  return { ...node, op: 'Mul', inputs: [context.node('MatMul', [a, b]), scale], attributes: {} }
}

/** LayerNormalization of the sum of two values and an optional bias; its further outputs are for training. */
const skipLayerNormalization: Rewrite = (node, context) => {
  const [x, skip, scale, shift = '', bias = ''] = node.inputs
  const sum = context.node('Add', [x, skip])
  const total = bias === '' ? sum : context.node('Add', [sum, bias])
  return { ...node, op: 'LayerNormalization', inputs: [total, scale, ...(shift === '' ? [] : [shift])], outputs: node.outputs.slice(0, 1), attributes: { axis: -1, epsilon: numberAttribute(node, 'epsilon', 1e-12) } }
}

/** By operator; all but the first are of the domain com.microsoft. */
export const CONTRIBUTED: ReadonlyMap<string, Rewrite> = new Map([
  ['SimplifiedLayerNormalization', rootMeanSquare],
  ['com.microsoft::SimplifiedLayerNormalization', rootMeanSquare],
  ['com.microsoft::Gelu', as('Gelu')],
  ['com.microsoft::BiasGelu', biasedGelu('none')],
  ['com.microsoft::FastGelu', biasedGelu('tanh')],
  ['com.microsoft::QuickGelu', quickGelu],
  ['com.microsoft::FusedMatMul', fusedMatMul],
  ['com.microsoft::SkipLayerNormalization', skipLayerNormalization],
])
