/** @file Pooling layers as graph nodes. */
import { type Emission, emit, misfit, type Value } from './emission.js'
import { onnxPads, perDimension, slide, type Window } from './windows.js'

/** Max and mean pooling. Flux's mean counts padded zeros. */
export function pool(emission: Emission, x: Value, mode: 'max' | 'mean', window: Window, path: string): Value {
  const dimensions = window.kernel.length === 1 ? x.shape.length - 1 : window.kernel.length
  if (dimensions < 1 || x.shape.length !== dimensions + 1) {
    throw misfit(path, 'A pooling layer', `images with ${dimensions} axes and a channel axis`, x)
  }
  const kernel = perDimension(window.kernel, dimensions, path)
  const strides = perDimension(window.stride, dimensions, path)
  const pads = onnxPads(window.pad, dimensions, path)
  const shape = [x.shape[0],
    ...kernel.map((size, i) =>
      slide(emission, x.shape[i + 1] + pads[i] + pads[i + dimensions], size, strides[i], path, x)
    )]
  const attributes = { kernel_shape: kernel, strides, pads }
  return mode === 'max'
    ? emit(emission, 'MaxPool', [x.name], shape, attributes)
    : emit(emission, 'AveragePool', [x.name], shape, { ...attributes, count_include_pad: 1 })
}

/** Adaptive pooling as Flux computes it: one stride and one window for all positions. */
export function adaptivePool(emission: Emission, x: Value, mode: 'max' | 'mean', out: readonly number[],
  path: string): Value {
  const inputs = x.shape.slice(1).reverse()
  if (inputs.length !== out.length) {
    throw misfit(path, 'An adaptive pooling layer', `images with ${out.length} axes and a channel axis`, x)
  }
  const stride = inputs.map((extent, i) => Math.floor(extent / out[i]))
  const kernel = inputs.map((extent, i) => extent - (out[i] - 1) * stride[i])
  if (stride.some(step => !(step >= 1))) {
    throw misfit(path, 'An adaptive pooling layer', `images of at least ${out.join(' x ')}`, x)
  }
  return pool(emission, x, mode, { kernel, pad: [0], stride }, path)
}

/**
 * The mean or maximum over all positions: C x positions gives C x 1 for each of them.
 * @throws GraphError BAD_GRAPH for vectors
 */
export function globalPool(emission: Emission, x: Value, mode: 'max' | 'mean', path: string): Value {
  if (x.shape.length < 2) throw misfit(path, 'A global pooling layer', 'images', x)
  return emit(emission, mode === 'max' ? 'GlobalMaxPool' : 'GlobalAveragePool', [x.name],
    x.shape.map((extent, i) => (i === 0 ? extent : 1)))
}
