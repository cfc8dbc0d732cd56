/** @file Layers of Keras that take several inputs. */
import { sizeOf } from '../../core/tensor/tensor.js'
import { exampleAxes } from './axes.js'
import { field, flag } from './config.js'
import { channelsLast, emit, masked, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import { eitherMask, joinedMask } from './masks.js'
import { unitLength } from './unit-length.js'

/** All inputs with the same order of axes and as many; Keras puts missing axes behind the batch. */
function aligned(context: LayerContext): readonly Value[] {
  const { inputs, builder } = context
  const rank = Math.max(...inputs.map(({ shape }) => shape.length))
  if (inputs.every(value => value.channelsFirst && value.shape.length === rank)) return inputs
  return inputs.map(given => {
    const value = channelsLast(context, given)
    const missing = rank - value.shape.length
    return missing === 0 ? value : {
      ...value,
      name: builder.node('Unsqueeze', [value.name, builder.integers(Array.from({ length: missing }, (_, i) => i + 1))]),
      shape: [...Array<number>(missing).fill(1), ...value.shape],
    }
  })
}

/** The shape of two values of the same rank after broadcasting, or undefined when they do not fit. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const fits = a.every((extent, i) => extent === b[i] || extent === 1 || b[i] === 1)
  return fits ? a.map((extent, i) => Math.max(extent, b[i])) : undefined
}

/** All inputs joined by an operator, element by element. @throws UntrustedInputError when their shapes do not fit */
export function combine(context: LayerContext, op: string): Value {
  const values = aligned(context)
  if (values.length < 2) throw misfit(context.layer, 'takes at least two inputs')
  const joined = values.slice(1).reduce((left, right) => {
    const shape = broadcastShape(left.shape, right.shape)
    if (shape === undefined) throw misfit(context.layer, 'gets inputs of different shapes')
    return emit(context, op, [left.name, right.name], shape, left.channelsFirst)
  }, values[0])
  return masked(joined, eitherMask(context, context.inputs))
}

/** The first input less the second. */
export function subtract(context: LayerContext): Value {
  if (context.inputs.length !== 2) throw misfit(context.layer, 'takes two inputs')
  return combine(context, 'Sub')
}

/** The mean of all inputs. */
export function average(context: LayerContext): Value {
  const sum = combine(context, 'Add')
  return { ...sum, name: context.builder.node('Div', [sum.name, context.builder.scalar(context.inputs.length)]) }
}

/** Values one behind the other along the layer's axis. @throws UntrustedInputError when their other extents differ */
export function joined(context: LayerContext, values: readonly Value[]): Value {
  const [first] = values
  const [axis] = exampleAxes(context, first)
  const fits = values.every(value =>
    value.shape.length === first.shape.length &&
    value.shape.every((extent, i) => i === axis || extent === first.shape[i])
  )
  if (!fits) throw misfit(context.layer, 'gets inputs of shapes that do not fit each other')
  const shape = first.shape.map((extent,
    i) => (i === axis ? values.reduce((sum, value) => sum + value.shape[i], 0) : extent)
  )
  return emit(context, 'Concat', values.map(value => value.name), shape, false, { axis: axis + 1 })
}

/** All inputs joined, with the steps that count in any of them. */
export function concatenate(context: LayerContext): Value {
  const values = context.inputs.map(value => channelsLast(context, value))
  return masked(joined(context, values), joinedMask(context, values, exampleAxes(context, values[0])[0]))
}

/** Sums of products along an axis of each of two inputs. */
export function dot(context: LayerContext): Value {
  const { layer, builder, inputs } = context
  if (inputs.length !== 2) throw misfit(layer, 'takes two inputs')
  const axes = field(layer.config, 'axes')
  const pair = Array.isArray(axes) ? axes : [axes, axes]
  const [a, b] = inputs.map((each, i) => summedLast(context, channelsLast(context, each), pair[i]))
  if (a.size !== b.size) throw misfit(layer, `sums along axes of ${a.size} and ${b.size} elements`)
  const product = builder.node('MatMul', [a.name, builder.node('Transpose', [b.name], { perm: [0, 2, 1] })])
  const shape = [...a.rest, ...b.rest]
  const result = shape.length === 0 ? [1] : shape
  return emit(context, 'Reshape', [product, builder.integers([-1, ...result])], result, false)
}

/** A value as N x (other axes) x (the axis to sum along). */
function summedLast(context: LayerContext, x: Value, given: unknown): { name: string, rest: number[], size: number } {
  const { layer, builder } = context
  const rank = x.shape.length + 1
  const axis = typeof given === 'number' && Number.isInteger(given) ? (given < 0 ? given + rank : given) : 0
  if (axis < 1 || axis >= rank) throw misfit(layer, 'has axes that are not supported')
  const value = flag(layer.config, 'normalize', false) ? unitLength(context, x, [axis]) : x
  const others = x.shape.map((_, i) => i + 1).filter(each => each !== axis)
  const rest = others.map(each => x.shape[each - 1])
  const moved = builder.node('Transpose', [value.name], { perm: [0, ...others, axis] })
  const size = x.shape[axis - 1]
  return { name: builder.node('Reshape', [moved, builder.integers([-1, sizeOf(rest), size])]), rest, size }
}
