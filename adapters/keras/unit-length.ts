/** @file Scaling to length one, as in Keras' UnitNormalization and Dot(normalize=True). */
import { type Emission, emit, type Value } from './emission.js'

/** x / sqrt(max(sum x^2, 1e-12)), the sum over axes that count the batch. */
export function unitLength(emission: Emission, x: Value, axes: readonly number[]): Value {
  const { builder } = emission
  const squares = builder.node('ReduceSumSquare', [x.name, builder.integers(axes)], { keepdims: 1 })
  const length = builder.node('Sqrt', [builder.node('Max', [squares, builder.scalar(1e-12)])])
  return emit(emission, 'Div', [x.name, length], x.shape, x.channelsFirst)
}
