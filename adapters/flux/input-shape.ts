/**
 * @file The shape of a network's input, which a Flux file does not hold.
 *
 * The first layers say the kind of input (features, images with so many channels, tokens, a sequence); sizes of images
 * and lengths of sequences follow from a later Dense layer, by trying.
 */
import type { FluxLayer } from './layers/flux-layer.js'

/** What the first layer that cares asks of the input. */
export type Demand =
  | { readonly kind: 'features', readonly count: number }
  | { readonly kind: 'image', readonly channels: number | undefined, readonly dimensions: number }
  | { readonly kind: 'sequence', readonly features: number, readonly step: boolean }
  | { readonly kind: 'tokens' }
  /** Channels of a normalisation: features, or an image when a convolution follows. */
  | { readonly kind: 'channels', readonly count: number }
  /** A function that reshapes: anything with as many elements as the next layer wants. */
  | { readonly kind: 'flat' }

/** What a network asks of its input, or undefined when it would take anything. */
export function demandOf(layer: FluxLayer): Demand | undefined {
  switch (layer.type) {
    case 'Chain':
      return firstDemand(layer.layers.map(child => child.layer))
    case 'Dense':
      return { kind: 'features', count: layer.weight.size[1] }
    case 'Bilinear':
      return { kind: 'features', count: layer.weight.size[1] }
    case 'Conv':
      return { kind: 'image', channels: convChannels(layer), dimensions: layer.weight.size.length - 2 }
    case 'Pool':
      return { kind: 'image', channels: undefined, dimensions: layer.kernel.length }
    case 'AdaptivePool':
      return { kind: 'image', channels: undefined, dimensions: layer.out.length }
    case 'GlobalPool':
    case 'PixelShuffle':
    case 'Upsample':
      return { kind: 'image', channels: undefined, dimensions: 2 }
    case 'Norm':
      return { kind: 'channels', count: layer.channels }
    case 'Scale':
      return { kind: 'features', count: layer.scale.data.length }
    case 'LayerNorm':
      return layer.affine === undefined ? undefined : demandOf(layer.affine)
    case 'Embedding':
      return { kind: 'tokens' }
    case 'Recurrent':
      return { kind: 'sequence', features: layer.inputWeight.size[1], step: !layer.sequence }
    case 'SkipConnection':
      return demandOf(layer.layers)
    case 'Parallel':
    case 'Maxout':
      return layer.layers.map(child => demandOf(child.layer)).find(demand => demand !== undefined)
    case 'Function':
      return layer.fn.kind === 'named' && !/flatten|vec/.test(layer.fn.name) ? undefined : { kind: 'flat' }
    case 'Identity':
    case 'Unsupported':
      return undefined
  }
}

function convChannels(layer: FluxLayer & { type: 'Conv' }): number {
  const { size } = layer.weight
  const last = size[size.length - 1]
  if (layer.variant === 'ConvTranspose' || layer.variant === 'DepthwiseConv') return last
  return size[size.length - 2] * layer.groups
}

/** The demand of the first layer that has one; a vague one is made precise by those that follow. */
function firstDemand(layers: readonly FluxLayer[]): Demand | undefined {
  for (let i = 0; i < layers.length; i++) {
    const demand = demandOf(layers[i])
    if (demand === undefined) continue
    const rest = firstDemand(layers.slice(i + 1))
    if (demand.kind === 'channels') {
      return rest?.kind === 'image'
        ? { ...rest, channels: demand.count }
        : { kind: 'features', count: demand.count }
    }
    if (demand.kind === 'image' && demand.channels === undefined && rest !== undefined) {
      if (rest.kind === 'image') return { ...rest, dimensions: demand.dimensions }
      if (rest.kind === 'channels') return { ...demand, channels: rest.count }
    }
    if (demand.kind === 'flat' && rest?.kind === 'features') return rest
    return demand
  }
  return undefined
}

/** Sizes that images have in practice, preferred when several fit. */
const COMMON = [28, 32, 64, 224, 256, 128, 96, 48, 16, 8, 299, 227, 112, 56, 20, 24, 40, 50, 60, 80, 100, 150, 200]
const LARGEST_IMAGE = 320
const LONGEST = 512

/** Sizes to try for an image or a sequence, common ones first. */
export function sizesToTry(demand: Demand): number[] {
  const most = demand.kind === 'image' ? LARGEST_IMAGE : LONGEST
  const all = Array.from({ length: most }, (_, i) => i + 1)
  return demand.kind === 'image' ? [...COMMON, ...all.filter(size => !COMMON.includes(size))] : all
}

/** The shape of one example for a size. */
export function shapeFor(demand: Demand, size: number): number[] {
  switch (demand.kind) {
    case 'image':
      return [demand.channels ?? 1, ...Array<number>(demand.dimensions).fill(size)]
    case 'sequence':
      return [size, demand.features]
    case 'tokens':
      return [size]
    case 'features':
    case 'channels':
      return [demand.count]
    case 'flat':
      return [size]
  }
}

/**
 * Shapes that `count` features can have when a function reshapes them first: flat, one square channel, pixels without
 * size.
 */
export function featureShapes(count: number): number[][] {
  const side = Math.sqrt(count)
  return [[count], ...(Number.isInteger(side) ? [[1, side, side]] : []),
    ...(Number.isInteger(Math.sqrt(count / 3)) ? [[3, Math.sqrt(count / 3), Math.sqrt(count / 3)]] : []), [count, 1, 1]]
}
