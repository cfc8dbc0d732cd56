/** @file What a Flux file holds, in words: for `polylaplace inspect`. */
import { LaplaceError } from '../../core/errors/errors.js'
import { arrayOf } from './julia/arrays.js'
import { openJulia } from './julia/julia-file.js'
import type { FluxReader } from './layers/field-values.js'
import { arraysOf, type FluxLayer } from './layers/flux-layer.js'
import { layerOf } from './layers/read-layers.js'
import { contentsOf } from './networks.js'

/** A layer with its path inside of its network and its number of trained and stored values. */
export interface LayerDescription {
  readonly path: string
  readonly type: string
  readonly values: number
}

/** The contents of a Flux file. */
export interface FluxDescription {
  /** The networks that `readFlux` can choose from, or why one cannot be read. */
  readonly networks: readonly { readonly path: string, readonly layers: readonly LayerDescription[],
    readonly problem?: string }[]
  /** Every array of numbers, sizes in Julia's order. */
  readonly tensors: readonly { readonly path: string, readonly size: readonly number[], readonly type: string }[]
  /** Paths of arrays whose numbers were left on the GPU. */
  readonly missing: readonly string[]
}

/**
 * Lists the networks of a file with their layers, and all arrays of numbers. No graph is built.
 * @throws UntrustedInputError UNTRUSTED_INPUT when the file is not one that BSON.jl wrote
 */
export function describeFlux(bytes: Uint8Array): FluxDescription {
  const reader: FluxReader = { file: openJulia(bytes), cache: new Map() }
  const contents = contentsOf(reader.file)
  const networks = contents.networks.map(({ path, value }) => {
    try {
      const layer = layerOf(reader, value, path)
      return { path, layers: layer === undefined ? [] : describeLayers(layer, '') }
    } catch (error) {
      if (!(error instanceof LaplaceError)) throw error
      return { path, layers: [], problem: error.message }
    }
  })
  const tensors = contents.arrays.flatMap(({ path, value }) => {
    const array = arrayOf(reader.file, value, path, reader.cache)
    return array === undefined ? [] : [{ path, size: array.size, type: array.eltype }]
  })
  return { networks, tensors, missing: contents.gpuArrays }
}

function describeLayers(layer: FluxLayer, path: string): LayerDescription[] {
  const inside = (children: readonly { readonly name: string, readonly layer: FluxLayer }[]): LayerDescription[] =>
    children.flatMap(child => describeLayers(child.layer, `${path === '' ? '' : `${path}.`}layers.${child.name}`))
  if (layer.type === 'Chain') return inside(layer.layers)
  const own = { path, type: titleOf(layer), values: 0 }
  if (layer.type === 'Parallel' || layer.type === 'Maxout') return [own, ...inside(layer.layers)]
  if (layer.type === 'SkipConnection') {
    return [own, ...describeLayers(layer.layers, `${path === '' ? '' : `${path}.`}layers`)]
  }
  return [{ ...own, values: arraysOf(layer).reduce((sum, array) => sum + array.data.length, 0) }]
}

/** A layer as Flux prints it, more or less. */
function titleOf(layer: FluxLayer): string {
  const act = 'activation' in layer && layer.activation !== undefined
    ? `, ${layer.activation.kind === 'named' ? layer.activation.name : 'a function'}`
    : ''
  switch (layer.type) {
    case 'Dense':
      return `Dense(${layer.weight.size[1]} => ${layer.weight.size[0]}${act})`
    case 'Conv':
      return `${layer.variant}(size (${layer.weight.size.join(', ')})${act})`
    case 'Norm':
      return `${layer.variant}(${layer.channels}${act})`
    case 'Pool':
      return `${layer.mode === 'max' ? 'MaxPool' : 'MeanPool'}((${layer.kernel.join(', ')}))`
    case 'AdaptivePool':
      return `${layer.mode === 'max' ? 'AdaptiveMaxPool' : 'AdaptiveMeanPool'}((${layer.out.join(', ')}))`
    case 'GlobalPool':
      return layer.mode === 'max' ? 'GlobalMaxPool()' : 'GlobalMeanPool()'
    case 'Embedding':
      return `Embedding(${layer.weight.size[1]} => ${layer.weight.size[0]})`
    case 'Recurrent':
      return `${layer.cell}(${layer.inputWeight.size[1]} => ${layer.hiddenWeight.size[1]}${act})`
    case 'Function':
      return layer.fn.kind === 'named'
        ? layer.fn.name
        : layer.fn.kind === 'closure'
        ? `function ${layer.fn.closure.name} (line ${layer.fn.closure.line})`
        : 'function'
    case 'Identity':
    case 'Unsupported':
      return layer.of.slice(0, 100)
    default:
      return layer.type
  }
}
