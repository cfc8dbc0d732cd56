/**
 * @file The shape of a network's input, which weights do not tell completely.
 *
 * The first layers say the kind of input (features, images with so many channels, a sequence, tokens). Sizes of images
 * and lengths of sequences are given, or follow from a later Linear layer by trying, or stay open.
 */
import { OptionError } from '../../core/errors/errors.js'
import type { NamedTensors } from '../tensors/file-tensor.js'
import { count, integers } from './arguments.js'
import { tensorName } from './emission.js'
import type { LayerSpec } from './layer-spec.js'

/** What the first layers ask of the input. */
export type Demand =
  /** Vectors, or sequences of them. */
  | { readonly kind: 'features', readonly count: number }
  | { readonly kind: 'image', readonly channels: number | undefined, readonly dimensions: number }
  | { readonly kind: 'sequence', readonly features: number }
  | { readonly kind: 'tokens' }
  /** Channels of a normalisation: features (0 dimensions), or an image when a convolution follows. */
  | { readonly kind: 'channels', readonly count: number, readonly dimensions: number }
  /** Exactly this. */
  | { readonly kind: 'shape', readonly shape: readonly number[] }

/** The shape that the architecture itself states: `{"type":"Input","shape":[1,28,28]}` as its first layer. */
export function statedShape(layers: readonly LayerSpec[]): readonly number[] | undefined {
  const [first] = layers
  return first?.type === 'Input' ? integers({ spec: first, path: '0' }, 'shape', 1) : undefined
}

/** The demand of the first layer that has one; a vague one is made precise by those that follow. */
export function demandOf(layers: readonly LayerSpec[], tensors: NamedTensors, top = true): Demand | undefined {
  for (let i = 0; i < layers.length; i++) {
    const demand = layerDemand(top && layers[i].name === undefined ? { ...layers[i], name: String(i) } : layers[i],
      tensors)
    if (demand === undefined) continue
    const vague = demand.kind === 'channels' || (demand.kind === 'image' && demand.channels === undefined)
    const next = vague ? demandOf(layers.slice(i + 1), tensors, false) : undefined
    return combined(demand, next)
  }
  return undefined
}

/** A vague demand with what follows it. */
function combined(first: Demand, next: Demand | undefined): Demand {
  if (first.kind === 'channels') {
    const dimensions = next?.kind === 'image' ? next.dimensions : first.dimensions
    return dimensions === 0
      ? { kind: 'features', count: first.count }
      : { kind: 'image', channels: first.count, dimensions }
  }
  if (first.kind === 'image' && first.channels === undefined && next?.kind === 'image') {
    return { ...first, channels: next.channels }
  }
  return first
}

function layerDemand(spec: LayerSpec, tensors: NamedTensors): Demand | undefined {
  const shapeOf = (role: string): readonly number[] | undefined => tensors.get(tensorName(spec, role))?.shape
  const weight = shapeOf('weight')
  const dimensions = Number(/([123])d$/.exec(spec.type)?.[1] ?? 0)
  switch (spec.type.replace(/[123]d$/, '')) {
    case 'Linear':
      return weight?.length === 2 ? { kind: 'features', count: weight[1] } : undefined
    case 'Conv':
      return weight?.length === dimensions + 2
        ? { kind: 'image', channels: weight[1] * (count({ spec, path: '' }, 'groups') ?? 1), dimensions }
        : undefined
    case 'ConvTranspose':
      return weight?.length === dimensions + 2 ? { kind: 'image', channels: weight[0], dimensions } : undefined
    case 'MaxPool':
    case 'AvgPool':
    case 'AdaptiveAvgPool':
    case 'AdaptiveMaxPool':
    case 'ZeroPad':
    case 'ConstantPad':
      return { kind: 'image', channels: undefined, dimensions }
    case 'Upsample':
      return { kind: 'image', channels: undefined, dimensions: 2 }
    case 'BatchNorm':
      return channelDemand(shapeOf('running_mean') ?? weight, dimensions === 1 ? 0 : dimensions)
    case 'InstanceNorm':
      return channelDemand(shapeOf('running_mean') ?? weight, dimensions) ??
        { kind: 'image', channels: undefined, dimensions }
    case 'GroupNorm':
      return channelDemand(weight, 0)
    case 'LayerNorm':
      return weight === undefined
        ? undefined
        : weight.length === 1
        ? { kind: 'features', count: weight[0] }
        : { kind: 'shape', shape: weight }
    case 'Embedding':
      return { kind: 'tokens' }
    case 'RNN':
    case 'LSTM':
    case 'GRU': {
      const input = shapeOf('weight_ih_l0')
      return input?.length === 2 ? { kind: 'sequence', features: input[1] } : undefined
    }
    case 'Residual':
    case 'Sequential':
      return spec.layers === undefined ? undefined : demandOf(spec.layers, tensors, false)
    default:
      return undefined
  }
}

function channelDemand(shape: readonly number[] | undefined, dimensions: number): Demand | undefined {
  return shape?.length === 1 ? { kind: 'channels', count: shape[0], dimensions } : undefined
}

/** Sizes that images have in practice, tried before others. */
const COMMON = [28, 32, 64, 224, 256, 128, 96, 48, 16, 8, 299, 227, 112, 56, 20, 24, 40, 50, 60, 80, 100, 150, 200]
const LARGEST: Readonly<Record<number, number>> = { 1: 1024, 2: 320, 3: 64 }
const LONGEST = 512

/** A shape to try, and its axes whose length is only tried. */
export interface Candidate {
  readonly shape: readonly number[]
  readonly open: readonly number[]
}

/** Shapes of one example to try, most likely first. */
export function* candidates(demand: Demand): Generator<Candidate> {
  switch (demand.kind) {
    case 'shape':
      yield { shape: demand.shape, open: [] }
      return
    case 'features':
      yield { shape: [demand.count], open: [] }
      yield* lengths(demand.count)
      return
    case 'sequence':
      yield* lengths(demand.features)
      return
    case 'tokens':
      for (const length of upTo(LONGEST)) yield { shape: [length], open: [0] }
      return
    case 'channels':
      yield { shape: [demand.count], open: [] }
      return
    case 'image': {
      const { channels = 1, dimensions } = demand
      const all = upTo(LARGEST[dimensions] ?? 32)
      const open = Array.from({ length: dimensions }, (_, i) => i + 1)
      for (const size of [...COMMON.filter(size => size <= all.length),
        ...all.filter(size => !COMMON.includes(size))]) {
        yield { shape: [channels, ...Array<number>(dimensions).fill(size)], open }
      }
    }
  }
}

const upTo = (most: number): number[] => Array.from({ length: most }, (_, i) => i + 1)

function* lengths(features: number): Generator<Candidate> {
  for (const length of upTo(LONGEST)) yield { shape: [length, features], open: [0] }
}

/**
 * The shape that the user gave, completed: channels in front of an image's sizes, features behind a number of times.
 * @throws OptionError BAD_OPTION
 */
export function givenShape(inputSize: number | readonly number[], demand: Demand | undefined): readonly number[] {
  const sizes = typeof inputSize === 'number' ? [inputSize] : [...inputSize]
  if (sizes.length === 0 || sizes.length > 8 ||
    sizes.some(size => !Number.isInteger(size) || size < 1 || size >= 2 ** 31)) {
    throw new OptionError('BAD_OPTION',
      'Option inputSize must be a positive integer or a list of them, for example 4 or [1, 28, 28].', {
      option: 'inputSize',
    })
  }
  if (demand?.kind === 'sequence' && sizes.length === 1) return [sizes[0], demand.features]
  if (demand?.kind === 'features' && sizes.length === 1 && sizes[0] !== demand.count) return [sizes[0], demand.count]
  if (demand?.kind !== 'image') return sizes
  if (sizes.length === 1) return [demand.channels ?? 1, ...Array<number>(demand.dimensions).fill(sizes[0])]
  return sizes.length === demand.dimensions ? [demand.channels ?? 1, ...sizes] : sizes
}
