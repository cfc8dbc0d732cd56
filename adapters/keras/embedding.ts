/** @file The Embedding layers of Keras. */
import { cast, emit, expectWeights, masked, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
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
