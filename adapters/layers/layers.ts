/** @file The layers of an architecture by torch's names. */
import { OptionError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { tensor } from '../../core/tensor/tensor.js'
import { ACTIVATIONS, type LayerWriter } from './activations.js'
import { count, integer, isGiven, knownArguments } from './arguments.js'
import { bias, type Emission, emit, inputMisfit, type LayerContext, misfit, parameter, requiredTensor, statedSize,
  type Value } from './emission.js'
import { adaptivePooling, convolution, padding, pooling, transposedConvolution, upsampling } from './images.js'
import { badArchitecture, describeLayer, type LayerSpec } from './layer-spec.js'
import { NORMALISATIONS } from './normalisation.js'
import { recurrent } from './recurrent.js'
import { RESHAPING } from './reshaping.js'

/** Layers that pass their input on when a network is used. */
const identity = (...known: string[]): LayerWriter => ({ arguments: known, write: (_, x) => x })

const WRITERS: Readonly<Record<string, LayerWriter>> = {
  // The shape of the input is found before the layers are written; here it has been done.
  Input: identity('shape'),
  Identity: { arguments: [], write: (_, x) => x },
  Dropout: identity('p'),
  Dropout1d: identity('p'),
  Dropout2d: identity('p'),
  Dropout3d: identity('p'),
  AlphaDropout: identity('p'),
  FeatureAlphaDropout: identity('p'),
  Linear: { arguments: ['in_features', 'out_features', 'bias'], write: linear },
  Bilinear: { arguments: [], write: context => {
    throw badArchitecture(
      `The ${
        describeLayer(context.spec, context.path)
      } takes two inputs, and an architecture is a chain. Export the network to ONNX.`,
      context.path,
    )
  } },
  Embedding: {
    arguments: ['num_embeddings', 'embedding_dim', 'padding_idx', 'max_norm', 'norm_type', 'scale_grad_by_freq',
      'sparse'],
    write: embedding,
  },
  Conv1d: convolution(1),
  Conv2d: convolution(2),
  Conv3d: convolution(3),
  ConvTranspose1d: transposedConvolution(1),
  ConvTranspose2d: transposedConvolution(2),
  ConvTranspose3d: transposedConvolution(3),
  MaxPool1d: pooling('MaxPool', 1),
  MaxPool2d: pooling('MaxPool', 2),
  MaxPool3d: pooling('MaxPool', 3),
  AvgPool1d: pooling('AveragePool', 1),
  AvgPool2d: pooling('AveragePool', 2),
  AvgPool3d: pooling('AveragePool', 3),
  AdaptiveAvgPool1d: adaptivePooling('AveragePool', 1),
  AdaptiveAvgPool2d: adaptivePooling('AveragePool', 2),
  AdaptiveAvgPool3d: adaptivePooling('AveragePool', 3),
  AdaptiveMaxPool1d: adaptivePooling('MaxPool', 1),
  AdaptiveMaxPool2d: adaptivePooling('MaxPool', 2),
  AdaptiveMaxPool3d: adaptivePooling('MaxPool', 3),
  ZeroPad1d: padding(1, true),
  ZeroPad2d: padding(2, true),
  ZeroPad3d: padding(3, true),
  ConstantPad1d: padding(1, false),
  ConstantPad2d: padding(2, false),
  ConstantPad3d: padding(3, false),
  Upsample: upsampling(),
  RNN: recurrent('RNN'),
  LSTM: recurrent('LSTM'),
  GRU: recurrent('GRU'),
  Residual: { arguments: ['layers'], write: residual },
  Sequential: { arguments: ['layers'],
    write: (context, x) => writeLayers(context.emission, innerLayers(context), x, `${context.path}.layers.`) },
  ...ACTIVATIONS,
  ...NORMALISATIONS,
  ...RESHAPING,
}

/** The types of layers that an architecture may have. */
export const LAYER_TYPES: readonly string[] = Object.keys(WRITERS)

/**
 * Checks types and names of arguments of all layers, before any tensor is looked at.
 * @throws OptionError BAD_OPTION for a type that is not known, UNKNOWN_OPTION for an argument that it does not have,
 * with the nearest right word
 */
export function checkLayers(layers: readonly LayerSpec[], prefix = ''): void {
  layers.forEach((spec, i) => {
    const path = `${prefix}${i}`
    knownArguments({ spec, path }, writerFor(spec, path).arguments)
    if (spec.layers !== undefined) checkLayers(spec.layers, `${path}.layers.`)
  })
}

function writerFor(spec: LayerSpec, path: string): LayerWriter {
  if (Object.hasOwn(WRITERS, spec.type)) return WRITERS[spec.type]
  const suggestion = nearestWord(spec.type, LAYER_TYPES)
  throw new OptionError('BAD_OPTION',
    `Layer ${path} of the architecture has the type '${spec.type.slice(0, 100)}', which is not known.${
      suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`
    } Known are ${LAYER_TYPES.join(', ')}.`, { option: 'architecture', layer: path, value: spec.type.slice(0, 100),
    allowed: LAYER_TYPES, ...(suggestion === undefined ? {} : { suggestion }) })
}

/** Appends the nodes of layers in order. @throws OptionError, ShapeError naming the layer */
export function writeLayers(emission: Emission, layers: readonly LayerSpec[], x: Value, prefix = ''): Value {
  return layers.reduce(
    (value, spec, i) =>
      writerFor(spec, `${prefix}${i}`).write({ emission, spec: named(emission, spec, i, prefix),
        path: `${prefix}${i}` }, value),
    x,
  )
}

/** A layer without a name has its place in the list as the prefix of its tensors, as in torch's Sequential. */
function named(emission: Emission, spec: LayerSpec, index: number, prefix: string): LayerSpec {
  if (spec.name !== undefined || prefix !== '') return spec
  const own = `${index}.`
  return [...emission.tensors.keys()].some(name => name.startsWith(own)) ? { ...spec, name: String(index) } : spec
}

function innerLayers({ spec, path }: LayerContext): readonly LayerSpec[] {
  if (spec.layers === undefined) {
    throw badArchitecture(`The ${describeLayer(spec, path)} needs the field layers: the list of layers inside of it.`,
      path)
  }
  return spec.layers
}

/** x + layers(x). */
function residual(context: LayerContext, x: Value): Value {
  const inner = writeLayers(context.emission, innerLayers(context), x, `${context.path}.layers.`)
  if (inner.shape.join() !== x.shape.join()) {
    throw inputMisfit(context, `examples that its layers keep in shape (they give ${inner.shape.join(' x ')})`, x)
  }
  return emit(context.emission, 'Add', [x.name, inner.name], x.shape)
}

/** x W^T + b on the last axis; the weight is out x in. */
function linear(context: LayerContext, x: Value): Value {
  const weight = requiredTensor(context, 'weight', 2)
  const [out, into] = weight.shape
  statedSize(context, 'in_features', count(context, 'in_features'), into)
  statedSize(context, 'out_features', count(context, 'out_features'), out)
  if (x.shape[x.shape.length - 1] !== into) throw inputMisfit(context, `${into} features`, x)
  const { emission } = context
  const shape = [...x.shape.slice(0, -1), out]
  const matrix = parameter(context, 'weight', weight)
  const offset = bias(context, out)
  if (x.shape.length === 1) {
    return emit(emission, 'Gemm', [x.name, matrix, ...(offset === undefined ? [] : [offset])], shape, { transB: 1 })
  }
  const turned = emission.builder.node('Transpose', [matrix], { perm: [1, 0] })
  const product = emit(emission, 'MatMul', [x.name, turned], shape)
  return offset === undefined ? product : emit(emission, 'Add', [product.name, offset], shape)
}

/** Rows of the weight by integers. */
function embedding(context: LayerContext, x: Value): Value {
  const weight = requiredTensor(context, 'weight', 2)
  const [rows, width] = weight.shape
  statedSize(context, 'num_embeddings', count(context, 'num_embeddings'), rows)
  statedSize(context, 'embedding_dim', count(context, 'embedding_dim'), width)
  if (isGiven(context, 'max_norm')) {
    throw badArchitecture(
      `The ${
        describeLayer(context.spec, context.path)
      } changes its weights while it is used (max_norm), which is not supported.`,
      context.path,
    )
  }
  const { emission } = context
  if (!emission.builder.inputs.some(input => input.name === x.name && input.dtype === 'int64')) {
    throw misfit(context, 'takes integers, so it must be the first layer')
  }
  const found = emit(emission, 'Gather', [parameter(context, 'weight', weight), x.name], [...x.shape, width], {
    axis: 0,
  })
  const padding = integer(context, 'padding_idx')
  return padding === undefined ? found : withoutPadding(context, x, found, padding < 0 ? padding + rows : padding)
}

/** The row of padding does not learn. */
function withoutPadding(context: LayerContext, x: Value, found: Value, row: number): Value {
  const { builder } = context.emission
  const isPadding = builder.node('Equal', [x.name, builder.constant(tensor('int64', [], [row]))])
  const padded = builder.node('Unsqueeze', [isPadding, builder.integers([-1])])
  return emit(context.emission, 'Where', [padded, builder.node('StopGradient', [found.name]), found.name], found.shape)
}
