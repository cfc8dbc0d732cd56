/** @file Column-major arrays of Julia in row-major order. */
import { sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import type { JuliaArray } from './arrays.js'

/**
 * The array as it is indexed in Julia: element (i, j, ...) of the tensor is element (i+1, j+1, ...) there, so that a
 * Dense weight is out x in.
 */
export function rowMajor(array: JuliaArray): Tensor {
  const { size, data } = array
  const dtype = data instanceof Float32Array ? 'float32' : /^(Float|BFloat)/.test(array.eltype) ? 'float64' : 'int64'
  if (size.length < 2 || size.filter(extent => extent !== 1).length < 2) return { dtype, shape: size, data }
  const result = data instanceof Float32Array ? new Float32Array(data.length) : new Float64Array(data.length)
  // Strides of the column-major source, visited in row-major order.
  const strides = size.map((_, d) => sizeOf(size.slice(0, d)))
  const index = size.map(() => 0)
  let source = 0
  for (let i = 0; i < result.length; i++) {
    result[i] = data[source]
    for (let d = size.length - 1; d >= 0; d--) {
      source += strides[d]
      if (++index[d] < size[d]) break
      source -= strides[d] * size[d]
      index[d] = 0
    }
  }
  return { dtype, shape: size, data: result }
}
