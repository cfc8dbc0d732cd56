/**
 * @file The layers of Flux, read from the structs in a file.
 *
 * BSON.jl stores the fields of a struct by position only. The tables of field names below are the declarations of Flux
 * from 0.4 to 0.16; versions are told apart by the number of fields.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { type ArrayCache, arrayOf, type JuliaArray } from './arrays.js'
import type { Bson } from './bson.js'
import { type FluxFunction, functionOf } from './functions.js'
import { entriesOf, itemsOf, type JuliaFile, type JuliaStruct, malformed, namedTupleOf, numberOf, resolve, spend,
  structOf, symbolOf } from './julia.js'

/** What reading layers needs. */
export interface FluxReader {
  readonly file: JuliaFile
  readonly cache: ArrayCache
}

/** A layer inside another one, under its name there: a position from 1 as in Julia, or a chosen name. */
export interface NamedLayer {
  readonly name: string
  readonly layer: FluxLayer
}

/** Convolutions; sizes in Flux's order (width first). */
export interface ConvLayer {
  readonly type: 'Conv'
  /** The struct's name: Conv, CrossCor, ConvTranspose, DepthwiseConv. */
  readonly variant: 'Conv' | 'CrossCor' | 'ConvTranspose' | 'DepthwiseConv'
  readonly weight: JuliaArray
  readonly bias: JuliaArray | undefined
  readonly activation: FluxFunction | undefined
  readonly stride: readonly number[]
  readonly pad: readonly number[]
  readonly outpad: readonly number[]
  readonly dilation: readonly number[]
  readonly groups: number
}

/** Batch, instance and group normalisation. */
export interface NormLayer {
  readonly type: 'Norm'
  readonly variant: 'BatchNorm' | 'InstanceNorm' | 'GroupNorm'
  readonly activation: FluxFunction | undefined
  readonly shift: JuliaArray | undefined
  readonly scale: JuliaArray | undefined
  readonly mean: JuliaArray | undefined
  readonly variance: JuliaArray | undefined
  readonly epsilon: number
  readonly trackStats: boolean
  readonly groups: number
  readonly channels: number
}

/** Recurrent layers. `sequence`: the layers of Flux 0.15 and newer, which take features x time x batch at once. */
export interface RecurrentLayer {
  readonly type: 'Recurrent'
  readonly cell: 'RNN' | 'LSTM' | 'GRU' | 'GRUv3'
  readonly sequence: boolean
  readonly activation: FluxFunction | undefined
  readonly inputWeight: JuliaArray
  readonly hiddenWeight: JuliaArray
  readonly candidateWeight: JuliaArray | undefined
  readonly bias: JuliaArray | undefined
  readonly state: readonly JuliaArray[]
}

export interface ScaleLayer {
  readonly type: 'Scale'
  readonly scale: JuliaArray
  readonly bias: JuliaArray | undefined
  readonly activation: FluxFunction | undefined
}

export type FluxLayer =
  | { readonly type: 'Chain', readonly layers: readonly NamedLayer[] }
  | { readonly type: 'Dense', readonly weight: JuliaArray, readonly bias: JuliaArray | undefined,
    readonly activation: FluxFunction | undefined }
  | ConvLayer
  | NormLayer
  | RecurrentLayer
  | ScaleLayer
  | { readonly type: 'LayerNorm', readonly affine: FluxLayer | undefined, readonly axes: number,
    readonly epsilon: number }
  | { readonly type: 'Pool', readonly mode: 'max' | 'mean', readonly kernel: readonly number[],
    readonly pad: readonly number[], readonly stride: readonly number[] }
  | { readonly type: 'AdaptivePool', readonly mode: 'max' | 'mean', readonly out: readonly number[] }
  | { readonly type: 'GlobalPool', readonly mode: 'max' | 'mean' }
  | { readonly type: 'Identity', readonly of: string }
  | { readonly type: 'Function', readonly fn: FluxFunction }
  | { readonly type: 'SkipConnection', readonly layers: FluxLayer, readonly connection: FluxFunction }
  | { readonly type: 'Parallel', readonly layers: readonly NamedLayer[], readonly connection: FluxFunction }
  | { readonly type: 'Maxout', readonly layers: readonly NamedLayer[] }
  | { readonly type: 'Embedding', readonly weight: JuliaArray }
  | { readonly type: 'Bilinear', readonly weight: JuliaArray, readonly bias: JuliaArray | undefined,
    readonly activation: FluxFunction | undefined }
  | { readonly type: 'Upsample', readonly mode: string, readonly scale: readonly number[] | undefined,
    readonly size: readonly number[] | undefined }
  | { readonly type: 'PixelShuffle', readonly factor: number }
  | { readonly type: 'Unsupported', readonly of: string }

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
const INERT: ReadonlySet<string> = new Set(['Dropout', 'AlphaDropout', 'VariationalHiddenDropout'])

/** Structs of Flux that are layers but not among those read here. */
const UNSUPPORTED: ReadonlySet<string> = new Set(['MultiHeadAttention', 'PairwiseFusion', 'EmbeddingBag', 'WeightNorm'])

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
function namedFields(struct: JuliaStruct, name: string, path: string): Record<string, Bson> {
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
  const { file } = reader
  const fields = namedFields(struct, name, path)
  const at = (field: string): string => (path === '' ? field : `${path}.${field}`)
  const weight = (field = 'weight'): JuliaArray => requiredArray(reader, fields[field], at(field))
  const bias = (field = 'bias'): JuliaArray | undefined => optionalArray(reader, fields[field], at(field))
  const activation = (field = 'σ'): FluxFunction | undefined => activationOf(reader, fields[field], at(field))
  const inner = (field: string): FluxLayer => requiredLayer(reader, fields[field], at(field), depth)
  const children = (): NamedLayer[] => childLayers(reader, fields['layers'], at('layers'), depth)
  const integers = (field: string): number[] => integerTuple(reader, fields[field], at(field))
  switch (name) {
    case 'Chain':
      return { type: 'Chain', layers: children() }
    case 'Dense':
      return { type: 'Dense', weight: weight(), bias: bias(), activation: activation() }
    case 'Conv':
    case 'CrossCor':
    case 'ConvTranspose':
    case 'DepthwiseConv': {
      const stride = integers('stride')
      return {
        type: 'Conv',
        variant: name,
        weight: weight(),
        bias: bias(),
        activation: activation(),
        stride,
        pad: integers('pad'),
        outpad: fields['outpad'] === undefined ? stride.map(() => 0) : integers('outpad'),
        dilation: fields['dilation'] === undefined ? stride.map(() => 1) : integers('dilation'),
        groups: fields['groups'] === undefined ? 1 : integer(reader, fields['groups'], at('groups')),
      }
    }
    case 'MaxPool':
    case 'MeanPool':
      return { type: 'Pool', mode: name === 'MaxPool' ? 'max' : 'mean', kernel: integers('k'), pad: integers('pad'),
        stride: integers('stride') }
    case 'AdaptiveMaxPool':
    case 'AdaptiveMeanPool':
      return { type: 'AdaptivePool', mode: name === 'AdaptiveMaxPool' ? 'max' : 'mean', out: integers('out') }
    case 'GlobalMaxPool':
    case 'GlobalMeanPool':
      return { type: 'GlobalPool', mode: name === 'GlobalMaxPool' ? 'max' : 'mean' }
    case 'BatchNorm':
    case 'InstanceNorm':
    case 'GroupNorm':
      return readNorm(reader, name, fields, path)
    case 'LayerNorm':
      return readLayerNorm(reader, fields, path, depth)
    case 'Diagonal':
    case 'Scale':
      return { type: 'Scale', scale: weight('scale'), bias: bias(), activation: activation() }
    case 'SkipConnection':
      return { type: 'SkipConnection', layers: inner('layers'),
        connection: requiredFunction(reader, fields['connection'], at('connection')) }
    case 'Parallel':
      return { type: 'Parallel', layers: children(),
        connection: requiredFunction(reader, fields['connection'], at('connection')) }
    case 'Maxout':
      return { type: 'Maxout', layers: children() }
    case 'Embedding':
      return { type: 'Embedding', weight: weight() }
    case 'Bilinear':
      return { type: 'Bilinear', weight: weight(), bias: bias(), activation: activation() }
    case 'Upsample':
      return readUpsample(reader, struct, fields, path)
    case 'PixelShuffle':
      return { type: 'PixelShuffle', factor: integer(reader, fields['r'], at('r')) }
    case 'Recur':
    case 'RNN':
    case 'LSTM':
    case 'GRU':
    case 'GRUv3':
    case 'Recurrence':
      return readRecurrent(reader, structOf(file, fields['cell']), name !== 'Recur', at('cell'))
    default:
      return readRecurrent(reader, struct, false, path)
  }
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

function requiredFunction(reader: FluxReader, value: Bson | undefined, path: string): FluxFunction {
  const fn = functionOf(reader.file, value)
  if (fn === undefined) throw malformed(`'${path}' must be a function.`, path)
  return fn
}

/** An activation; `identity` becomes undefined. */
function activationOf(reader: FluxReader, value: Bson | undefined, path: string): FluxFunction | undefined {
  if (value === undefined) return undefined
  const fn = requiredFunction(reader, value, path)
  return fn.kind === 'named' && fn.name === 'identity' ? undefined : fn
}

function requiredArray(reader: FluxReader, value: Bson | undefined, path: string): JuliaArray {
  const array = arrayOf(reader.file, value, path, reader.cache)
  if (array !== undefined) return array
  const struct = structOf(reader.file, value)
  throw new UntrustedInputError(
    `'${path}' must be an array of numbers; it is ${
      struct === undefined ? 'something else' : `a ${struct.type.path}`
    }.`,
    { format: 'BSON.jl', path },
    struct === undefined ? 'UNTRUSTED_INPUT' : 'UNSUPPORTED_FORMAT',
  )
}

/** A bias: an array, or one of the ways in which Flux says that there is none (`false`, `nothing`, `Flux.Zeros`, 0). */
function optionalArray(reader: FluxReader, value: Bson | undefined, path: string): JuliaArray | undefined {
  const plain = resolve(reader.file, value)
  if (plain === null || plain === false || plain === 0) return undefined
  if (structOf(reader.file, plain)?.type.path === 'Flux.Zeros') return undefined
  return requiredArray(reader, plain, path)
}

function integer(reader: FluxReader, value: Bson | undefined, path: string): number {
  const number = numberOf(reader.file, value)
  if (number === undefined || !Number.isInteger(number) || number < 0 || number > 2 ** 31) {
    throw malformed(`'${path}' must be a small integer; got ${String(number)}.`, path)
  }
  return number
}

function integerTuple(reader: FluxReader, value: Bson | undefined, path: string): number[] {
  const items = itemsOf(reader.file, value)
  if (items === undefined || items.length > 8) throw malformed(`'${path}' must be a short tuple of integers.`, path)
  return items.map(item => integer(reader, item, path))
}

function readNorm(reader: FluxReader, variant: NormLayer['variant'], fields: Record<string, Bson>,
  path: string): NormLayer {
  const array = (field: string): JuliaArray | undefined => optionalArray(reader, fields[field], `${path}.${field}`)
  const shift = array('β')
  const scale = array('γ')
  const mean = array('μ')
  const { variance, epsilon } = spread(reader, fields, array('σ²'), path)
  const channels = fields['chs'] === undefined ? shift?.data.length : numberOf(reader.file, fields['chs'])
  if (channels === undefined) throw malformed(`'${path}' does not say how many channels it has.`, path)
  const trackStats = fields['track_stats'] === undefined ? mean !== undefined : fields['track_stats'] === true
  for (const [field, values] of [['β', shift], ['γ', scale]] as const) {
    if (values !== undefined && values.data.length !== channels) {
      throw malformed(`'${path}.${field}' must have ${channels} elements; got ${values.data.length}.`, path)
    }
  }
  const statistics = variant === 'GroupNorm' ? numberOf(reader.file, fields['G']) : channels
  for (const [field, values] of [['μ', mean], ['σ²', variance]] as const) {
    if (trackStats && values?.data.length !== statistics) {
      throw malformed(
        `'${path}.${field}' must have ${String(statistics)} elements; got ${String(values?.data.length)}.`,
        path,
      )
    }
  }
  return {
    type: 'Norm',
    variant,
    activation: activationOf(reader, fields['λ'], `${path}.λ`),
    shift,
    scale,
    mean,
    variance,
    trackStats,
    channels,
    epsilon,
    groups: fields['G'] === undefined ? 1 : Math.max(1, integer(reader, fields['G'], `${path}.G`)),
  }
}

/**
 * The variance of a normalisation. Flux 0.6 and older kept the standard deviation instead and added no epsilon; those
 * versions are known by their epsilon, a double of 1e-8, later ones have the Float32 1e-5.
 */
function spread(reader: FluxReader, fields: Record<string, Bson>, values: JuliaArray | undefined,
  path: string): { variance: JuliaArray | undefined, epsilon: number } {
  const epsilon = epsilonOf(reader, fields['ϵ'], path)
  const deviations = fields['chs'] === undefined && epsilon === 1e-8 &&
    typeof resolve(reader.file, fields['ϵ']) === 'number'
  if (!deviations || values === undefined) return { variance: values, epsilon }
  return { variance: { ...values, data: values.data.map(deviation => deviation * deviation) }, epsilon: 0 }
}

function epsilonOf(reader: FluxReader, value: Bson | undefined, path: string): number {
  const epsilon = numberOf(reader.file, value)
  if (epsilon === undefined || !(epsilon >= 0)) throw malformed(`'${path}.ϵ' must be a number of at least 0.`, path)
  return epsilon
}

function readLayerNorm(reader: FluxReader, fields: Record<string, Bson>, path: string, depth: number): FluxLayer {
  const affine = layerOf(reader, fields['diag'], `${path}.diag`, depth + 1)
  if (fields['size'] === undefined) {
    // Flux 0.11 adds 1e-5 to the standard deviation, the older ones with tracked parameters nothing.
    const tracked =
      structOf(reader.file, structOf(reader.file, fields['diag'])?.fields[0])?.type.path.endsWith('TrackedArray') ===
        true
    return { type: 'LayerNorm', affine, axes: 1, epsilon: tracked ? 0 : 1e-5 }
  }
  return { type: 'LayerNorm', affine, axes: integerTuple(reader, fields['size'], `${path}.size`).length,
    epsilon: epsilonOf(reader, fields['ϵ'], path) }
}

function readUpsample(reader: FluxReader, struct: JuliaStruct, fields: Record<string, Bson>, path: string): FluxLayer {
  const { file } = reader
  const integers = (field: string): number[] | undefined => {
    const plain = resolve(file, fields[field])
    if (plain === null) return undefined
    const single = numberOf(file, plain)
    return single === undefined
      ? integerTuple(reader, plain, `${path}.${field}`)
      : [integer(reader, plain, `${path}.${field}`)]
  }
  return { type: 'Upsample', mode: symbolOf(file, struct.type.params[0]) ?? 'unknown', scale: integers('scale'),
    size: integers('size') }
}

const CELLS: Readonly<Record<string, RecurrentLayer['cell']>> = { RNNCell: 'RNN', LSTMCell: 'LSTM', GRUCell: 'GRU',
  GRUv3Cell: 'GRUv3' }

function readRecurrent(reader: FluxReader, struct: JuliaStruct | undefined, sequence: boolean,
  path: string): FluxLayer {
  const name = struct === undefined ? undefined : layerName(struct)
  const cell = name === undefined || !Object.hasOwn(CELLS, name) ? undefined : CELLS[name]
  if (struct === undefined || name === undefined || cell === undefined) {
    return { type: 'Unsupported', of: `a recurrent layer of ${struct?.type.path ?? 'unknown cells'}` }
  }
  const fields = namedFields(struct, name, path)
  const states = fields['h'] === undefined
    ? (itemsOf(reader.file, fields['state0']) ?? (fields['state0'] === undefined ? [] : [fields['state0']]))
    : [fields['h'], fields['c']]
  return {
    type: 'Recurrent',
    cell,
    sequence,
    activation: activationOf(reader, fields['σ'], `${path}.σ`),
    inputWeight: requiredArray(reader, fields['Wi'], `${path}.Wi`),
    hiddenWeight: requiredArray(reader, fields['Wh'], `${path}.Wh`),
    candidateWeight: fields['Wh_h̃'] === undefined ? undefined : requiredArray(reader, fields['Wh_h̃'], `${path}.Wh_h̃`),
    bias: optionalArray(reader, fields['b'], `${path}.b`),
    state: states.map((state, i) => requiredArray(reader, state, `${path}.state0.${i + 1}`)),
  }
}

/** The arrays of a layer and of the layers in it, in order, whatever their role. */
export function arraysOf(layer: FluxLayer): JuliaArray[] {
  const found: JuliaArray[] = []
  for (const value of Object.values(layer) as unknown[]) collect(value, found)
  return found
}

function collect(value: unknown, found: JuliaArray[]): void {
  if (Array.isArray(value)) { for (const item of value) collect(item, found) }
  else if (typeof value === 'object' && value !== null) {
    if ('eltype' in value && 'identity' in value) found.push(value as JuliaArray)
    else if ('layer' in value || 'type' in value) { for (const part of Object.values(value)) collect(part, found) }
  }
}
