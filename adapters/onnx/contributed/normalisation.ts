/** @file Normalisations of ONNX Runtime: of sums, of embeddings, of groups of channels that are last. */
import type { Node } from '../../../core/graph/graph.js'
import { numberAttribute } from '../../../core/ops/node-attributes.js'
import { type Composition, type Compositions, isGiven } from '../composed/composition.js'
import { type Expressed, NotExpressible, type UpgradeContext } from '../upgrade-context.js'

/** The sum of those values that are there. */
export function total(values: readonly (string | undefined)[], context: UpgradeContext): string {
  return values.filter(isGiven).reduce((sum, value) => context.add(sum, value))
}

function normalised(node: Node, value: string, scale: string, shift: string | undefined,
  context: UpgradeContext): string {
  return context.node('LayerNormalization', [value, scale, ...(isGiven(shift) ? [shift] : [])], { axis: -1,
    epsilon: numberAttribute(node, 'epsilon', 1e-12) })
}

/** The second and the third result, mean and deviation, are for training alone. */
function ofSum({ outputs: [, mean, deviation] }: Node, result: string, sum: string): readonly Expressed[] {
  if (isGiven(mean) || isGiven(deviation)) throw new NotExpressible('with outputs for training')
  return [result, undefined, undefined, sum]
}

const skipLayerNormalization: Composition = (node, context) => {
  const [x, skip, scale, shift, bias] = node.inputs
  const sum = total([x, skip, bias], context)
  return ofSum(node, normalised(node, sum, scale, shift, context), sum)
}

const skipRootMeanSquare: Composition = (node, context) => {
  const [x, skip, scale, bias] = node.inputs
  const sum = total([x, skip, bias], context)
  const attributes = { axis: -1, epsilon: numberAttribute(node, 'epsilon', 1e-5) }
  return ofSum(node, context.node('RMSNormalization', [sum, scale], attributes), sum)
}

const rootMeanSquare: Composition = (node, context) => [
  context.node('RMSNormalization', node.inputs.slice(0, 2), { axis: numberAttribute(node, 'axis', -1),
    epsilon: numberAttribute(node, 'epsilon', 1e-5) }),
]

/** Embeddings of words, positions and segments, summed and normalised; how many tokens of each example count. */
const embedLayerNormalization: Composition = (node, context) => {
  const [ids, segments, words, places, kinds, scale, shift, mask, positions] = node.inputs
  const rows = (table: string, at: string): string => context.node('Gather', [table, at], { axis: 0 })
  const counted = (): string => {
    const length = context.node('Gather', [context.extents(ids), context.integer(1)], { axis: 0 })
    return context.node('Range', [context.integer(0), length, context.integer(1)])
  }
  const sum = total([rows(words, ids), rows(places, isGiven(positions) ? positions : counted()),
    isGiven(segments) && isGiven(kinds) ? rows(kinds, segments) : undefined], context)
  const counts = isGiven(mask) ? context.cast(context.binary('Equal', mask, 1), 'int64') : context.mul(ids, 0)
  return [normalised(node, sum, scale, shift, context),
    context.node('ReduceSum', [counts, context.integers([1])], { keepdims: 0 }), sum]
}

/** GroupNormalization of examples whose channels are last, and Swish where it is asked for. */
const groupNorm: Composition = (node, context) => {
  const [x, scale, shift] = node.inputs
  const last = numberAttribute(node, 'channels_last', 1) !== 0
  const y = context.node('GroupNormalization', [last ? context.transpose(x, [0, 3, 1, 2]) : x, scale, shift], {
    num_groups: numberAttribute(node, 'groups'),
    epsilon: numberAttribute(node, 'epsilon', 1e-5),
  })
  const result = numberAttribute(node, 'activation', 0) === 0 ? y : context.node('Swish', [y], { alpha: 1 })
  return [last ? context.transpose(result, [0, 2, 3, 1]) : result]
}

/** Normalisations. */
export const normalisationCompositions: Compositions = [
  ['SkipLayerNormalization', skipLayerNormalization],
  ['SkipSimplifiedLayerNormalization', skipRootMeanSquare],
  ['SimplifiedLayerNormalization', rootMeanSquare],
  ['EmbedLayerNormalization', embedLayerNormalization],
  ['GroupNorm', groupNorm],
]
