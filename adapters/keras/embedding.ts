/** @file The Embedding layers of Keras. */
import { field, flag } from './config.js'
import { cast, channelsLast, emit, expectWeights, masked, misfit, parameter, type Value } from './emission.js'
import { type LayerContext, optionFlag } from './layer-context.js'
import { embeddingMask } from './masks.js'

/** The rows of a table by tokens, which count from 0; with `mask_zero`, token 0 is padding. */
export function embedding(context: LayerContext, x: Value): Value {
  const { layer } = context
  const tokens = x.type === 'integer' ? x : { ...x, name: cast(context, x.name, 'int64') }
  // ReversibleEmbedding has a second table when its reverse projection is not tied to it.
  const [table] = expectWeights(layer, context.weights?.slice(0, 1), [[undefined, undefined]])
  const rows = emit(context, 'Gather', [parameter(context, layer, 'embeddings', table), tokens.name], [...x.shape,
    table.shape[1]], false, { axis: 0 })
  return masked(rows, embeddingMask(context, tokens))
}

/** An Embedding, or with `reverse` the products of values with the rows of its table, or with a table of its own. */
export function reversibleEmbedding(context: LayerContext, value: Value): Value {
  if (!optionFlag(context, 'reverse')) return embedding(context, value)
  const { builder, layer, weights } = context
  const x = channelsLast(context, value)
  const [table, second] = weights ?? []
  const tied = flag(layer.config, 'tie_weights', true)
  const own = tied ? table : second
  const width = x.shape[x.shape.length - 1]
  if (own?.shape.length !== 2 || own.shape[tied ? 1 : 0] !== width) {
    throw misfit(layer, `has no table for values of ${width} numbers`)
  }
  const kernel = tied
    ? builder.node('Transpose', [parameter(context, layer, 'embeddings', own)], { perm: [1, 0] })
    : parameter(context, layer, 'reverse_embeddings', own, true)
  const shape = [...x.shape.slice(0, -1), own.shape[tied ? 0 : 1]]
  const logits = emit(context, 'MatMul', [x.name, kernel], shape, false)
  const cap = field(layer.config, 'logit_soft_cap')
  if (typeof cap !== 'number') return logits
  const bent = builder.node('Tanh', [builder.node('Div', [logits.name, builder.scalar(cap)])])
  return emit(context, 'Mul', [bent, builder.scalar(cap)], shape, false)
}
