/** @file torch's convolutions and pools over one, two or three axes behind the channels. */
import { formatShape } from '../../core/tensor/tensor.js'
import type { LayerWriter } from './activations.js'
import { count, flag, integer, integers, isGiven, number, sizes, word } from './arguments.js'
import { bias, type Emission, emit, inputMisfit, type LayerContext, misfit, parameter, requiredTensor, statedSize,
  type Value } from './emission.js'
import { badArchitecture, describeLayer } from './layer-spec.js'

type Dimensions = 1 | 2 | 3

const repeated = (value: number, dimensions: number): number[] => Array<number>(dimensions).fill(value)

/** Positions that a window can take along one axis. */
function positions(size: number, span: number, stride: number, up = false): number {
  return (up ? Math.ceil((size - span) / stride) : Math.floor((size - span) / stride)) + 1
}

/** Checks that an input is an image with that many axes behind the channels. */
function image(context: LayerContext, x: Value, dimensions: Dimensions, channels?: number): readonly number[] {
  if (x.shape.length !== dimensions + 1 || (channels !== undefined && x.shape[0] !== channels)) {
    throw inputMisfit(context,
      `${channels ?? 'any number of'} channels and ${dimensions} more ax${dimensions === 1 ? 'is' : 'es'}`, x)
  }
  return x.shape.slice(1)
}

/** A convolution; its weight is out x in/groups x kernel. */
export function convolution(dimensions: Dimensions): LayerWriter {
  return {
    arguments: ['in_channels', 'out_channels', 'kernel_size', 'stride', 'padding', 'dilation', 'groups', 'bias',
      'padding_mode'],
    write(context, x) {
      word(context, 'padding_mode', ['zeros'])
      const weight = requiredTensor(context, 'weight', dimensions + 2)
      const [out, perGroup, ...kernel] = weight.shape
      const groups = count(context, 'groups') ?? 1
      if (out % groups !== 0) throw misfit(context, `has ${out} output channels, which ${groups} groups do not divide`)
      stateChannels(context, perGroup * groups, out, kernel)
      const strides = sizes(context, 'stride', dimensions, 1) ?? []
      const dilations = sizes(context, 'dilation', dimensions, 1) ?? []
      const spans = kernel.map((size, i) => (size - 1) * dilations[i] + 1)
      const pads = paddings(context, dimensions, spans, strides)
      const extents = image(context, x, dimensions, perGroup * groups).map((size, i) =>
        positions(size + pads[i] + pads[i + dimensions], spans[i], strides[i])
      )
      if (extents.some(extent => extent < 1)) {
        throw inputMisfit(context, `images of at least ${formatShape(spans)} with padding`, x)
      }
      const taps = parameter(context, 'weight', weight)
      const offset = bias(context, out)
      return emit(context.emission, 'Conv', [x.name, taps, ...(offset === undefined ? [] : [offset])], [out,
        ...extents], { kernel_shape: kernel, strides, dilations, pads, group: groups })
    },
  }
}

function stateChannels(context: LayerContext, into: number, out: number, kernel: readonly number[]): void {
  statedSize(context, 'in_channels', count(context, 'in_channels'), into)
  statedSize(context, 'out_channels', count(context, 'out_channels'), out)
  sizes(context, 'kernel_size', kernel.length, undefined)?.forEach((size, i) => {
    statedSize(context, 'kernel_size', size, kernel[i])
  })
}

/** Padding in front of and behind every axis: numbers, 'valid' (none) or 'same' (the odd one behind). */
function paddings(context: LayerContext, dimensions: number, spans: readonly number[],
  strides: readonly number[]): number[] {
  if (typeof context.spec['padding'] !== 'string') {
    const both = sizes(context, 'padding', dimensions, 0, 0) ?? []
    return [...both, ...both]
  }
  if (word(context, 'padding', ['valid', 'same']) === 'valid') return repeated(0, 2 * dimensions)
  if (strides.some(stride => stride !== 1)) {
    throw badArchitecture(
      `The ${describeLayer(context.spec, context.path)} has padding 'same' with a stride, which torch does not allow.`,
      context.path,
    )
  }
  return [...spans.map(span => Math.floor((span - 1) / 2)), ...spans.map(span => Math.ceil((span - 1) / 2))]
}

/** A transposed convolution; its weight is in x out/groups x kernel. */
export function transposedConvolution(dimensions: Dimensions): LayerWriter {
  return {
    arguments: ['in_channels', 'out_channels', 'kernel_size', 'stride', 'padding', 'output_padding', 'groups', 'bias',
      'dilation', 'padding_mode'],
    write(context, x) {
      word(context, 'padding_mode', ['zeros'])
      const weight = requiredTensor(context, 'weight', dimensions + 2)
      const [into, perGroup, ...kernel] = weight.shape
      const groups = count(context, 'groups') ?? 1
      if (into % groups !== 0) throw misfit(context, `has ${into} input channels, which ${groups} groups do not divide`)
      const out = perGroup * groups
      stateChannels(context, into, out, kernel)
      const strides = sizes(context, 'stride', dimensions, 1) ?? []
      const dilations = sizes(context, 'dilation', dimensions, 1) ?? []
      const padding = sizes(context, 'padding', dimensions, 0, 0) ?? []
      const extra = sizes(context, 'output_padding', dimensions, 0, 0) ?? []
      const extents = image(context, x, dimensions, into).map((size, i) =>
        (size - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - 2 * padding[i] + extra[i]
      )
      if (extents.some(extent => extent < 1)) throw inputMisfit(context, 'larger images', x)
      const taps = parameter(context, 'weight', weight)
      const offset = bias(context, out)
      const attributes = { kernel_shape: kernel, strides, dilations, pads: [...padding, ...padding], group: groups }
      return emit(context.emission, 'ConvTranspose', [x.name, taps, ...(offset === undefined ? [] : [offset])], [out,
        ...extents], extra.some(each => each > 0) ? { ...attributes, output_padding: extra } : attributes)
    },
  }
}

/** Max and average pooling. torch's averages count the padding unless told otherwise. */
export function pooling(op: 'MaxPool' | 'AveragePool', dimensions: Dimensions): LayerWriter {
  const own = op === 'MaxPool' ? ['dilation', 'return_indices'] : ['count_include_pad', 'divisor_override']
  return {
    arguments: ['kernel_size', 'stride', 'padding', 'ceil_mode', ...own],
    write(context, x) {
      const kernel = sizes(context, 'kernel_size', dimensions, undefined)
      if (kernel === undefined) {
        throw badArchitecture(`The ${describeLayer(context.spec, context.path)} needs the argument kernel_size.`,
          context.path)
      }
      if (flag(context, 'return_indices', false)) {
        throw badArchitecture(
          `The ${describeLayer(context.spec, context.path)} returns indices, which is not supported.`,
          context.path,
        )
      }
      if (isGiven(context, 'divisor_override')) {
        throw badArchitecture(
          `The ${describeLayer(context.spec, context.path)} has divisor_override, which is not supported.`,
          context.path,
        )
      }
      const strides = sizes(context, 'stride', dimensions, undefined) ?? kernel
      const padding = sizes(context, 'padding', dimensions, 0, 0) ?? []
      const dilations = op === 'MaxPool' ? sizes(context, 'dilation', dimensions, 1) ?? [] : repeated(1, dimensions)
      const up = flag(context, 'ceil_mode', false)
      const spans = kernel.map((size, i) => (size - 1) * dilations[i] + 1)
      if (padding.some((pad, i) => pad > kernel[i] / 2)) {
        throw badArchitecture(
          `The ${
            describeLayer(context.spec, context.path)
          } has padding beyond half of its kernel, which torch does not allow.`,
          context.path,
        )
      }
      const extents = image(context, x, dimensions).map((size, i) =>
        poolPositions(size, spans[i], strides[i], padding[i], up)
      )
      if (extents.some(extent => extent < 1)) {
        throw inputMisfit(context, `images of at least ${formatShape(spans)} with padding`, x)
      }
      const attributes = { kernel_shape: kernel, strides, pads: [...padding, ...padding], ceil_mode: up ? 1 : 0 }
      return emit(context.emission, op, [x.name], [x.shape[0], ...extents], op === 'MaxPool'
        ? { ...attributes, dilations }
        : { ...attributes, count_include_pad: flag(context, 'count_include_pad', true) ? 1 : 0 })
    },
  }
}

/** Rounded up, a last window that would start behind the image and its front padding is left out. */
function poolPositions(size: number, span: number, stride: number, padding: number, up: boolean): number {
  const all = positions(size + 2 * padding, span, stride, up)
  return up && (all - 1) * stride >= size + padding ? all - 1 : all
}

/** Pooling to a given size: the whole image, equal windows, or (averages) a product with a matrix for each axis. */
export function adaptivePooling(op: 'MaxPool' | 'AveragePool', dimensions: Dimensions): LayerWriter {
  return {
    arguments: ['output_size', 'return_indices'],
    write(context, x) {
      const extents = image(context, x, dimensions)
      const target = outputSize(context, dimensions, extents)
      const { emission } = context
      const shape = [x.shape[0], ...target]
      if (target.every(size => size === 1)) {
        return emit(emission, op === 'MaxPool' ? 'ReduceMax' : 'ReduceMean', [x.name,
          emission.builder.integers(target.map((_, i) => i + 2))], shape, { keepdims: 1 })
      }
      emission.sizeDependent = true
      if (target.every((size, i) => extents[i] % size === 0)) {
        const kernel = target.map((size, i) => extents[i] / size)
        return emit(emission, op, [x.name], shape, { kernel_shape: kernel, strides: kernel,
          pads: repeated(0, 2 * dimensions) })
      }
      if (op === 'MaxPool') throw inputMisfit(context, `images whose sizes ${formatShape(target)} divide`, x)
      return target.reduce((value, size, i) => averageAlong(emission, value, i + 1, size), x)
    },
  }
}

function outputSize(context: LayerContext, dimensions: number, extents: readonly number[]): readonly number[] {
  const given = context.spec['output_size']
  // None keeps an axis as it is.
  if (Array.isArray(given) && given.includes(null)) {
    const spec = { ...context.spec, output_size: given.map((each: unknown, i) => (each === null ? extents[i] : each)) }
    return sizes({ ...context, spec }, 'output_size', dimensions, undefined) ?? []
  }
  const target = sizes(context, 'output_size', dimensions, undefined)
  if (target === undefined) {
    throw badArchitecture(`The ${describeLayer(context.spec, context.path)} needs the argument output_size.`,
      context.path)
  }
  return target
}

/** Means over the windows floor(i size/target) .. ceil((i+1) size/target) of one axis of an example. */
function averageAlong(emission: Emission, x: Value, axis: number, target: number): Value {
  const size = x.shape[axis]
  if (size === target) return x
  const { builder } = emission
  const matrix = new Float64Array(size * target)
  for (let j = 0; j < target; j++) {
    const [from, to] = [Math.floor((j * size) / target), Math.ceil(((j + 1) * size) / target)]
    for (let i = from; i < to; i++) matrix[i * target + j] = 1 / (to - from)
  }
  const weights = builder.constant({ dtype: builder.precision, shape: [size, target],
    data: builder.precision === 'float32' ? Float32Array.from(matrix) : matrix })
  const rank = x.shape.length + 1
  const swap = Array.from({ length: rank }, (_, i) => (i === axis + 1 ? rank - 1 : i === rank - 1 ? axis + 1 : i))
  const last = axis + 1 === rank - 1
  const moved = last ? x.name : builder.node('Transpose', [x.name], { perm: swap })
  const product = builder.node('MatMul', [moved, weights])
  return { name: last ? product : builder.node('Transpose', [product], { perm: swap }),
    shape: x.shape.map((extent, i) => (i === axis ? target : extent)) }
}

/** Constants around an image; torch's list starts with the last axis: low, high, low, high, ... */
export function padding(dimensions: Dimensions, zeros: boolean): LayerWriter {
  return {
    arguments: zeros ? ['padding'] : ['padding', 'value'],
    write(context, x) {
      const given = integers(context, 'padding', 0)
      const pairs = given?.length === 1 ? repeated(given[0], 2 * dimensions) : given
      if (pairs === undefined || pairs.length !== 2 * dimensions) {
        throw badArchitecture(
          `The argument padding of ${describeLayer(context.spec, context.path)} must be one integer or ${
            2 * dimensions
          }.`,
          context.path,
        )
      }
      const extents = image(context, x, dimensions)
      const low = extents.map((_, i) => pairs[2 * (dimensions - 1 - i)])
      const high = extents.map((_, i) => pairs[2 * (dimensions - 1 - i) + 1])
      const { emission } = context
      return emit(emission, 'Pad', [x.name, emission.builder.integers([0, 0, ...low, 0, 0, ...high]),
        emission.builder.scalar(zeros ? 0 : number(context, 'value', 0))], [x.shape[0],
        ...extents.map((extent, i) => extent + low[i] + high[i])], { mode: 'constant' })
    },
  }
}

/** Every position repeated (nearest neighbour) by an integer factor. */
export function upsampling(): LayerWriter {
  return {
    arguments: ['scale_factor', 'mode', 'align_corners', 'recompute_scale_factor', 'size'],
    write(context, x) {
      word(context, 'mode', ['nearest'])
      const factor = integer(context, 'scale_factor')
      if (factor === undefined || factor < 1) {
        throw badArchitecture(`The ${describeLayer(context.spec, context.path)} needs an integer scale_factor.`,
          context.path)
      }
      const extents = x.shape.slice(1)
      if (extents.length < 1) throw inputMisfit(context, 'images', x)
      const { emission } = context
      const { builder } = emission
      emission.sizeDependent = true
      const spread = builder.node('Reshape', [x.name,
        builder.integers([-1, x.shape[0], ...extents.flatMap(extent => [extent, 1])])])
      const copies = builder.node('Expand', [spread, builder.integers([1, 1, ...extents.flatMap(() => [1, factor])])])
      const shape = [x.shape[0], ...extents.map(extent => extent * factor)]
      return emit(emission, 'Reshape', [copies, builder.integers([-1, ...shape])], shape)
    },
  }
}
