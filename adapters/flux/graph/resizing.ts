/** @file Layers and functions that give an image more positions. */
import { constantArray, type Emission, emit, misfit, type Value } from './emission.js'
import { malformedWindow, perDimension } from './windows.js'

/**
 * `NNlib.pad_circular`: what leaves an image on one side comes in on the other. Widths are (w_lo, w_hi, h_lo, h_hi,
 * ...).
 */
export function circularPad(emission: Emission, x: Value, widths: readonly number[], path: string): Value {
  let result = x
  for (let d = 0; 2 * d + 1 < widths.length; d++) {
    const axis = x.shape.length - d
    const extent = result.shape[axis - 1]
    const [low, high] = [widths[2 * d], widths[2 * d + 1]]
    if (axis < 2 || !(low <= extent && high <= extent)) {
      throw misfit(path, 'Circular padding', `images of at least ${Math.max(low, high)} positions`, x)
    }
    const { builder } = emission
    const cut = (from: number, to: number): string =>
      builder.node('Slice', [result.name, builder.integers([from]), builder.integers([to]), builder.integers([axis])])
    const parts = [...(low > 0 ? [cut(extent - low, extent)] : []), result.name, ...(high > 0 ? [cut(0, high)] : [])]
    if (parts.length === 1) continue
    result = emit(emission, 'Concat', parts, result.shape.map((size, i) => (i === axis - 1 ? size + low + high : size)),
      { axis })
  }
  return result
}

/** `NNlib.pixel_shuffle`: channels become positions. */
export function pixelShuffle(emission: Emission, x: Value, factor: number, path: string): Value {
  const dimensions = x.shape.length - 1
  const block = factor ** dimensions
  if (dimensions < 1 || factor < 1 || x.shape[0] % block !== 0) {
    throw misfit(path, 'PixelShuffle', `a number of channels that ${block} divides`, x)
  }
  const { builder } = emission
  const channels = x.shape[0] / block
  const spatial = x.shape.slice(1)
  const split = builder.node('Reshape', [x.name,
    builder.integers([-1, channels, ...Array<number>(dimensions).fill(factor), ...spatial])])
  const order = [0, 1, ...spatial.flatMap((_, i) => [2 + dimensions + i, 2 + i])]
  const moved = builder.node('Transpose', [split], { perm: order })
  const shape = [channels, ...spatial.map(extent => extent * factor)]
  return emit(emission, 'Reshape', [moved, builder.integers([-1, ...shape])], shape)
}

/** Nearest-neighbour or linear enlargement; Flux's linear modes keep the corners. */
export function upsample(emission: Emission, x: Value,
  layer: { readonly mode: string, readonly scale: readonly number[] | undefined,
    readonly size: readonly number[] | undefined }, path: string): Value {
  const spatial = x.shape.slice(1)
  const target = layer.size === undefined
    ? spatial.map((extent, i) => extent * perDimension(layer.scale ?? [1], spatial.length, path)[i])
    : perDimension(layer.size, spatial.length, path)
  if (layer.mode === 'nearest') return repeat(emission, x, target, path)
  if (!['bilinear', 'trilinear', 'linear'].includes(layer.mode)) {
    throw malformedWindow(path, `the mode '${layer.mode.slice(0, 40)}', which is not known`)
  }
  let result = x
  spatial.forEach((extent, i) => {
    result = interpolate(emission, result, i + 2, extent, target[i])
  })
  return result
}

function repeat(emission: Emission, x: Value, target: readonly number[], path: string): Value {
  const { builder } = emission
  const spatial = x.shape.slice(1)
  if (target.some((size, i) => size % spatial[i] !== 0)) {
    throw misfit(path, 'Upsample', 'sizes that divide the target', x)
  }
  const spread = builder.node('Reshape', [x.name,
    builder.integers([-1, x.shape[0], ...spatial.flatMap(extent => [extent, 1])])])
  const copies = builder.node('Expand', [spread,
    builder.integers([1, 1, ...target.flatMap((size, i) => [1, size / spatial[i]])])])
  return emit(emission, 'Reshape', [copies, builder.integers([-1, x.shape[0], ...target])], [x.shape[0], ...target])
}

/** Linear interpolation along one axis as a product with a constant matrix. */
function interpolate(emission: Emission, x: Value, axis: number, from: number, to: number): Value {
  if (from === to) return x
  const matrix = new Float64Array(from * to)
  for (let j = 0; j < to; j++) {
    const position = to === 1 ? 0 : (j * (from - 1)) / (to - 1)
    const left = Math.min(Math.floor(position), from - 1)
    matrix[left * to + j] += 1 - (position - left)
    if (left + 1 < from) matrix[(left + 1) * to + j] += position - left
  }
  const { builder } = emission
  const rank = x.shape.length + 1
  const weights = constantArray(emission, { eltype: 'Float64', size: [to, from], data: matrix, identity: matrix })
  const swap = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
  const last = axis === rank - 1
  const moved = last ? x.name : builder.node('Transpose', [x.name], { perm: swap })
  const product = builder.node('MatMul', [moved, weights.name])
  const shape = x.shape.map((extent, i) => (i === axis - 1 ? to : extent))
  return { name: last ? product : builder.node('Transpose', [product], { perm: swap }), shape }
}
