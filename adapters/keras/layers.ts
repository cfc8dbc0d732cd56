/** @file The layers of Keras as graph nodes, with Keras' meaning of padding and of the order of axes. */
import { GraphError } from '../../core/errors/errors.js'
import { prelu, reluLayer, softmaxLayer } from './activation-layers.js'
import { activate, activationName } from './activations.js'
import { field, isConfig, number, text } from './config.js'
import { convolution, separableConvolution, transposedConvolution } from './convolutions.js'
import { dense } from './dense.js'
import { embedding } from './embedding.js'
import { emit, misfit, type Value } from './emission.js'
import type { LayerContext, Writer } from './layer-context.js'
import { average, combine, concatenate } from './merging.js'
import { batchNormalization, layerNormalization, normalization, rescaling } from './normalisation.js'
import { globalPool, pooling } from './pooling.js'
import { recurrent } from './recurrent.js'
import { flatten, permute, repeatVector, reshapeLayer } from './reshaping.js'
import { upsampling, zeroPadding } from './resizing.js'

const identity: Writer = (_, x) => x

const activation = (name: string): Writer => (context, x) => activate(context, name, x, context.layer, context.keras2)

const merge = (op: string): Writer => context => combine(context, op)

const WRITERS: Readonly<Record<string, Writer>> = {
  InputLayer: identity,
  Dropout: identity,
  SpatialDropout1D: identity,
  SpatialDropout2D: identity,
  SpatialDropout3D: identity,
  AlphaDropout: identity,
  GaussianNoise: identity,
  GaussianDropout: identity,
  ActivityRegularization: identity,
  Identity: identity,
  Masking: identity,
  Dense: dense,
  Conv1D: (context, x) => convolution(context, x, 1),
  Conv2D: (context, x) => convolution(context, x, 2),
  DepthwiseConv1D: (context, x) => convolution(context, x, 1, true),
  DepthwiseConv2D: (context, x) => convolution(context, x, 2, true),
  SeparableConv1D: (context, x) => separableConvolution(context, x, 1),
  SeparableConv2D: (context, x) => separableConvolution(context, x, 2),
  Conv1DTranspose: (context, x) => transposedConvolution(context, x, 1),
  Conv2DTranspose: (context, x) => transposedConvolution(context, x, 2),
  MaxPooling1D: (context, x) => pooling(context, x, 'MaxPool', 1),
  MaxPooling2D: (context, x) => pooling(context, x, 'MaxPool', 2),
  AveragePooling1D: (context, x) => pooling(context, x, 'AveragePool', 1),
  AveragePooling2D: (context, x) => pooling(context, x, 'AveragePool', 2),
  GlobalMaxPooling1D: (context, x) => globalPool(context, x, 'ReduceMax'),
  GlobalMaxPooling2D: (context, x) => globalPool(context, x, 'ReduceMax'),
  GlobalAveragePooling1D: (context, x) => globalPool(context, x, 'ReduceMean'),
  GlobalAveragePooling2D: (context, x) => globalPool(context, x, 'ReduceMean'),
  ZeroPadding1D: (context, x) => zeroPadding(context, x, 1),
  ZeroPadding2D: (context, x) => zeroPadding(context, x, 2),
  UpSampling1D: (context, x) => upsampling(context, x, 1),
  UpSampling2D: (context, x) => upsampling(context, x, 2),
  Flatten: (context, x) => flatten(context, x),
  Reshape: reshapeLayer,
  Permute: permute,
  RepeatVector: repeatVector,
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  Rescaling: rescaling,
  Normalization: normalization,
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
  Add: merge('Add'),
  Subtract: merge('Sub'),
  Multiply: merge('Mul'),
  Maximum: merge('Max'),
  Minimum: merge('Min'),
  Average: average,
  Concatenate: concatenate,
  LSTM: recurrent,
  GRU: recurrent,
  SimpleRNN: recurrent,
  TimeDistributed: timeDistributed,
}

/** The classes of layers that can be read. */
export const SUPPORTED_CLASSES: readonly string[] = Object.keys(WRITERS)

/**
 * Appends the nodes of a layer.
 * @throws GraphError UNSUPPORTED_OPERATOR for a class that is not known; UntrustedInputError when weights and
 * configuration disagree
 */
export function writeLayer(context: LayerContext): Value {
  const { layer, inputs } = context
  if (!Object.hasOwn(WRITERS, layer.className)) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The layer '${layer.name.slice(0, 100)}' is a ${
        layer.className.slice(0, 100)
      }, which cannot be imported. Known are ${
        SUPPORTED_CLASSES.join(', ')
      }. Export the network to ONNX (tf2onnx) for others.`, { layer: layer.name, class: layer.className.slice(0, 100) })
  }
  const [x] = inputs
  if (x === undefined) throw misfit(layer, 'has no input')
  if (text(layer.config, 'data_format') === 'channels_first') {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The layer '${layer.name}' has channels first; only channels_last is supported. ` +
        'Export the network to ONNX instead.', { layer: layer.name })
  }
  return WRITERS[layer.className](context, x)
}

/** Dense (and activations) in TimeDistributed act on the last axis anyway. */
function timeDistributed(context: LayerContext, x: Value): Value {
  const inner = field(context.layer.config, 'layer')
  const className = isConfig(inner) ? text(inner, 'class_name') : undefined
  const config = isConfig(inner) ? field(inner, 'config') : undefined
  if (className === undefined || !isConfig(config) ||
    !['Dense', 'Activation', 'Dropout', 'LayerNormalization', 'ReLU', 'LeakyReLU', 'ELU'].includes(className)) {
    throw misfit(context.layer, `wraps a ${(className ?? '?').slice(0, 60)}, which is not supported`)
  }
  return WRITERS[className]({ ...context, layer: { ...context.layer, className, config } }, x)
}
