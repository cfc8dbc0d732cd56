/** @file Attention with several heads (Vaswani et al., 2017), and with heads that share keys (Ainslie et al., 2023). */
import { sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { both, causalMask } from './attention.js'
import { field, flag, number } from './config.js'
import { cast, channelsLast, emit, expectWeights, misfit, parameter, type Value } from './emission.js'
import { type LayerContext, optionFlag, optionValue, valuesIn } from './layer-context.js'
import { widened } from './masks.js'

/** What stands for minus infinity in scores: Keras' value for float32. */
const FORBIDDEN = -1e9

/** Projections of the query, key and value to heads; softmax(q k' / sqrt(size)) v; projection of the result. */
export function multiHeadAttention(context: LayerContext): readonly Value[] {
  const { layer, builder } = context
  const inputs = inputsOf(context)
  const [query, value, key] = inputs
  if (inputs.some(({ shape }) => shape.length !== 2)) {
    throw misfit(layer, 'attends along one axis only: times x features')
  }
  refuseVariants(context)
  const useBias = flag(layer.config, 'use_bias', true)
  const pair = (projection: readonly undefined[], bias: readonly undefined[]) => (useBias
    ? [projection, bias]
    : [projection])
  const inward = pair([undefined, undefined, undefined], [undefined, undefined])
  const count = inward.length
  const output = context.weights?.[3 * count]
  const arrays = expectWeights(layer, context.weights, [...inward, ...inward, ...inward,
    ...pair(output?.shape.map(() => undefined) ?? [], output?.shape.slice(2).map(() => undefined) ?? [])])
  const [queries, keys, values] = [query, key, value].map((x, i) =>
    heads(context, ['query', 'key', 'value'][i], x, arrays.slice(i * count, (i + 1) * count))
  )
  const perKey = arrays[0].shape[1] / arrays[count].shape[1]
  const size = arrays[0].shape[2]
  const scaled = builder.node('Mul', [queries, builder.scalar(1 / Math.sqrt(size))])
  const scores = builder.node('MatMul', [scaled, builder.node('Transpose', [repeated(context, keys, perKey, key)], {
    perm: [0, 1, 3, 2],
  })])
  const allowed = allowedOf(context, query, value, key)
  const masked = allowed === undefined
    ? scores
    : builder.node('Where', [allowed, scores, builder.scalar(FORBIDDEN)])
  const weights = emptied(context, builder.node('Softmax', [masked], { axis: -1 }), allowed)
  const mixed = builder.node('MatMul', [weights, repeated(context, values, perKey, value)])
  const result = projectedBack(context, mixed, query, arrays.slice(3 * count))
  if (!optionFlag(context, 'return_attention_scores')) return [result]
  return [result, { name: weights, shape: [arrays[0].shape[1], query.shape[0], key.shape[0]], channelsFirst: false }]
}

/**
 * A query that may attend to nothing gets zeros where Keras works out the weights themselves (as it does for dropout,
 * and to return them), and the mean of all values where it leaves that to a fused kernel.
 */
function emptied(context: LayerContext, weights: string, allowed: string | undefined): string {
  const { builder, layer: { config } } = context
  const fused = !((number(config, 'dropout') ?? 0) > 0) && !optionFlag(context, 'return_attention_scores')
  return fused || allowed === undefined ? weights : builder.node('Where', [allowed, weights, builder.scalar(0)])
}

/** Query, value and key, given by place or by name; the value is the key where none is given. */
function inputsOf(context: LayerContext): [Value, Value, Value] {
  const { args, layer } = context
  const find = (name: string, place: number): Value | undefined =>
    valuesIn(args[place])[0] ?? optionValue(context, name)
  const [query, value, key] = [find('query', 0), find('value', 1), find('key', 2)]
  if (query === undefined || value === undefined) throw misfit(layer, 'needs a query and a value')
  return [channelsLast(context, query), channelsLast(context, value), channelsLast(context, key ?? value)]
}

function refuseVariants({ layer }: LayerContext): void {
  const axes = field(layer.config, 'attention_axes')
  const usual = axes === undefined || axes === null || (Array.isArray(axes) && axes.length === 1 && axes[0] === 1)
  if (!usual) throw misfit(layer, 'attends along other axes than the first, which is not supported')
  if (flag(layer.config, 'use_gate', false) || number(layer.config, 'sliding_window') !== undefined) {
    throw misfit(layer, 'has a gate or a sliding window, which is not supported')
  }
}

/** x W + b, as N x heads x times x size. */
function heads(context: LayerContext, role: string, x: Value, [kernel, bias]: readonly Tensor[]): string {
  const { builder, layer } = context
  const [features, count, size] = kernel.shape
  if (features !== x.shape[1]) throw misfit(layer, `takes ${features} features as ${role}; it gets ${x.shape[1]}`)
  const flat = { ...kernel, shape: [features, count * size] }
  const product = builder.node('MatMul', [x.name, parameter(context, layer, `${role}/kernel`, flat, true)])
  const shifted = bias === undefined ?
    product :
    builder.node('Add', [product, parameter(context, layer, `${role}/bias`, { ...bias, shape: [count * size] })])
  const split = builder.node('Reshape', [shifted, builder.integers([-1, x.shape[0], count, size])])
  return builder.node('Transpose', [split], { perm: [0, 2, 1, 3] })
}

/** Every head of keys or values as often as query heads share it. */
function repeated({ builder, layer, weights }: LayerContext, name: string, times: number, { shape }: Value): string {
  if (times === 1) return name
  if (!Number.isInteger(times)) throw misfit(layer, 'has query heads that are no multiple of its key heads')
  const [, , size] = weights?.[0].shape ?? []
  const spread = builder.node('Unsqueeze', [name, builder.integers([2])])
  const copies = builder.node('Concat', Array<string>(times).fill(spread), { axis: 2 })
  const [, count] = weights?.[0].shape ?? []
  return builder.node('Reshape', [copies, builder.integers([-1, count, shape[0], size])])
}

/** Which query may attend to which key, as a mask that broadcasts to N x heads x queries x keys. */
function allowedOf(context: LayerContext, query: Value, value: Value, key: Value): string | undefined {
  const named = optionValue(context, 'attention_mask')
  const explicit = named === undefined
    ? undefined
    : widened(context, cast(context, named.name, 'bool'), named.shape.length === 2 ? 1 : 0)
  const mask = (role: string, x: Value): string | undefined =>
    optionValue(context, `${role}_mask`)?.name ?? x.mask?.name
  const along = (name: string | undefined, axis: number): string | undefined =>
    name === undefined ? undefined : widened(context, widened(context, name, 1), axis)
  const rows = along(mask('query', query), 3)
  const columns = [along(mask('value', value), 1), key === value ? undefined : along(mask('key', key), 1)]
  const causal = optionFlag(context, 'use_causal_mask')
    ? causalMask(context, query.shape[0], key.shape[0])
    : undefined
  return [explicit, rows, ...columns, causal].reduce((a, b) => both(context, a, b), undefined)
}

/** Heads side by side, times the last kernel: N x times x features. */
function projectedBack(context: LayerContext, mixed: string, query: Value, [kernel, bias]: readonly Tensor[]): Value {
  const { builder, layer } = context
  const [times] = query.shape
  const [count, size, ...shape] = kernel.shape
  const width = sizeOf(shape)
  const rows = builder.node('Reshape', [builder.node('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
    builder.integers([-1, times, count * size])])
  const flat = { ...kernel, shape: [count * size, width] }
  const product = builder.node('MatMul', [rows, parameter(context, layer, 'output/kernel', flat, true)])
  const shifted = bias === undefined ?
    product :
    builder.node('Add', [product, parameter(context, layer, 'output/bias', { ...bias, shape: [width] })])
  return shape.length === 1
    ? { name: shifted, shape: [times, width], channelsFirst: false }
    : emit(context, 'Reshape', [shifted, builder.integers([-1, times, ...shape])], [times, ...shape], false)
}
