/** @file Activations of ONNX Runtime: those with a bias, and those that follow a product in one operator. */
import type { Node } from '../../../core/graph/graph.js'
import { numberAttribute, stringAttribute } from '../../../core/ops/node-attributes.js'
import { type Composition, type Compositions, isGiven } from '../composed/composition.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'

/** Gelu of the sum of a value and an optional bias. */
const biasedGelu = (approximate: 'none' | 'tanh'): Composition => ({ inputs: [x, bias] }, context) => [
  context.node('Gelu', [isGiven(bias) ? context.add(x, bias) : x], { approximate }),
]

const quickGelu: Composition = (node, context) => [
  context.node('Swish', [node.inputs[0]], { alpha: numberAttribute(node, 'alpha', 1.702) }),
]

/** The names of the numbers that an activation takes, in the order of `activation_params`. */
const FUSED: Readonly<Record<string, readonly string[]>> = { Relu: [], Tanh: [], Sigmoid: [], Softplus: [],
  Softsign: [], HardSwish: [], LeakyRelu: ['alpha'], Elu: ['alpha'], ThresholdedRelu: ['alpha'],
  HardSigmoid: ['alpha', 'beta'], Selu: ['alpha', 'gamma'], Clip: ['min', 'max'] }

/** What follows a product in its operator: `activation`, with its numbers in a list or as attributes. */
export function activated(value: string, node: Node, context: UpgradeContext): string {
  const op = stringAttribute(node, 'activation', '')
  if (op === '') return value
  if (!Object.hasOwn(FUSED, op)) throw new NotExpressible(`with the activation '${op}'`)
  const list = node.attributes['activation_params']
  const numbers = FUSED[op].flatMap((key, i) => {
    const single = node.attributes[`activation_${key}`]
    const number = Array.isArray(list) ? Number(list[i]) : single === undefined ? undefined : Number(single)
    return number === undefined || Number.isNaN(number) ? [] : [[key, number] as const]
  })
  if (op !== 'Clip') return context.node(op, [value], Object.fromEntries(numbers))
  return context.node(op, [value, ...numbers.map(([, bound]) => context.scalarLike(value, bound))])
}

/** Activations by themselves. */
export const activationCompositions: Compositions = [
  ['Gelu', biasedGelu('none')],
  ['BiasGelu', biasedGelu('none')],
  ['FastGelu', biasedGelu('tanh')],
  ['QuickGelu', quickGelu],
]
