/** @file Reads the layers of Flux from the structs in a file: each kind of struct finds its reader here. */
import type { Bson } from '../julia/bson-values.js'
import { functionOf } from '../julia/functions.js'
import { malformed, spend } from '../julia/julia-file.js'
import { type JuliaStruct, structOf } from '../julia/julia-types.js'
import { entriesOf, itemsOf, namedTupleOf } from '../julia/julia-values.js'
import type { FluxReader } from './field-values.js'
import type { ConvLayer, FluxLayer, NamedLayer, NormLayer } from './flux-layer.js'
import { type LayerFields, layerFields } from './layer-fields.js'
import { readConvolution, readPool, readUpsample } from './read-images.js'
import { readLayerNorm, readNorm } from './read-normalisation.js'
import { readRecurrent } from './read-recurrent.js'
import { INERT, layerName, UNSUPPORTED } from './struct-fields.js'

/** The layer in a field, and the layers in a field that holds several. */
interface Inner {
  readonly one: (field: string) => FluxLayer
  readonly optional: (field: string) => FluxLayer | undefined
  readonly several: (field: string) => NamedLayer[]
}

type LayerReader = (layer: LayerFields, inner: Inner) => FluxLayer

const convolution = (variant: ConvLayer['variant']): LayerReader => layer => readConvolution(layer, variant)
const norm = (variant: NormLayer['variant']): LayerReader => layer => readNorm(layer, variant)
const pool = (mode: 'max' | 'mean'): LayerReader => layer => readPool(layer, mode)
const adaptivePool = (mode: 'max' | 'mean'): LayerReader => layer => ({ type: 'AdaptivePool', mode,
  out: layer.integers('out') })
const globalPool = (mode: 'max' | 'mean'): LayerReader => () => ({ type: 'GlobalPool', mode })
const scale: LayerReader = layer => ({ type: 'Scale', scale: layer.array('scale'), bias: layer.bias(),
  activation: layer.activation() })
const cell: LayerReader = ({ reader, struct, path }) => readRecurrent(reader, struct, false, path)
const cellOf = (sequence: boolean): LayerReader => ({ reader, fields, at }) =>
  readRecurrent(reader, structOf(reader.file, fields['cell']), sequence, at('cell'))

const READERS: Readonly<Record<string, LayerReader>> = {
  Chain: (_, inner) => ({ type: 'Chain', layers: inner.several('layers') }),
  Dense: layer => ({ type: 'Dense', weight: layer.array('weight'), bias: layer.bias(),
    activation: layer.activation() }),
  Conv: convolution('Conv'),
  CrossCor: convolution('CrossCor'),
  ConvTranspose: convolution('ConvTranspose'),
  DepthwiseConv: convolution('DepthwiseConv'),
  MaxPool: pool('max'),
  MeanPool: pool('mean'),
  AdaptiveMaxPool: adaptivePool('max'),
  AdaptiveMeanPool: adaptivePool('mean'),
  GlobalMaxPool: globalPool('max'),
  GlobalMeanPool: globalPool('mean'),
  BatchNorm: norm('BatchNorm'),
  InstanceNorm: norm('InstanceNorm'),
  GroupNorm: norm('GroupNorm'),
  LayerNorm: (layer, inner) => readLayerNorm(layer, inner.optional('diag')),
  Diagonal: scale,
  Scale: scale,
  SkipConnection: (layer, inner) => ({ type: 'SkipConnection', layers: inner.one('layers'),
    connection: layer.fn('connection') }),
  Parallel: (layer, inner) => ({ type: 'Parallel', layers: inner.several('layers'),
    connection: layer.fn('connection') }),
  Maxout: (_, inner) => ({ type: 'Maxout', layers: inner.several('layers') }),
  Embedding: layer => ({ type: 'Embedding', weight: layer.array('weight') }),
  Bilinear: layer => ({ type: 'Bilinear', weight: layer.array('weight'), bias: layer.bias(),
    activation: layer.activation() }),
  Upsample: readUpsample,
  PixelShuffle: layer => ({ type: 'PixelShuffle', factor: layer.integer('r') }),
  Recur: cellOf(false),
  RNN: cellOf(true),
  LSTM: cellOf(true),
  GRU: cellOf(true),
  GRUv3: cellOf(true),
  Recurrence: cellOf(true),
  RNNCell: cell,
  LSTMCell: cell,
  GRUCell: cell,
  GRUv3Cell: cell,
}

/**
 * Reads a layer and everything inside it.
 * @returns undefined when the value is neither a layer of Flux nor a function
 * @throws UntrustedInputError when a layer has fields that Flux never gave it, or arrays left on the GPU
 */
export function layerOf(reader: FluxReader, value: Bson | undefined, path: string, depth = 0): FluxLayer | undefined {
  if (depth > 100) throw malformed('Layers are nested deeper than 100.', path)
  const { file } = reader
  spend(file)
  const struct = structOf(file, value)
  if (struct === undefined) return undefined
  const name = layerName(struct)
  if (name === undefined) {
    const fn = functionOf(file, struct.identity)
    return fn === undefined ? undefined : { type: 'Function', fn }
  }
  if (INERT.has(name)) return { type: 'Identity', of: name }
  if (UNSUPPORTED.has(name)) return { type: 'Unsupported', of: name }
  return readLayer(reader, struct, name, path, depth)
}

function readLayer(reader: FluxReader, struct: JuliaStruct, name: string, path: string, depth: number): FluxLayer {
  const layer = layerFields(reader, struct, name, path)
  const { fields, at } = layer
  return READERS[name](layer, {
    one: field => requiredLayer(reader, fields[field], at(field), depth),
    optional: field => layerOf(reader, fields[field], `${path}.${field}`, depth + 1),
    several: field => childLayers(reader, fields[field], at(field), depth),
  })
}

function childLayers(reader: FluxReader, value: Bson | undefined, path: string, depth: number): NamedLayer[] {
  const { file } = reader
  const named = namedTupleOf(file, value)
  const names = named?.names
  const values = named?.values ?? itemsOf(file, value)
  if (values === undefined) {
    const entries = entriesOf(file, value)
    if (entries === undefined) {
      // Maxout and Parallel of one layer may hold it directly.
      return [{ name: '1', layer: requiredLayer(reader, value, path, depth) }]
    }
    return entries.map(([name, entry]) => ({ name, layer: requiredLayer(reader, entry, `${path}.${name}`, depth) }))
  }
  return values.map((entry, i) => {
    const name = names?.[i] ?? String(i + 1)
    return { name, layer: requiredLayer(reader, entry, `${path}.${name}`, depth) }
  })
}

function requiredLayer(reader: FluxReader, value: Bson | undefined, path: string, depth: number): FluxLayer {
  const layer = layerOf(reader, value, path, depth + 1)
  if (layer !== undefined) return layer
  const struct = structOf(reader.file, value)
  return { type: 'Unsupported', of: struct === undefined ? 'a value that is no layer' : struct.type.path }
}
