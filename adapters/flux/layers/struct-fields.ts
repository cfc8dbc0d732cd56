/**
 * @file The structs of Flux and the names of their fields.
 *
 * BSON.jl stores the fields of a struct by position only. The table of names below is made of the declarations of Flux
 * from 0.4 to 0.16; versions are told apart by the number of fields.
 */
import type { Bson } from '../julia/bson-values.js'
import { malformed } from '../julia/julia-file.js'
import type { JuliaStruct } from '../julia/julia-types.js'

/** Field names of the structs of Flux by version; the number of fields chooses. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Chain: ['layers'],
  Dense: ['weight bias σ'],
  Conv: ['σ weight stride pad', 'σ weight bias stride pad', 'σ weight bias stride pad dilation',
    'σ weight bias stride pad dilation groups'],
  ConvTranspose: ['σ weight bias stride pad dilation', 'σ weight bias stride pad dilation groups',
    'σ weight bias stride pad outpad dilation groups'],
  DepthwiseConv: ['σ weight bias stride pad', 'σ weight bias stride pad dilation'],
  CrossCor: ['σ weight bias stride pad dilation'],
  MaxPool: ['k pad stride'],
  MeanPool: ['k pad stride'],
  AdaptiveMaxPool: ['out'],
  AdaptiveMeanPool: ['out'],
  GlobalMaxPool: [''],
  GlobalMeanPool: [''],
  BatchNorm: ['λ β γ μ σ² ϵ momentum', 'λ β γ μ σ² ϵ momentum active',
    'λ β γ μ σ² ϵ momentum affine track_stats active chs'],
  InstanceNorm: ['λ β γ μ σ² ϵ momentum', 'λ β γ μ σ² ϵ momentum active',
    'λ β γ μ σ² ϵ momentum affine track_stats active chs'],
  GroupNorm: ['G λ β γ μ σ² ϵ momentum', 'G λ β γ μ σ² ϵ momentum active',
    'G λ β γ μ σ² ϵ momentum affine track_stats active chs'],
  LayerNorm: ['diag', 'λ diag ϵ size affine'],
  Diagonal: ['scale bias'],
  Scale: ['scale bias σ'],
  SkipConnection: ['layers connection'],
  Parallel: ['connection layers'],
  Maxout: ['layers'],
  Embedding: ['weight', 'weight padding_idx'],
  Bilinear: ['weight bias σ'],
  Upsample: ['scale size'],
  PixelShuffle: ['r'],
  Recur: ['cell state', 'cell init state'],
  RNN: ['cell'],
  LSTM: ['cell'],
  GRU: ['cell'],
  GRUv3: ['cell'],
  Recurrence: ['cell'],
  RNNCell: ['σ Wi Wh b', 'σ Wi Wh b state0'],
  LSTMCell: ['Wi Wh b', 'Wi Wh b state0', 'Wi Wh b h c'],
  GRUCell: ['Wi Wh b', 'Wi Wh b state0'],
  GRUv3Cell: ['Wi Wh b Wh_h̃', 'Wi Wh b Wh_h̃ state0'],
}

/** Layers that do nothing when a network predicts. */
export const INERT: ReadonlySet<string> = new Set(['Dropout', 'AlphaDropout', 'VariationalHiddenDropout'])

/** Structs of Flux that are layers but not among those read here. */
export const UNSUPPORTED: ReadonlySet<string> = new Set(['MultiHeadAttention', 'PairwiseFusion', 'EmbeddingBag',
  'WeightNorm'])

/** The kinds of layers that can be read, for messages. */
export const SUPPORTED_LAYERS: string = [...Object.keys(FIELDS).filter(name => !name.endsWith('Cell')), ...INERT,
  'flatten', 'activation functions'].join(', ')

/** The Flux layer's name of a struct, or undefined when the struct is something else. */
export function layerName(struct: JuliaStruct): string | undefined {
  const { path, name } = struct.type
  if (!path.startsWith('Flux.')) return undefined
  return Object.hasOwn(FIELDS, name) || INERT.has(name) || UNSUPPORTED.has(name) ? name : undefined
}

/** Names of the fields of a struct where they are known (Flux's layers), else positions from 1. */
export function fieldNames(struct: JuliaStruct): string[] {
  const name = layerName(struct)
  const names = name === undefined
    ? undefined
    : FIELDS[name]?.map(words).find(list => list.length === struct.fields.length)
  return names === undefined ? struct.fields.map((_, i) => String(i + 1)) : [...names]
}

function words(text: string): string[] {
  return text === '' ? [] : text.split(' ')
}

/** The fields of a layer by name. @throws UntrustedInputError when their number is none that Flux ever had */
export function namedFields(struct: JuliaStruct, name: string, path: string): Record<string, Bson> {
  const versions = FIELDS[name].map(words)
  const names = versions.find(list => list.length === struct.fields.length)
  if (names === undefined) {
    throw malformed(
      `A ${name} of Flux has ${
        [...new Set(versions.map(list => list.length))].join(' or ')
      } fields; '${path}' has ${struct.fields.length}.`,
      path,
    )
  }
  const fields: Record<string, Bson> = Object.create(null)
  names.forEach((field, i) => {
    fields[field] = struct.fields[i]
  })
  return fields
}
