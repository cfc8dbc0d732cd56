/** @file The Embedding layer of Keras. */
import { emit, expectWeights, misfit, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/** The rows of a table by tokens, which count from 0. @throws UntrustedInputError unless the layer comes first */
export function embedding(context: LayerContext, x: Value): Value {
  const [table] = expectWeights(context.layer, context.weights, [[undefined, undefined]])
  if (context.builder.inputs.every(input => input.dtype !== 'int64' || input.name !== x.name)) {
    throw misfit(context.layer, 'must come first in the network')
  }
  return emit(context, 'Gather', [parameter(context, context.layer, 'embeddings', table), x.name], [...x.shape,
    table.shape[1]], false, { axis: 0 })
}
