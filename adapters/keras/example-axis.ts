/** @file Axes in Keras' configurations, which count the batch. */
import { field } from './config.js'
import { misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/** The axis of a configuration (`-1`, `3` or `[3]`) as an axis of one example. */
export function exampleAxis(context: LayerContext, x: Value, key: string): number {
  const value = field(context.layer.config, key) ?? -1
  const axis = Array.isArray(value) && value.length === 1 ? value[0] as unknown : value
  const rank = x.shape.length + 1
  if (typeof axis !== 'number' || !Number.isInteger(axis) || axis < -rank + 1 || axis === 0 || axis >= rank) {
    throw misfit(context.layer, `has an ${key} that is not supported (${JSON.stringify(value)?.slice(0, 60)})`)
  }
  return (axis < 0 ? axis + rank : axis) - 1
}
