/** @file Layers of Keras that take several inputs. */
import { channelsLast, emit, misfit, type Value } from './emission.js'
import { exampleAxis } from './example-axis.js'
import type { LayerContext } from './layer-context.js'

/** All inputs with the same order of axes. */
function aligned(context: LayerContext): readonly Value[] {
  const { inputs } = context
  return inputs.every(value => value.channelsFirst) ? inputs : inputs.map(value => channelsLast(context, value))
}

/** All inputs joined by an operator, element by element. @throws UntrustedInputError when their shapes differ */
export function combine(context: LayerContext, op: string): Value {
  const values = aligned(context)
  const [first] = values
  if (values.length < 2 || values.some(value => value.shape.join() !== first.shape.join())) {
    throw misfit(context.layer, 'needs two inputs or more of one shape')
  }
  return values.slice(1).reduce(
    (left, right) => emit(context, op, [left.name, right.name], left.shape, left.channelsFirst),
    first,
  )
}

/** The mean of all inputs. */
export function average(context: LayerContext): Value {
  const sum = combine(context, 'Add')
  return emit(context, 'Div', [sum.name, context.builder.scalar(context.inputs.length)], sum.shape, sum.channelsFirst)
}

/** All inputs one behind the other along an axis. @throws UntrustedInputError when their other extents differ */
export function concatenate(context: LayerContext): Value {
  const values = context.inputs.map(value => channelsLast(context, value))
  const [first] = values
  const axis = exampleAxis(context, first, 'axis')
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
