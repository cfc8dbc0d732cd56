/** @file Batch, instance, group and layer normalisation as graph nodes. */
import { GraphError } from '../../../core/errors/errors.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { activate } from '../code/translate.js'
import { type Emission, emit, join, misfit, parameter, type Value, vectorForm } from '../graph/emission.js'
import type { FluxLayer, NormLayer } from '../layers/flux-layer.js'

/** A vector of one number a channel under a shape that broadcasts against images: C x 1 x 1. */
function perChannel(emission: Emission, name: string, channels: number, rank: number): string {
  return rank === 1
    ? name
    : emission.builder.node('Reshape', [name,
      emission.builder.integers([channels, ...Array<number>(rank - 1).fill(1)])])
}

function constantVector(emission: Emission, values: ArrayLike<number>): string {
  return emission.builder.constant(tensor(emission.builder.precision, [values.length], values))
}

/** Running or batch statistics, then scale and shift, then the activation. */
export function normalise(emission: Emission, layer: NormLayer, x: Value, path: string): Value {
  const { channels } = layer
  if (x.shape[0] !== channels) throw misfit(path, `The ${layer.variant} layer`, `${channels} channels`, x)
  // Flux trains the shift before the scale: that is their order in the parameter vector.
  const shift = layer.shift === undefined
    ? undefined
    : parameter(emission, layer.shift, join(path, 'β'), vectorForm(layer.shift))
  const gain = layer.scale === undefined
    ? undefined
    : parameter(emission, layer.scale, join(path, 'γ'), vectorForm(layer.scale))
  if (layer.trackStats && layer.variant !== 'GroupNorm' && layer.mean !== undefined && layer.variance !== undefined) {
    const inputs = [x.name, gain ?? constantVector(emission, new Float64Array(channels).fill(1)),
      shift ?? constantVector(emission, new Float64Array(channels)), constantVector(emission, layer.mean.data),
      constantVector(emission, layer.variance.data)]
    return activate(emission, layer.activation,
      emit(emission, 'BatchNormalization', inputs, x.shape, { epsilon: layer.epsilon }), path)
  }
  if (layer.variant === 'BatchNorm') {
    throw new GraphError('BATCH_AXIS',
      `The BatchNorm layer '${path}' has no running statistics (track_stats = false): ` +
        'it mixes the examples of a batch. Train it with track_stats = true.', { path })
  }
  const standardised = layer.variant === 'GroupNorm'
    ? groupStandardise(emission, layer, x, path)
    : standardise(emission, x, x.shape.slice(1).map((_, i) => i + 2), layer.epsilon, 'variance')
  return activate(emission, layer.activation, scaleAndShift(emission, standardised, gain, shift, channels), path)
}

function scaleAndShift(emission: Emission, x: Value, gain: string | undefined, shift: string | undefined,
  channels: number): Value {
  const scaled = gain === undefined
    ? x
    : emit(emission, 'Mul', [x.name, perChannel(emission, gain, channels, x.shape.length)], x.shape)
  return shift === undefined
    ? scaled
    : emit(emission, 'Add', [scaled.name, perChannel(emission, shift, channels, x.shape.length)], x.shape)
}

/**
 * (x - mean) / sqrt(variance + epsilon) over some axes, or (x - mean) / (deviation + epsilon) as in `Flux.normalise`.
 */
function standardise(emission: Emission, x: Value, axes: readonly number[], epsilon: number,
  addTo: 'variance' | 'deviation'): Value {
  const { builder } = emission
  const over = builder.integers(axes)
  const reduced = x.shape.map((extent, i) => (axes.includes(i + 1) ? 1 : extent))
  const mean = emit(emission, 'ReduceMean', [x.name, over], reduced, { keepdims: 1 })
  const centred = emit(emission, 'Sub', [x.name, mean.name], x.shape)
  const squares = builder.node('Mul', [centred.name, centred.name])
  const variance = builder.node('ReduceMean', [squares, over], { keepdims: 1 })
  const plus = (
    value: string,
  ): string => (epsilon === 0 ? value : builder.node('Add', [value, builder.scalar(epsilon)]))
  const divisor = addTo === 'variance' ? builder.node('Sqrt', [plus(variance)]) : plus(builder.node('Sqrt', [variance]))
  return emit(emission, 'Div', [centred.name, divisor], x.shape)
}

/**
 * Group normalisation without scale and shift: the channels of a group, one after another in memory, and all positions
 * together.
 */
function groupStandardise(emission: Emission, layer: NormLayer, x: Value, path: string): Value {
  const { groups, channels } = layer
  if (channels % groups !== 0 || x.shape.length < 2) {
    throw misfit(path, 'The GroupNorm layer', `images whose channels ${groups} divides`, x)
  }
  const { builder } = emission
  const grouped = emit(emission, 'Reshape', [x.name, builder.integers([-1, groups, sizeOf(x.shape) / groups])], [groups,
    sizeOf(x.shape) / groups])
  const standardised = layer.trackStats && layer.mean !== undefined && layer.variance !== undefined
    ? withStatistics(emission, grouped, layer.mean.data, layer.variance.data, layer.epsilon)
    : standardise(emission, grouped, [2], layer.epsilon, 'variance')
  return emit(emission, 'Reshape', [standardised.name, builder.integers([-1, ...x.shape])], x.shape)
}

/** (x - mean) / sqrt(variance + epsilon) with stored statistics of the first axis. */
function withStatistics(emission: Emission, x: Value, mean: ArrayLike<number>, variance: ArrayLike<number>,
  epsilon: number): Value {
  const { builder } = emission
  const column = (values: ArrayLike<number>): string =>
    builder.constant(tensor(builder.precision, [x.shape[0], 1], values))
  const centred = builder.node('Sub', [x.name, column(mean)])
  return emit(emission, 'Div', [centred, column(Array.from(variance, value => Math.sqrt(value + epsilon)))], x.shape)
}

/**
 * (x - mean) / (deviation + epsilon) over the last axes, then the scale and shift.
 * @throws GraphError BAD_GRAPH when the input has fewer axes
 */
export function layerNorm(emission: Emission, layer: FluxLayer & { type: 'LayerNorm' }, x: Value, path: string): Value {
  if (layer.axes < 1 || layer.axes > x.shape.length) {
    throw misfit(path, 'The LayerNorm layer', `at least ${layer.axes} dimensions`, x)
  }
  const axes = Array.from({ length: layer.axes }, (_, i) => x.shape.length - i)
  const standardised = standardise(emission, x, axes, layer.epsilon, 'deviation')
  return layer.affine === undefined
    ? standardised
    : emission.applyLayer(emission, layer.affine, standardised, join(path, 'diag'))
}
