/** @file Reads Flux networks saved with BSON.jl. */
import { GraphError, LaplaceError, OptionError, UntrustedInputError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import type { Graph } from '../../core/graph/graph.js'
import { formatShape } from '../../core/tensor/tensor.js'
import type { Emission } from './graph/emission.js'
import { type Demand, demandOf, featureShapes, shapeFor, sizesToTry } from './input-shape.js'
import { gpuArrayError } from './julia/arrays.js'
import { openJulia } from './julia/julia-file.js'
import type { FluxReader } from './layers/field-values.js'
import type { FluxLayer } from './layers/flux-layer.js'
import { layerOf } from './layers/read-layers.js'
import { type Attempt, networkGraph } from './network/network-graph.js'
import { type Contents, contentsOf, type FoundNetwork } from './networks.js'

/** What can be said to `readFlux` beyond the file. */
export interface FluxOptions {
  /**
   * Which network, when the file holds several: its path, `encoder.1` for example. Layers inside of networks have paths
   * too.
   */
  readonly model?: string
  /**
   * Shape of one example as the graph takes it: `[1, 28, 28]` (channels, height, width), `[28, 28]`, or a number of
   * features or times.
   */
  readonly inputSize?: number | readonly number[]
}

/**
 * Reads a network of Flux from a BSON.jl file (Flux 0.4 to 0.16).
 *
 * The graph computes what Flux computes, on row-major arrays with the examples first: features are N x F, images
 * N x C x H x W, sequences N x T x F. Julia's column-major arrays of size (F, N), (W, H, C, N) and (F, T, N) have the
 * same bytes. Parameters are in Flux's order: layer by layer, weight (out x in) before bias, shift before scale in
 * normalisations. Anonymous functions are recognised by their code or refused by name; nothing is executed.
 * @throws UntrustedInputError UNTRUSTED_INPUT for a file that BSON.jl did not write; UNSUPPORTED_FORMAT when arrays
 * were left on the GPU;
 *   MISSING_ARCHITECTURE when there are arrays but no layers
 * @throws GraphError AMBIGUOUS_NETWORK when there are several networks; UNSUPPORTED_OPERATOR for a layer or function
 * that cannot be imported
 * @throws OptionError BAD_OPTION when `model` or `inputSize` does not fit
 * @example
 * const network = readFlux(bytes, { model: 'decoder' })
 */
export function readFlux(bytes: Uint8Array, options: FluxOptions = {}): Graph {
  const reader: FluxReader = { file: openJulia(bytes), cache: new Map() }
  const contents = contentsOf(reader.file)
  const found = chooseNetwork(reader, contents, options.model)
  const layer = layerOf(reader, found.value, found.path)
  if (layer === undefined) throw new GraphError('BAD_GRAPH', `'${found.path}' is not a layer of Flux.`)
  return graphOf(reader, layer, options.inputSize).graph
}

/** The network that was asked for, or the only one. */
function chooseNetwork(reader: FluxReader, contents: Contents, wanted: string | undefined): FoundNetwork {
  const { networks } = contents
  if (contents.gpuArrays.length > 0 && contents.arrays.length === 0) throw gpuArrayError(contents.gpuArrays[0])
  if (wanted !== undefined) return networkAt(reader, networks, wanted)
  if (networks.length === 1) return networks[0]
  if (networks.length > 1) {
    const list = networks.slice(0, 20).map(network => `'${network.path}' (${network.layer})`).join(', ')
    throw new GraphError('AMBIGUOUS_NETWORK',
      `The file holds ${networks.length} networks: ${list}${
        networks.length > 20 ? ', ...' : ''
      }. Choose one with the option model.`, { networks: networks.map(network => network.path) })
  }
  if (contents.arrays.length > 0) {
    throw new UntrustedInputError(
      `The file holds ${contents.arrays.length} arrays of numbers (${
        contents.arrays.slice(0, 5).map(found => `'${found.path}'`).join(', ')
      }${contents.arrays.length > 5 ? ', ...' : ''}) but no layers: ` +
        'give the layers as architecture, or save the network itself: BSON.@save "model.bson" model.',
      { format: 'BSON.jl' },
      'MISSING_ARCHITECTURE',
    )
  }
  throw new UntrustedInputError(
    `The file is BSON, but it holds no network of Flux (variables: ${
      [...reader.file.variables.keys()].slice(0, 10).map(name => `'${name.slice(0, 50)}'`).join(', ') || 'none'
    }). Save the network itself: BSON.@save "model.bson" model.`,
    { format: 'BSON.jl' },
    'UNSUPPORTED_FORMAT',
  )
}

function networkAt(reader: FluxReader, networks: readonly FoundNetwork[], wanted: string): FoundNetwork {
  const known = networks.find(network => network.path === wanted) ??
    contentsOf(reader.file, true).networks.find(network => network.path === wanted)
  if (known !== undefined) return known
  const paths = networks.map(network => network.path)
  const suggestion = nearestWord(wanted, paths)
  throw new OptionError('BAD_OPTION',
    `The file has no network '${wanted.slice(0, 100)}'; it has ${
      paths.slice(0, 20).map(path => `'${path}'`).join(', ') || 'none'
    }.${suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`}`, { option: 'model',
    value: wanted.slice(0, 100), allowed: paths })
}

/** The graph of a network, with the input's shape as given or found by trying. */
function graphOf(reader: FluxReader, layer: FluxLayer, inputSize: FluxOptions['inputSize']): Attempt {
  const shared: Pick<Emission, 'converted' | 'work'> = { converted: new Map(), work: { done: 0 } }
  const demand = demandOf(layer)
  const integers = demand?.kind === 'tokens'
  const attempt = (shape: readonly number[], notes: readonly string[]): Attempt =>
    networkGraph(reader, layer, shape, integers, shared, notes)
  if (inputSize !== undefined) return attempt(givenShape(inputSize, demand), [])
  if (demand === undefined) {
    throw new GraphError('AMBIGUOUS_NETWORK',
      'The file does not say what the network takes as input; give the option inputSize, for example 4 or [1, 28, 28].')
  }
  if (demand.kind === 'features' || demand.kind === 'channels') {
    return firstFit(featureShapes(demand.count).map(shape => () => attempt(shape, [])))
  }
  if (demand.kind === 'sequence' && demand.step) return attempt([demand.features], [])
  if (demand.kind === 'image') return imageFit(demand, attempt)
  return firstFit(
    sizesToTry(demand).map(size => () =>
      attempt(shapeFor(demand, size), [
        `The file does not hold the length of the input: ${size} was taken, as the first that fits; ` +
        'give inputSize for another.',
      ])
    ),
  )
}

/**
 * The shape that the user gave, completed: channels in front of an image's sizes, features behind a number of times.
 */
function givenShape(inputSize: number | readonly number[], demand: Demand | undefined): number[] {
  const sizes = typeof inputSize === 'number' ? [inputSize] : [...inputSize]
  if (sizes.length === 0 || sizes.length > 8 || sizes.some(size => !Number.isInteger(size) || size < 1)) {
    throw new OptionError('BAD_OPTION',
      'Option inputSize must be a positive integer or a list of them, for example [1, 28, 28].', {
      option: 'inputSize',
    })
  }
  if (demand?.kind === 'sequence' && sizes.length === 1 && sizes[0] !== demand.features) {
    return [sizes[0], demand.features]
  }
  if (demand?.kind !== 'image') return sizes
  if (sizes.length === 1) return shapeFor(demand, sizes[0])
  if (sizes.length === demand.dimensions) return [demand.channels ?? 1, ...sizes]
  // Flux's own order, width first and channels last, where it cannot be the other one.
  const fluxOrder = demand.channels !== undefined && sizes[0] !== demand.channels &&
    sizes[sizes.length - 1] === demand.channels
  return fluxOrder ? sizes.reverse() : sizes
}

/** The first attempt that fits; when none does, the error that says most. */
function firstFit(attempts: readonly (() => Attempt)[]): Attempt {
  let failure: unknown
  for (const attempt of attempts) {
    try {
      return attempt()
    } catch (error) {
      if (!(error instanceof LaplaceError) || !(error instanceof GraphError)) throw error
      failure ??= error
    }
  }
  throw failure
}

/** Square images of all sizes; of those that fit, one where strides leave nothing over, common sizes first. */
function imageFit(demand: Demand & { kind: 'image' },
  attempt: (shape: readonly number[], notes: readonly string[]) => Attempt): Attempt {
  const sizes = sizesToTry(demand)
  const fits: { size: number, lost: number }[] = []
  let failure: unknown
  for (const size of sizes) {
    try {
      fits.push({ size, lost: attempt(shapeFor(demand, size), []).lost })
    } catch (error) {
      if (!(error instanceof GraphError)) throw error
      // What is wrong in every size is not the size: the message of a common one is kept.
      failure ??= error
      if (error.code === 'BATCH_AXIS') throw error
    }
  }
  if (fits.length === 0) throw failure
  fits.sort((a, b) => a.lost - b.lost)
  const { size } = fits[0]
  const shape = shapeFor(demand, size)
  const why = fits.length === 1
    ? 'the only square size that fits the layers'
    : `one of ${fits.length} square sizes that fit the layers`
  return attempt(shape, [
    `The file does not hold the size of the images: ${
      formatShape(shape)
    } was taken, ${why}; give inputSize for another.`,
  ])
}
