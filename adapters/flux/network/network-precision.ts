/** @file The precision in which Julia computes a network. */
import type { Precision } from '../../../core/tensor/tensor.js'
import type { JuliaArray } from '../julia/arrays.js'
import { arraysOf, type FluxLayer } from '../layers/flux-layer.js'

/** Float64 when a weight is stored so (Julia computes the whole network in it then), else float32. */
export function networkPrecision(layer: FluxLayer): Precision {
  return weightsOf(layer).some(array => array.eltype === 'Float64') ? 'float64' : 'float32'
}

/** The arrays that are trained; the running statistics of normalisations, often Float64, do not count. */
function weightsOf(layer: FluxLayer): JuliaArray[] {
  if (layer.type === 'Norm') return [layer.scale, layer.shift].filter(array => array !== undefined)
  if (layer.type === 'Chain' || layer.type === 'Parallel' || layer.type === 'Maxout') {
    return layer.layers.flatMap(child => weightsOf(child.layer))
  }
  if (layer.type === 'SkipConnection') return weightsOf(layer.layers)
  return arraysOf(layer)
}
