/** @file The attention layers of Keras with one head: Attention (Luong) and AdditiveAttention (Bahdanau). */
import type { Tensor } from '../../core/tensor/tensor.js'
import { flag, text } from './config.js'
import { cast, channelsLast, type Emission, emit, expectWeights, misfit, parameter, type Value } from './emission.js'
import { type LayerContext, optionFlag, valuesIn } from './layer-context.js'
import { widened } from './masks.js'

/** Attention of queries to values by scores of their keys: softmax(scores) values. */
export function attention(context: LayerContext): readonly Value[] {
  const { layer, inputs } = context
  if (inputs.length < 2 || inputs.length > 3) throw misfit(layer, 'takes a query, a value and perhaps a key')
  const [query, value, key = value] = inputs.map(each => channelsLast(context, each))
  if ([query, value, key].some(({ shape }) => shape.length !== 2)) throw misfit(layer, 'takes sequences')
  const [queryMask, valueMask] = masksOf(context, query, value)
  const scores = layer.className === 'AdditiveAttention'
    ? additiveScores(context, query, key)
    : productScores(context, query, key)
  const allowed = both(context, valueMask === undefined ? undefined : widened(context, valueMask, 1),
    optionFlag(context, 'use_causal_mask') ? causalMask(context, query.shape[0], key.shape[0]) : undefined)
  const weights = context.builder.node('Softmax', [
    allowed === undefined ? scores : lowered(context, scores, allowed),
  ], { axis: -1 })
  const mixed = emit(context, 'MatMul', [weights, value.name], [query.shape[0], value.shape[1]], false)
  const result = queryMask === undefined ? mixed : {
    ...emit(context, 'Where', [widened(context, queryMask, 2), mixed.name, context.builder.scalar(0)], mixed.shape,
      false),
    mask: { name: queryMask, rank: 1 },
  }
  const distribution = { name: weights, shape: [query.shape[0], key.shape[0]], channelsFirst: false }
  return optionFlag(context, 'return_attention_scores') ? [result, distribution] : [result]
}

/** Masks of the query and the value: their own, or those of the option `mask`. */
function masksOf(context: LayerContext, query: Value, value: Value): [string | undefined, string | undefined] {
  const given = context.options.get('mask')
  if (given === undefined || !('list' in given)) return [query.mask?.name, value.mask?.name]
  return [valuesIn(given.list[0])[0]?.name, valuesIn(given.list[1])[0]?.name]
}

function productScores(context: LayerContext, query: Value, key: Value): string {
  const { layer, builder } = context
  const scaled = flag(layer.config, 'use_scale', false)
  const concatenated = (text(layer.config, 'score_mode') ?? 'dot') === 'concat'
  const arrays = expectWeights(layer, context.weights, [...(scaled ? [[]] : []), ...(concatenated ? [[]] : [])])
  const scale = scaled ? parameter(context, layer, 'scale', arrays[0]) : undefined
  if (concatenated) {
    const weight = parameter(context, layer, 'concat_score_weight', arrays[arrays.length - 1])
    const sum = pairwiseSum(context, query, key)
    const bent = builder.node('Tanh', [scale === undefined ? sum : builder.node('Mul', [sum, scale])])
    return builder.node('Mul', [builder.node('ReduceSum', [bent, builder.integers([-1])], { keepdims: 0 }), weight])
  }
  const scores = builder.node('MatMul', [query.name, builder.node('Transpose', [key.name], { perm: [0, 2, 1] })])
  return scale === undefined ? scores : builder.node('Mul', [scores, scale])
}

function additiveScores(context: LayerContext, query: Value, key: Value): string {
  const { layer, builder } = context
  const scaled = flag(layer.config, 'use_scale', true)
  const [scale] = expectWeights(layer, context.weights, scaled ? [[query.shape[1]]] : []) as [Tensor?]
  const bent = builder.node('Tanh', [pairwiseSum(context, query, key)])
  const weighted = scale === undefined ? bent : builder.node('Mul', [bent, parameter(context, layer, 'scale', scale)])
  return builder.node('ReduceSum', [weighted, builder.integers([-1])], { keepdims: 0 })
}

/** query_i + key_j for all pairs: N x queries x keys x features. */
function pairwiseSum({ builder }: Emission, query: Value, key: Value): string {
  return builder.node('Add', [builder.node('Unsqueeze', [query.name, builder.integers([2])]),
    builder.node('Unsqueeze', [key.name, builder.integers([1])])])
}

/** Scores where attention is not allowed, lowered by 1e9 as in Keras. */
function lowered({ builder }: Emission, scores: string, allowed: string): string {
  return builder.node('Where', [allowed, scores, builder.node('Sub', [scores, builder.scalar(1e9)])])
}

/** Both masks, where there are two. */
export function both({ builder }: Emission, a: string | undefined, b: string | undefined): string | undefined {
  return a === undefined || b === undefined ? a ?? b : builder.node('And', [a, b])
}

/** Query i sees keys up to i: queries x keys. */
export function causalMask(emission: Emission, queries: number, keys: number): string {
  const data = Float64Array.from({ length: queries * keys }, (_, at) => (at % keys <= Math.floor(at / keys) ? 1 : 0))
  return cast(emission, emission.builder.constant({ dtype: 'int64', shape: [queries, keys], data }), 'bool')
}
