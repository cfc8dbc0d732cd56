/** @file The layers of Keras as graph nodes, with Keras' meaning of padding, of masks and of the order of axes. */
import { GraphError } from '../../core/errors/errors.js'
import { prelu, reluLayer, softmaxLayer } from './activation-layers.js'
import { activate, activationName } from './activations.js'
import { attention } from './attention.js'
import { field, number, text } from './config.js'
import { convolution, separableConvolution, transposedConvolution } from './convolutions.js'
import { dense, einsumDense } from './dense.js'
import { embedding, reversibleEmbedding } from './embedding.js'
import { channelsFirst, channelsLast, emit, type Mask, masked, misfit, type Value } from './emission.js'
import { type LayerContext, valuesIn, type Writer } from './layer-context.js'
import { masking, real } from './masks.js'
import { average, combine, concatenate, dot, subtract } from './merging.js'
import { multiHeadAttention } from './multi-head-attention.js'
import { batchNormalization, groupNormalization, layerNormalization, normalization, rescaling, rmsNormalization,
  unitNormalization } from './normalisation.js'
import { SUPPORTED_OPERATIONS, writeOperation } from './operations.js'
import { adaptivePool, globalPool, pooling } from './pooling.js'
import { categoryEncoding, discretization } from './preprocessing.js'
import { bidirectional, recurrent } from './recurrent.js'
import { flatten, permute, repeatVector, reshapeLayer } from './reshaping.js'
import { centerCrop, cropping, resizing, upsampling, zeroPadding } from './resizing.js'
import { spectralNormalization, timeDistributed } from './wrappers.js'

const identity: Writer = (_, x) => x

const activation = (name: string): Writer => (context, x) => activate(context, name, x, context.layer, context.keras2)

const merge = (op: string): Writer => context => combine(context, op)

/** Layers that change what the network is trained with, and nothing of what it predicts. */
const ONLY_IN_TRAINING = ['Dropout', 'SpatialDropout1D', 'SpatialDropout2D', 'SpatialDropout3D', 'AlphaDropout',
  'GaussianNoise', 'GaussianDropout', 'ActivityRegularization', 'AugMix', 'CutMix', 'MixUp', 'RandAugment',
  'RandomBrightness', 'RandomColorDegeneration', 'RandomColorJitter', 'RandomContrast', 'RandomElasticTransform',
  'RandomErasing', 'RandomFlip', 'RandomGaussianBlur', 'RandomGrayscale', 'RandomHeight', 'RandomHue', 'RandomInvert',
  'RandomPerspective', 'RandomPosterization', 'RandomRotation', 'RandomSaturation', 'RandomSharpness', 'RandomShear',
  'RandomTranslation', 'RandomWidth', 'RandomZoom']

/** Layers of one kind for sequences, images and volumes: `name` with 1D, 2D and 3D. */
function forDimensions(names: readonly string[], write: (context: LayerContext, x: Value, dimensions: number) =>
  | Value
  | readonly Value[], most = 3): Record<string, Writer> {
  return Object.fromEntries(
    names.flatMap(name =>
      [1, 2, 3].slice(0, most).map((
        dimensions,
      ): [string, Writer] => [`${name.replace('#', `${dimensions}D`)}`, (context, x) => write(context, x, dimensions)])
    ),
  )
}

const WRITERS: Readonly<Record<string, Writer>> = {
  InputLayer: identity,
  Identity: identity,
  ...Object.fromEntries(ONLY_IN_TRAINING.map(name => [name, identity])),
  Masking: masking,
  Dense: dense,
  EinsumDense: einsumDense,
  ...forDimensions(['Conv#'], convolution),
  ...forDimensions(['DepthwiseConv#'], (context, x, dimensions) => convolution(context, x, dimensions, true), 2),
  ...forDimensions(['SeparableConv#'], separableConvolution, 2),
  ...forDimensions(['Conv#Transpose'], transposedConvolution),
  ...forDimensions(['MaxPooling#'], (context, x, dimensions) => pooling(context, x, 'MaxPool', dimensions)),
  ...forDimensions(['AveragePooling#'], (context, x, dimensions) => pooling(context, x, 'AveragePool', dimensions)),
  ...forDimensions(['GlobalMaxPooling#'], (context, x) => globalPool(context, x, 'ReduceMax')),
  ...forDimensions(['GlobalAveragePooling#'], (context, x) => globalPool(context, x, 'ReduceMean')),
  ...forDimensions(['AdaptiveMaxPooling#'],
    (context, x, dimensions) => adaptivePool(context, x, 'ReduceMax', dimensions)),
  ...forDimensions(['AdaptiveAveragePooling#'],
    (context, x, dimensions) => adaptivePool(context, x, 'ReduceMean', dimensions)),
  ...forDimensions(['ZeroPadding#'], zeroPadding),
  ...forDimensions(['Cropping#'], cropping),
  ...forDimensions(['UpSampling#'], upsampling),
  Resizing: resizing,
  CenterCrop: centerCrop,
  RandomCrop: centerCrop,
  Flatten: (context, x) => flatten(context, x),
  Reshape: reshapeLayer,
  Permute: permute,
  RepeatVector: repeatVector,
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  GroupNormalization: groupNormalization,
  RMSNormalization: rmsNormalization,
  UnitNormalization: unitNormalization,
  SpectralNormalization: (context, x) => spectralNormalization(context, x, writeLayer),
  Rescaling: rescaling,
  Normalization: normalization,
  CategoryEncoding: categoryEncoding,
  Discretization: discretization,
  Activation: (context, x) => activate(context, activationName(context.layer), x, context.layer, context.keras2),
  ReLU: (context, x) => reluLayer(context, context.layer.config, x),
  LeakyReLU: (context, x) =>
    emit(context, 'LeakyRelu', [x.name], x.shape, x.channelsFirst, {
      alpha: number(context.layer.config, 'negative_slope') ?? number(context.layer.config, 'alpha') ?? 0.3,
    }),
  ELU: (context, x) =>
    emit(context, 'Elu', [x.name], x.shape, x.channelsFirst, { alpha: number(context.layer.config, 'alpha') ?? 1 }),
  PReLU: prelu,
  Softmax: softmaxLayer,
  Swish: activation('swish'),
  Embedding: embedding,
  ReversibleEmbedding: reversibleEmbedding,
  Add: merge('Add'),
  Subtract: subtract,
  Multiply: merge('Mul'),
  Maximum: merge('Max'),
  Minimum: merge('Min'),
  Average: average,
  Concatenate: concatenate,
  Dot: dot,
  Attention: attention,
  AdditiveAttention: attention,
  MultiHeadAttention: multiHeadAttention,
  GroupQueryAttention: multiHeadAttention,
  LSTM: recurrent,
  GRU: recurrent,
  SimpleRNN: recurrent,
  RNN: recurrent,
  ...forDimensions(['ConvLSTM#'], recurrent),
  Bidirectional: bidirectional,
  TimeDistributed: (context, x) => timeDistributed(context, x, writeLayer),
}

/** Other names of the same classes. */
const ALIASES: Readonly<Record<string, string>> = { GroupedQueryAttention: 'GroupQueryAttention' }

/** The classes of layers that can be read. */
export const SUPPORTED_CLASSES: readonly string[] = Object.keys(WRITERS)

/** Layers whose result has the mask of their first input, unless they give it one themselves. */
const PASS_MASKS: ReadonlySet<string> = new Set(['InputLayer', 'Identity',
  ...ONLY_IN_TRAINING.filter(name => /Dropout|Noise|Regularization/.test(name)), 'Dense', 'Activation', 'ReLU',
  'LeakyReLU', 'ELU', 'PReLU', 'BatchNormalization', 'LayerNormalization', 'GroupNormalization', 'UnitNormalization',
  'Normalization', 'Rescaling', 'MultiHeadAttention', 'GroupQueryAttention'])

/** Layers that take whole numbers as they are. */
const TAKE_INTEGERS: ReadonlySet<string> = new Set(['InputLayer', 'Identity', 'Dropout', 'Embedding',
  'ReversibleEmbedding', 'CategoryEncoding'])

/** Options of calls that are read where they matter; others that are given are refused. */
const KNOWN_OPTIONS: ReadonlySet<string> = new Set(['training', 'mask', 'initial_state', 'query', 'value', 'key',
  'query_mask', 'value_mask', 'key_mask', 'attention_mask', 'return_attention_scores', 'use_causal_mask',
  'count_weights', 'reverse'])

/**
 * Appends the nodes of a layer; its results, most have one.
 * @throws GraphError UNSUPPORTED_OPERATOR for a class that is not known; UntrustedInputError when weights and
 * configuration disagree
 */
export function writeLayer(context: LayerContext): readonly Value[] {
  const { layer, inputs } = context
  if (layer.network !== undefined) return context.writeNetwork(context)
  const className = ALIASES[layer.className] ?? layer.className
  const [first = [...context.options.values()].flatMap(valuesIn)[0]] = inputs
  if (first === undefined) throw misfit(layer, 'has no input')
  if (isOperation(context)) return listed(writeOperation(context, first))
  if (!Object.hasOwn(WRITERS, className)) throw unsupported(context)
  checkOptions(context)
  const given = masked(first, explicitMask(context) ?? first.mask)
  const x = given.type !== undefined && !TAKE_INTEGERS.has(className) ? asReal(context, given) : given
  const named = { ...context, layer: { ...layer, className } }
  const results = text(layer.config, 'data_format') === 'channels_first'
    ? channelsLastInside(named, x)
    : listed(WRITERS[className](named, x))
  if (!PASS_MASKS.has(className)) return results
  return results.map((result, i) => (i === 0 && result.mask === undefined ? masked(result, x.mask) : result))
}

/** A .h5 file does not say where a class is from; a layer's options have `trainable`, a function's have not. */
function isOperation({ layer, keras2 }: LayerContext): boolean {
  return layer.operation ||
    (!keras2 && field(layer.config, 'trainable') === undefined && SUPPORTED_OPERATIONS.includes(layer.className))
}

/** The mask that a call was given; functional models of Keras 3 have theirs written down. */
function explicitMask(context: LayerContext): Mask | undefined {
  const given = context.options.get('mask')
  return given !== undefined && 'value' in given
    ? { name: given.value.name, rank: given.value.shape.length }
    : undefined
}

const listed = (result: Value | readonly Value[]): readonly Value[] =>
  Array.isArray(result) ? result as readonly Value[] : [result as Value]

function asReal(context: LayerContext, { name, shape }: Value): Value {
  return { name: real(context, name), shape, channelsFirst: false }
}

/** A layer whose channels come first in Keras' own order: the same layer, between two views of the value. */
function channelsLastInside(context: LayerContext, value: Value): readonly Value[] {
  const sequence = /^ConvLSTM/.test(context.layer.className)
  if (sequence) {
    throw misfit(context.layer,
      'has channels first, which is supported for single images only, not for sequences of them')
  }
  const turn = ({ shape, ...x }: Value): Value => ({ ...x, shape: [...shape.slice(1), shape[0]], channelsFirst: true })
  const config = { ...context.layer.config, data_format: 'channels_last' }
  const [x] = [channelsLast(context, value)].map(turn)
  const results = listed(
    WRITERS[context.layer.className]({ ...context, layer: { ...context.layer, config }, inputs: [x] }, x),
  )
  return results.map(result => {
    if (result.shape.length === 1) return result
    const { shape, ...first } = channelsFirst(context, result)
    return { ...first, shape: [shape[shape.length - 1], ...shape.slice(0, -1)], channelsFirst: false }
  })
}

/** Keras 3 overrides `training` when a model predicts; Keras 2 keeps what the call was given. */
function checkOptions({ layer, options, keras2 }: LayerContext): void {
  for (const [name, given] of options) {
    const nothing = 'literal' in given && (given.literal === null || given.literal === false)
    if (nothing) continue
    if (name === 'training' && keras2) {
      throw misfit(layer, 'was called with training=True: it is random when it predicts, which is not supported')
    }
    if (!KNOWN_OPTIONS.has(name)) {
      throw misfit(layer, `is given the option ${name.slice(0, 40)}, which is not supported`)
    }
  }
}

function unsupported({ layer }: LayerContext): GraphError {
  return new GraphError('UNSUPPORTED_OPERATOR',
    `The layer '${layer.path.slice(0, 100)}' is a ${
      layer.className.slice(0, 100)
    }, which cannot be imported. Known are ${
      SUPPORTED_CLASSES.join(', ')
    }. Export the network to ONNX (model.export(path, format="onnx"), or tf2onnx) for others.`, { layer: layer.path,
    class: layer.className.slice(0, 100) })
}
