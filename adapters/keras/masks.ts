/**
 * @file Masks of Keras: steps of a sequence that are padding, from Embedding(mask_zero) and Masking on.
 *
 * A mask goes along with a value from layer to layer. Layers that know masks pass theirs on; layers that do not drop
 * it, as Keras does (with a warning there).
 */
import { field, flag, number } from './config.js'
import { cast, channelsLast, type Emission, emit, type Mask, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/** x is not y, elementwise. */
function differs({ builder }: Emission, x: string, y: string): string {
  return builder.node('Not', [builder.node('Equal', [x, y])])
}

/** The tokens that are not zero, where the layer was told that zeros are padding. */
export function embeddingMask(context: LayerContext, tokens: Value): Mask | undefined {
  if (!flag(context.layer.config, 'mask_zero', false)) return undefined
  const zero = context.builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(0) })
  return { name: differs(context, tokens.name, zero), rank: tokens.shape.length }
}

/** Steps all of whose features have the value `mask_value` are padding, and become zeros. */
export function masking(context: LayerContext, value: Value): Value {
  const { builder, layer } = context
  const x = channelsLast(context, value)
  if (x.shape.length < 1) throw misfit(layer, 'takes sequences')
  const padding = number(layer.config, 'mask_value') ?? scalarOf(field(layer.config, 'mask_value')) ?? 0
  const counts = real(context, differs(context, x.name, builder.scalar(padding)))
  const most = builder.node('ReduceMax', [counts, builder.integers([-1])], { keepdims: 1 })
  const kept = emit(context, 'Mul', [x.name, most], x.shape, false)
  const mask = cast(context, builder.node('Squeeze', [most, builder.integers([-1])]), 'bool')
  return { ...kept, mask: { name: mask, rank: x.shape.length - 1 } }
}

/** Keras 3 may write a number as `{ class_name: "__numpy__", config: { value } }`. */
function scalarOf(value: unknown): number | undefined {
  const inner = typeof value === 'object' && value !== null && 'config' in value ? value.config : undefined
  const found = typeof inner === 'object' && inner !== null && 'value' in inner ? inner.value : undefined
  return typeof found === 'number' ? found : undefined
}

/** A mask as ones and zeros. */
export function real(emission: Emission, mask: string): string {
  return cast(emission, mask, emission.builder.precision)
}

/** A mask of steps with an axis of extent one behind it, or before its last. */
export function widened({ builder }: Emission, mask: string, axis: number): string {
  return builder.node('Unsqueeze', [mask, builder.integers([axis])])
}

/** Where one of the masks is true; without one of them, all steps count. */
export function eitherMask({ builder }: Emission, inputs: readonly Value[]): Mask | undefined {
  const masks = inputs.map(({ mask }) => mask)
  if (masks.length === 0 || masks.some(mask => mask === undefined)) return undefined
  const known = masks as Mask[]
  return known.slice(1).reduce(
    (a, b) => ({ name: builder.node('Or', [a.name, b.name]), rank: Math.max(a.rank, b.rank) }),
    known[0],
  )
}

/** The steps that count after joining values along an axis of one example, `rank` being the number of its axes. */
export function joinedMask(emission: Emission, inputs: readonly Value[], axis: number): Mask | undefined {
  if (inputs.every(({ mask }) => mask === undefined)) return undefined
  const { builder } = emission
  const full = inputs.map(({ mask, name, shape }) => {
    const like = builder.node('Equal', [name, name])
    return mask === undefined || mask.rank >= shape.length
      ? mask?.name ?? like
      : builder.node('And', [widened(emission, mask.name, -1), like])
  })
  const joined = builder.node('Concat', full.map(name => real(emission, name)), { axis: axis + 1 })
  const any = builder.node('ReduceMax', [joined, builder.integers([-1])], { keepdims: 0 })
  return { name: cast(emission, any, 'bool'), rank: inputs[0].shape.length - 1 }
}
