/** @file The same elements of each example under another shape. */
import { sizeOf } from '../../../core/tensor/tensor.js'
import { type Emission, emit, type Value } from '../graph/emission.js'
import { axisOf } from './dimensions.js'
import { type Item, numberArgument, type Scope, tensorItem } from './items.js'

/** All features of an example in one axis; the first dimension of Flux varies fastest, as our last axis does. */
export function flatten(emission: Emission, x: Value): Value {
  return x.shape.length === 1 ? x : emit(emission, 'Flatten', [x.name], [sizeOf(x.shape)], { axis: 1 })
}

/** `reshape(x, dims...)` where the last dimension is the batch. */
export function reshapeCall(scope: Scope, x: Value, dims: readonly Item[]): Item {
  const list = dims.length === 1 && dims[0].kind === 'tuple' ? dims[0].items : dims
  const last = list[list.length - 1]
  const total = sizeOf(x.shape)
  const inner = list.slice(0, -1)
  if (last === undefined || (last.kind !== 'batch' && last.kind !== 'colon')) {
    return scope.fail('it reshapes so that the last dimension is not the batch')
  }
  const known = inner.map(item => (item.kind === 'colon' ? 0 : numberArgument(scope, item)))
  const product = known.reduce((a, b) => (b === 0 ? a : a * b), 1)
  const free = known.filter(extent => extent === 0).length
  if (free > 1 || (free === 1 && last.kind === 'colon')) return scope.fail('it reshapes with more than one colon')
  if (free === 0 ? product !== total : total % product !== 0) {
    return scope.fail(`it reshapes ${total} numbers of an example to (${known.join(', ')})`)
  }
  const shape = known.map(extent => (extent === 0 ? total / product : extent)).reverse()
  return tensorItem(reshape(scope.emission, x, shape))
}

/** The same elements of each example under another shape. */
function reshape(emission: Emission, x: Value, shape: readonly number[]): Value {
  if (shape.length === x.shape.length && shape.every((extent, i) => extent === x.shape[i])) return x
  if (shape.length === 1) return flatten(emission, x)
  return emit(emission, 'Reshape', [x.name, emission.builder.integers([-1, ...shape])], shape)
}

/** `dropdims(x, dims)`: the array without dimensions of extent 1. */
export function dropDims(scope: Scope, x: Value, dims: readonly number[]): Item {
  const axes = dims.map(d => axisOf(scope, x, d))
  if (axes.some(axis => x.shape[axis - 1] !== 1)) return scope.fail('it drops a dimension that is not of size 1')
  return tensorItem(reshape(scope.emission, x, x.shape.filter((_, i) => !axes.includes(i + 1))))
}
