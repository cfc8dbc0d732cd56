/** @file Values with some of their axes moved behind all others, and back. */
import { field } from './config.js'
import { channelsLast, type Emission, emit, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/**
 * Axes of a configuration (`-1`, `[1, 2]`), counting the batch, as sorted axes of one example.
 * @throws UntrustedInputError for axes that the value does not have
 */
export function exampleAxes({ layer }: LayerContext, x: Value, key = 'axis', otherwise: unknown = -1): number[] {
  const value = field(layer.config, key) ?? otherwise
  const list: unknown[] = Array.isArray(value) ? value : [value]
  const rank = x.shape.length + 1
  const axes = list.map(axis => {
    if (typeof axis !== 'number' || !Number.isInteger(axis) || axis <= -rank || axis === 0 || axis >= rank) {
      throw misfit(layer, `has an ${key} that is not supported (${JSON.stringify(value)?.slice(0, 60)})`)
    }
    return (axis < 0 ? axis + rank : axis) - 1
  }).sort((a, b) => a - b)
  if (new Set(axes).size !== axes.length) throw misfit(layer, `names one ${key} twice`)
  return axes
}

/**
 * Applies `write` to a value whose `axes` (of one example) are the last ones; the result has its axes where they were.
 */
export function withAxesLast(emission: Emission, value: Value, axes: readonly number[],
  write: (x: Value) => Value): Value {
  const x = channelsLast(emission, value)
  const rank = x.shape.length
  if (axes.every((axis, i) => axis === rank - axes.length + i)) return write(x)
  const order = [...x.shape.keys()].filter(axis => !axes.includes(axis)).concat(axes)
  const moved = emit(emission, 'Transpose', [x.name], order.map(axis => x.shape[axis]), false, {
    perm: [0, ...order.map(axis => axis + 1)],
  })
  const result = channelsLast(emission, write(moved))
  return emit(emission, 'Transpose', [result.name], x.shape, false, {
    perm: [0, ...x.shape.map((_, axis) => order.indexOf(axis) + 1)],
  })
}
