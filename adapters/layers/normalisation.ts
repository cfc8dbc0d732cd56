/** @file torch's normalisations as graph nodes, in evaluation mode: running statistics are constants. */
import { sizeOf } from '../../core/tensor/tensor.js'
import type { LayerWriter } from './activations.js'
import { count, flag, integers, number } from './arguments.js'
import { emit, filled, fixedTensor, inputMisfit, type LayerContext, misfit, optionalTensor, parameter, requiredTensor,
  statedSize, type Value } from './emission.js'
import { badArchitecture, describeLayer } from './layer-spec.js'

/** A trainable vector of the layer, or a constant where it has none. */
function vector(context: LayerContext, role: string, length: number, otherwise: number): string {
  const found = optionalTensor(context, role, 1)
  if (found === undefined) return filled(context.emission, length, otherwise)
  if (found.shape[0] !== length) {
    throw misfit(context, `has a ${role} of ${found.shape[0]} elements for ${length} channels`, { expected: [length],
      actual: found.shape })
  }
  return parameter(context, role, found)
}

/** An affine layer without its weight is a layer whose name is wrong. */
function affine(context: LayerContext, key: string, otherwise: boolean): boolean {
  const wanted = flag(context, key, otherwise)
  if (wanted) requiredTensor(context, 'weight')
  return wanted
}

/** (x - mean) / sqrt(variance + eps) with the running statistics of each channel. */
function batchNorm(dimensions: readonly number[]): LayerWriter {
  return {
    arguments: ['num_features', 'eps', 'momentum', 'affine', 'track_running_stats'],
    write(context, x) {
      if (!flag(context, 'track_running_stats', true)) {
        throw badArchitecture(
          `The ${describeLayer(context.spec, context.path)} has no running statistics: it normalises with those of ` +
            'the batch, which mixes the examples. Use a network with track_running_stats.',
          context.path,
        )
      }
      affine(context, 'affine', true)
      const mean = requiredTensor(context, 'running_mean', 1)
      const variance = requiredTensor(context, 'running_var', 1)
      optionalTensor(context, 'num_batches_tracked')
      const [channels] = mean.shape
      statedSize(context, 'num_features', count(context, 'num_features'), channels)
      if (variance.shape[0] !== channels) {
        throw misfit(context, `has running means of ${channels} channels and variances of ${variance.shape[0]}`)
      }
      if (x.shape[0] !== channels || !dimensions.includes(x.shape.length - 1)) {
        throw inputMisfit(context, `${channels} channels and ${dimensions.join(' or ')} more axes`, x)
      }
      const inputs = [x.name, vector(context, 'weight', channels, 1), vector(context, 'bias', channels, 0),
        fixedTensor(context, 'running_mean', mean), fixedTensor(context, 'running_var', variance)]
      return emit(context.emission, 'BatchNormalization', inputs, x.shape, { epsilon: number(context, 'eps', 1e-5) })
    },
  }
}

/** Standardises each example over its last axes. */
function layerNorm(context: LayerContext, x: Value): Value {
  const weight = affine(context, 'elementwise_affine', true) ? requiredTensor(context, 'weight') : undefined
  const shape = weight?.shape ?? integers(context, 'normalized_shape', 1)
  if (shape === undefined) {
    throw badArchitecture(
      `The ${describeLayer(context.spec, context.path)} has no weight, so it needs the argument normalized_shape.`,
      context.path,
    )
  }
  const stated = integers(context, 'normalized_shape', 1)
  if (stated !== undefined && stated.join() !== shape.join()) {
    throw misfit(context,
      `has normalized_shape ${stated.join(' x ')} in the architecture, and a weight of ${shape.join(' x ')}`)
  }
  if (x.shape.slice(-shape.length).join() !== shape.join()) {
    throw inputMisfit(context, `examples that end in ${shape.join(' x ')}`, x)
  }
  const { emission } = context
  const scale = weight === undefined
    ? emission.builder.node('Reshape', [filled(emission, sizeOf(shape), 1), emission.builder.integers(shape)])
    : parameter(context, 'weight', weight)
  const shift = weight === undefined || !flag(context, 'bias', true)
    ? undefined
    : optionalTensor(context, 'bias', shape.length)
  if (shift !== undefined && shift.shape.join() !== shape.join()) {
    throw misfit(context, `has a bias of ${shift.shape.join(' x ')} beside a weight of ${shape.join(' x ')}`)
  }
  const inputs = [x.name, scale, ...(shift === undefined ? [] : [parameter(context, 'bias', shift)])]
  return emit(emission, 'LayerNormalization', inputs, x.shape, { axis: -shape.length,
    epsilon: number(context, 'eps', 1e-5) })
}

/** Standardises groups of channels of each example. */
function groupNorm(context: LayerContext, x: Value): Value {
  const groups = count(context, 'num_groups')
  if (groups === undefined) {
    throw badArchitecture(`The ${describeLayer(context.spec, context.path)} needs the argument num_groups.`,
      context.path)
  }
  affine(context, 'affine', true)
  const [channels] = x.shape
  statedSize(context, 'num_channels', count(context, 'num_channels'), channels)
  if (channels % groups !== 0) throw inputMisfit(context, `a number of channels that ${groups} divides`, x)
  return emit(context.emission, 'GroupNormalization', [x.name, vector(context, 'weight', channels, 1),
    vector(context, 'bias', channels, 0)], x.shape, { num_groups: groups, epsilon: number(context, 'eps', 1e-5) })
}

/** Standardises each channel of each example. torch's InstanceNorm has no weights unless `affine` is set. */
function instanceNorm(dimensions: number): LayerWriter {
  return {
    arguments: ['num_features', 'eps', 'momentum', 'affine', 'track_running_stats'],
    write(context, x) {
      affine(context, 'affine', false)
      const [channels] = x.shape
      statedSize(context, 'num_features', count(context, 'num_features'), channels)
      if (x.shape.length !== dimensions + 1) throw inputMisfit(context, `channels and ${dimensions} more axes`, x)
      const scaleAndShift = [vector(context, 'weight', channels, 1), vector(context, 'bias', channels, 0)]
      const epsilon = number(context, 'eps', 1e-5)
      if (!flag(context, 'track_running_stats', false)) {
        return emit(context.emission, 'InstanceNormalization', [x.name, ...scaleAndShift], x.shape, { epsilon })
      }
      const statistics = [fixedTensor(context, 'running_mean', requiredTensor(context, 'running_mean', 1)),
        fixedTensor(context, 'running_var', requiredTensor(context, 'running_var', 1))]
      optionalTensor(context, 'num_batches_tracked')
      return emit(context.emission, 'BatchNormalization', [x.name, ...scaleAndShift, ...statistics], x.shape, {
        epsilon,
      })
    },
  }
}

/** The normalisations by torch's names. */
export const NORMALISATIONS: Readonly<Record<string, LayerWriter>> = {
  BatchNorm1d: batchNorm([0, 1]),
  BatchNorm2d: batchNorm([2]),
  BatchNorm3d: batchNorm([3]),
  LayerNorm: { arguments: ['normalized_shape', 'eps', 'elementwise_affine', 'bias'], write: layerNorm },
  GroupNorm: { arguments: ['num_groups', 'num_channels', 'eps', 'affine'], write: groupNorm },
  InstanceNorm1d: instanceNorm(1),
  InstanceNorm2d: instanceNorm(2),
  InstanceNorm3d: instanceNorm(3),
}
