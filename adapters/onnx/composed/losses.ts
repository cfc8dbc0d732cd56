/** @file Losses that training graphs end in. */
import type { Node } from '../../../core/graph/graph.js'
import { numberAttribute, stringAttribute } from '../../../core/ops/node-attributes.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'
import { type Composition, type Compositions, isGiven } from './composition.js'

/** -log p at the class of each label, weighted, without labels that are ignored; its mean, sum, or one for each. */
function likelihood(node: Node, logs: string, context: UpgradeContext): string {
  const [, labels, weights] = node.inputs
  const ignored = node.attributes['ignore_index'] === undefined ? undefined : numberAttribute(node, 'ignore_index')
  const counts = ignored === undefined ? undefined : context.node('Not', [context.binary('Equal', labels, ignored)])
  const safe = counts === undefined
    ? labels
    : context.node('Where', [counts, labels, context.integer(0)])
  const picked = context.node('Squeeze', [
    context.node('GatherElements', [logs, context.unsqueeze(safe, 1)], { axis: 1 }),
    context.integers([1]),
  ])
  const weight = isGiven(weights) ? context.node('Gather', [weights, safe], { axis: 0 }) : undefined
  const kept = counts === undefined ? undefined : context.cast(counts, context.type(logs).dtype)
  const factors = [weight, kept].filter(each => each !== undefined)
  const factor = factors.length === 0 ? undefined : factors.reduce((a, b) => context.mul(a, b))
  const losses = context.node('Neg', [factor === undefined ? picked : context.mul(picked, factor)])
  const reduction = stringAttribute(node, 'reduction', 'mean')
  const total = (value: string): string => context.node('ReduceSum', [value], { keepdims: 0 })
  switch (reduction) {
    case 'none':
      return losses
    case 'sum':
      return total(losses)
    case 'mean':
      return factor === undefined
        ? context.node('ReduceMean', [losses], { keepdims: 0 })
        : context.div(total(losses), total(factor))
    default:
      throw new NotExpressible(`with the reduction '${reduction}'`)
  }
}

const softmaxCrossEntropy: Composition = (node, context) => {
  const logs = context.node('LogSoftmax', [node.inputs[0]], { axis: 1 })
  return [likelihood(node, logs, context), logs]
}

/** Losses. */
export const lossCompositions: Compositions = [
  ['NegativeLogLikelihoodLoss', (node, context) => [likelihood(node, node.inputs[0], context)]],
  ['SoftmaxCrossEntropyLoss', softmaxCrossEntropy],
]
