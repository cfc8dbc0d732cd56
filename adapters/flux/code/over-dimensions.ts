/** @file Calls that act along dimensions: reductions, softmax, concatenation. */
import { emit, type Value } from '../graph/emission.js'
import { axisOf } from './dimensions.js'
import { arrayArgument, type Item, type Scope, tensorItem } from './items.js'

/** Julia's reductions by the graph's operators; the reduced dimension stays, with extent 1. */
export const REDUCTIONS: Readonly<Record<string, string>> = { mean: 'ReduceMean', sum: 'ReduceSum',
  maximum: 'ReduceMax', minimum: 'ReduceMin' }

/** Softmax or log-softmax along Julia's dimension d; the shape stays. */
export function softmax(scope: Scope, op: string, x: Value, d: number): Value {
  return emit(scope.emission, op, [x.name], x.shape, { axis: axisOf(scope, x, d) })
}

/** Arrays one behind the other along Julia's dimension d; all other extents must agree. */
export function concatenate(scope: Scope, args: readonly Item[], d: number): Item {
  const values = args.map(item => arrayArgument(scope, item))
  const [first] = values
  if (first === undefined) return scope.fail('it concatenates nothing')
  const axis = axisOf(scope, first, d)
  const fits = values.every(value =>
    value.shape.length === first.shape.length &&
    value.shape.every((extent, i) => i === axis - 1 || extent === first.shape[i])
  )
  if (!fits) return scope.fail('it concatenates arrays of different sizes')
  const shape = first.shape.map((extent,
    i) => (i === axis - 1 ? values.reduce((sum, value) => sum + value.shape[i], 0) : extent)
  )
  return tensorItem(emit(scope.emission, 'Concat', values.map(value => value.name), shape, { axis }))
}

/** A reduction over Julia's dimensions `dims`, which keep the extent 1. */
export function reduce(scope: Scope, op: string, x: Value, dims: readonly number[]): Item {
  const axes = dims.map(d => axisOf(scope, x, d))
  const shape = x.shape.map((extent, i) => (axes.includes(i + 1) ? 1 : extent))
  return tensorItem(emit(scope.emission, op, [x.name, scope.emission.builder.integers(axes)], shape, { keepdims: 1 }))
}
