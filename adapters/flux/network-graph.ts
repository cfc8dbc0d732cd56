/** @file Writes a Flux network as a graph, layer by layer. */
import { GraphError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import { type Precision, sizeOf, tensor } from '../../core/tensor/tensor.js'
import type { JuliaArray } from './arrays.js'
import { flatten } from './calls.js'
import { count, type Emission, emit, misfit, parameter, type Value, vectorForm } from './emission.js'
import { adaptivePool, convolve, pixelShuffle, pool, upsample } from './images.js'
import { arraysOf, type FluxLayer, type FluxReader, type NamedLayer, type NormLayer, type ScaleLayer,
  SUPPORTED_LAYERS } from './layers.js'
import { applyRecurrent } from './recurrent.js'
import { activate, applyFunction } from './translate.js'

/** Float64 when a weight is stored so (Julia computes the whole network in it then), else float32. */
export function networkPrecision(layer: FluxLayer): Precision {
  return weightsOf(layer).some(array => array.eltype === 'Float64') ? 'float64' : 'float32'
}

/** The arrays that are trained; the running statistics of normalisations, often Float64, do not count. */
function weightsOf(layer: FluxLayer): JuliaArray[] {
  if (layer.type === 'Norm') return [layer.scale, layer.shift].filter(array => array !== undefined)
  if (layer.type === 'Chain' || layer.type === 'Parallel' || layer.type === 'Maxout') {
    return layer.layers.flatMap(child => weightsOf(child.layer))
  }
  if (layer.type === 'SkipConnection') return weightsOf(layer.layers)
  return arraysOf(layer)
}

/** One attempt at writing a network for a given input. */
export interface Attempt {
  readonly graph: Graph
  readonly lost: number
  readonly outputShape: readonly number[]
}

/**
 * Writes the graph of a network whose input has a given shape.
 * @param inputShape one example, row-major: features, or channels x height x width
 * @param shared what earlier attempts converted and spent
 * @throws GraphError BAD_GRAPH when the shape does not fit; UNSUPPORTED_OPERATOR for layers that cannot be imported
 */
export function networkGraph(reader: FluxReader, layer: FluxLayer, inputShape: readonly number[], integers: boolean,
  shared: Pick<Emission, 'converted' | 'work'>, notes: readonly string[]): Attempt {
  const builder = new GraphBuilder(networkPrecision(layer))
  builder.notes.push(...notes)
  const emission: Emission = { builder, reader, parameters: new Map(), ...shared, lost: 0, applyLayer }
  const input: Value = { name: builder.input('x', [BATCH, ...inputShape], integers ? 'int64' : builder.precision),
    shape: inputShape }
  const output = applyLayer(emission, layer, input, '')
  const name = output.name === input.name ? builder.node('Identity', [output.name]) : output.name
  return { graph: builder.build([name]), lost: emission.lost, outputShape: output.shape }
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

/** Appends the nodes of one layer. Paths are those of Flux's fields: `layers.2.weight`. */
function applyLayer(emission: Emission, layer: FluxLayer, x: Value, path: string): Value {
  count(emission)
  switch (layer.type) {
    case 'Chain':
      return layer.layers.reduce(
        (value, child) => applyLayer(emission, child.layer, value, join(path, `layers.${child.name}`)),
        x,
      )
    case 'Identity':
      return x
    case 'Dense':
      return dense(emission, layer, x, path)
    case 'Conv':
      return activate(emission, layer.activation, convolve(emission, layer, x, path), path)
    case 'Norm':
      return normalise(emission, layer, x, path)
    case 'LayerNorm':
      return layerNorm(emission, layer, x, path)
    case 'Scale':
      return scale(emission, layer, x, path)
    case 'Pool':
      return pool(emission, x, layer.mode, layer, path)
    case 'AdaptivePool':
      return adaptivePool(emission, x, layer.mode, layer.out, path)
    case 'GlobalPool':
      return globalPool(emission, x, layer.mode, path)
    case 'Function':
      return functionLayer(emission, layer, x, path)
    case 'SkipConnection': {
      const inner = applyLayer(emission, layer.layers, x, join(path, 'layers'))
      return applyFunction(emission, layer.connection, [inner, x], join(path, 'connection'))
    }
    case 'Parallel':
      return applyFunction(emission, layer.connection, branches(emission, layer.layers, x, path),
        join(path, 'connection'))
    case 'Maxout':
      return maxout(emission, branches(emission, layer.layers, x, path), path)
    case 'Embedding':
      return embedding(emission, layer.weight, x, path)
    case 'Bilinear':
      return bilinear(emission, layer, x, path)
    case 'Upsample':
      return upsample(emission, x, layer, path)
    case 'PixelShuffle':
      return pixelShuffle(emission, x, layer.factor, path)
    case 'Recurrent':
      return applyRecurrent(emission, layer, x, path)
    case 'Unsupported':
      throw new GraphError('UNSUPPORTED_OPERATOR',
        `The layer ${path === '' ? '' : `'${path}' `}is ${
          layer.of.slice(0, 100)
        }, which cannot be imported. Supported are ${SUPPORTED_LAYERS}. ` +
          'Choose a part of the network with the option model, or export it to ONNX.', { path,
        layer: layer.of.slice(0, 100) })
  }
}

/** out x in from Julia's column-major (out, in). */
function denseForm(array: JuliaArray): Parameters<typeof parameter>[3] {
  const [rows, columns] = array.size
  return {
    key: 'out x in',
    shape: [rows, columns],
    fill: (from, to) => {
      for (let i = 0; i < columns; i++) for (let o = 0; o < rows; o++) to[o * columns + i] = from[i * rows + o]
    },
  }
}

function dense(emission: Emission, layer: FluxLayer & { type: 'Dense' }, x: Value, path: string): Value {
  const { weight, bias } = layer
  if (weight.size.length !== 2) {
    throw new GraphError('BAD_GRAPH',
      `The weight of the Dense layer '${path}' must be a matrix; its size is (${weight.size.join(', ')}).`, { path })
  }
  const [outputs, inputs] = weight.size
  if (x.shape[x.shape.length - 1] !== inputs) throw misfit(path, 'The Dense layer', `${inputs} features`, x)
  if (bias !== undefined && bias.data.length !== outputs) {
    throw new GraphError('BAD_GRAPH',
      `The bias of the Dense layer '${path}' has ${bias.data.length} elements for ${outputs} outputs.`, { path })
  }
  const biasName =
    (): string[] => (bias === undefined ? [] : [parameter(emission, bias, join(path, 'bias'), vectorForm(bias))])
  const shape = [...x.shape.slice(0, -1), outputs]
  if (x.shape.length === 1) {
    const name = parameter(emission, weight, join(path, 'weight'), denseForm(weight))
    return activate(emission, layer.activation,
      emit(emission, 'Gemm', [x.name, name, ...biasName()], shape, { transB: 1 }), path)
  }
  // Flux applies a Dense layer to the first dimension of a larger array, which is our last axis; the file's bytes are in x out.
  const name = parameter(emission, weight, join(path, 'weight'), { key: 'in x out', shape: [inputs, outputs],
    transposed: true })
  const product = emit(emission, 'MatMul', [x.name, name], shape)
  const shifted = biasName().map(added => emit(emission, 'Add', [product.name, added], shape))
  return activate(emission, layer.activation, shifted[0] ?? product, path)
}

/** A vector of one number a channel under a shape that broadcasts against images: C x 1 x 1. */
function perChannel(emission: Emission, name: string, channels: number, rank: number): string {
  return rank === 1
    ? name
    : emission.builder.node('Reshape', [name,
      emission.builder.integers([channels, ...Array<number>(rank - 1).fill(1)])])
}

function constantVector(emission: Emission, values: ArrayLike<number>): string {
  return emission.builder.constant(tensor(emission.builder.precision, [values.length], values))
}

/** Running or batch statistics, then scale and shift, then the activation. */
function normalise(emission: Emission, layer: NormLayer, x: Value, path: string): Value {
  const { channels } = layer
  if (x.shape[0] !== channels) throw misfit(path, `The ${layer.variant} layer`, `${channels} channels`, x)
  // Flux trains the shift before the scale: that is their order in the parameter vector.
  const shift = layer.shift === undefined
    ? undefined
    : parameter(emission, layer.shift, join(path, 'β'), vectorForm(layer.shift))
  const gain = layer.scale === undefined
    ? undefined
    : parameter(emission, layer.scale, join(path, 'γ'), vectorForm(layer.scale))
  if (layer.trackStats && layer.variant !== 'GroupNorm' && layer.mean !== undefined && layer.variance !== undefined) {
    const inputs = [x.name, gain ?? constantVector(emission, new Float64Array(channels).fill(1)),
      shift ?? constantVector(emission, new Float64Array(channels)), constantVector(emission, layer.mean.data),
      constantVector(emission, layer.variance.data)]
    return activate(emission, layer.activation,
      emit(emission, 'BatchNormalization', inputs, x.shape, { epsilon: layer.epsilon }), path)
  }
  if (layer.variant === 'BatchNorm') {
    throw new GraphError('BATCH_AXIS',
      `The BatchNorm layer '${path}' has no running statistics (track_stats = false): it mixes the examples of a batch. Train it with track_stats = true.`,
      { path })
  }
  const standardised = layer.variant === 'GroupNorm'
    ? groupStandardise(emission, layer, x, path)
    : standardise(emission, x, x.shape.slice(1).map((_, i) => i + 2), layer.epsilon, 'variance')
  return activate(emission, layer.activation, scaleAndShift(emission, standardised, gain, shift, channels), path)
}

function scaleAndShift(emission: Emission, x: Value, gain: string | undefined, shift: string | undefined,
  channels: number): Value {
  const scaled = gain === undefined
    ? x
    : emit(emission, 'Mul', [x.name, perChannel(emission, gain, channels, x.shape.length)], x.shape)
  return shift === undefined
    ? scaled
    : emit(emission, 'Add', [scaled.name, perChannel(emission, shift, channels, x.shape.length)], x.shape)
}

/**
 * (x - mean) / sqrt(variance + epsilon) over some axes, or (x - mean) / (deviation + epsilon) as in `Flux.normalise`.
 */
function standardise(emission: Emission, x: Value, axes: readonly number[], epsilon: number,
  addTo: 'variance' | 'deviation'): Value {
  const { builder } = emission
  const over = builder.integers(axes)
  const reduced = x.shape.map((extent, i) => (axes.includes(i + 1) ? 1 : extent))
  const mean = emit(emission, 'ReduceMean', [x.name, over], reduced, { keepdims: 1 })
  const centred = emit(emission, 'Sub', [x.name, mean.name], x.shape)
  const squares = builder.node('Mul', [centred.name, centred.name])
  const variance = builder.node('ReduceMean', [squares, over], { keepdims: 1 })
  const plus = (
    value: string,
  ): string => (epsilon === 0 ? value : builder.node('Add', [value, builder.scalar(epsilon)]))
  const divisor = addTo === 'variance' ? builder.node('Sqrt', [plus(variance)]) : plus(builder.node('Sqrt', [variance]))
  return emit(emission, 'Div', [centred.name, divisor], x.shape)
}

/** Group normalisation without scale and shift: the channels of a group, one after another in memory, and all positions together. */
function groupStandardise(emission: Emission, layer: NormLayer, x: Value, path: string): Value {
  const { groups, channels } = layer
  if (channels % groups !== 0 || x.shape.length < 2) {
    throw misfit(path, 'The GroupNorm layer', `images whose channels ${groups} divides`, x)
  }
  const { builder } = emission
  const grouped = emit(emission, 'Reshape', [x.name, builder.integers([-1, groups, sizeOf(x.shape) / groups])], [groups,
    sizeOf(x.shape) / groups])
  const standardised = layer.trackStats && layer.mean !== undefined && layer.variance !== undefined
    ? withStatistics(emission, grouped, layer.mean.data, layer.variance.data, layer.epsilon)
    : standardise(emission, grouped, [2], layer.epsilon, 'variance')
  return emit(emission, 'Reshape', [standardised.name, builder.integers([-1, ...x.shape])], x.shape)
}

/** (x - mean) / sqrt(variance + epsilon) with stored statistics of the first axis. */
function withStatistics(emission: Emission, x: Value, mean: ArrayLike<number>, variance: ArrayLike<number>,
  epsilon: number): Value {
  const { builder } = emission
  const column = (values: ArrayLike<number>): string =>
    builder.constant(tensor(builder.precision, [x.shape[0], 1], values))
  const centred = builder.node('Sub', [x.name, column(mean)])
  return emit(emission, 'Div', [centred, column(Array.from(variance, value => Math.sqrt(value + epsilon)))], x.shape)
}

function layerNorm(emission: Emission, layer: FluxLayer & { type: 'LayerNorm' }, x: Value, path: string): Value {
  if (layer.axes < 1 || layer.axes > x.shape.length) {
    throw misfit(path, 'The LayerNorm layer', `at least ${layer.axes} dimensions`, x)
  }
  const axes = Array.from({ length: layer.axes }, (_, i) => x.shape.length - i)
  const standardised = standardise(emission, x, axes, layer.epsilon, 'deviation')
  return layer.affine === undefined
    ? standardised
    : applyLayer(emission, layer.affine, standardised, join(path, 'diag'))
}

function scale(emission: Emission, layer: ScaleLayer, x: Value, path: string): Value {
  const weight = (array: JuliaArray, field: string): string => {
    const shape = [...array.size].reverse()
    const tail = x.shape.slice(x.shape.length - shape.length)
    if (shape.length > x.shape.length || shape.some((extent, i) => extent !== tail[i])) {
      throw misfit(path, 'The Scale layer', `(${array.size.join(', ')}) features`, x)
    }
    return parameter(emission, array, join(path, field), { key: 'reversed', shape })
  }
  const scaled = emit(emission, 'Mul', [x.name, weight(layer.scale, 'scale')], x.shape)
  const shifted = layer.bias === undefined
    ? scaled
    : emit(emission, 'Add', [scaled.name, weight(layer.bias, 'bias')], x.shape)
  return activate(emission, layer.activation, shifted, path)
}

function globalPool(emission: Emission, x: Value, mode: 'max' | 'mean', path: string): Value {
  if (x.shape.length < 2) throw misfit(path, 'A global pooling layer', 'images', x)
  return emit(emission, mode === 'max' ? 'GlobalMaxPool' : 'GlobalAveragePool', [x.name],
    x.shape.map((extent, i) => (i === 0 ? extent : 1)))
}

/** A function as a layer: flatten and softmax act on the whole array, activations on every element. */
function functionLayer(emission: Emission, layer: FluxLayer & { type: 'Function' }, x: Value, path: string): Value {
  const { fn } = layer
  if (fn.kind === 'named' && fn.name === 'flatten') {
    if (!/^(Flux|MLUtils)\./.test(fn.path)) {
      emission.builder.notes.push(
        `The function ${fn.path} of the program that saved the file is taken for Flux.flatten.`,
      )
    }
    return flatten(emission, x)
  }
  const wholeArray = fn.kind !== 'named' || /softmax|^vec$/.test(fn.name)
  return wholeArray ? applyFunction(emission, fn, [x], path) : activate(emission, fn, x, path)
}

function branches(emission: Emission, layers: readonly NamedLayer[], x: Value, path: string): Value[] {
  return layers.map(child => applyLayer(emission, child.layer, x, join(path, `layers.${child.name}`)))
}

function maxout(emission: Emission, values: readonly Value[], path: string): Value {
  const [first, ...rest] = values
  if (first === undefined || rest.some(value => value.shape.join() !== first.shape.join())) {
    throw new GraphError('BAD_GRAPH', `The layers of the Maxout '${path}' give results of different shapes.`, { path })
  }
  return rest.length === 0 ? first : emit(emission, 'Max', values.map(value => value.name), first.shape)
}

function embedding(emission: Emission, weight: JuliaArray, x: Value, path: string): Value {
  const [features, words] = weight.size
  const { builder } = emission
  if (!builder.inputs.some(input => input.dtype === 'int64')) {
    throw new GraphError('BAD_GRAPH', `The Embedding layer '${path}' must come first in the network.`, { path })
  }
  builder.notes.push(`The network takes tokens from 1 to ${words}, counted as in Julia.`)
  const table = parameter(emission, weight, join(path, 'weight'), { key: 'reversed', shape: [words, features] })
  const index = builder.node('Sub', [x.name, builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(1) })])
  return emit(emission, 'Gather', [table, index], [...x.shape, features], { axis: 0 })
}

/** z_o = sum_ij W_oij x_i x_j + b_o, for a layer that gets one input: a linear layer on the outer product of the input with itself. */
function bilinear(emission: Emission, layer: FluxLayer & { type: 'Bilinear' }, x: Value, path: string): Value {
  const [outputs, first, second] = layer.weight.size
  const [features] = x.shape
  if (layer.weight.size.length !== 3 || x.shape.length !== 1 || first !== features || second !== features) {
    throw misfit(path, 'The Bilinear layer', `${first} features`, x)
  }
  const { builder } = emission
  const column = builder.node('Reshape', [x.name, builder.integers([-1, first, 1])])
  const row = builder.node('Reshape', [x.name, builder.integers([-1, 1, second])])
  const products = builder.node('Reshape', [builder.node('Mul', [column, row]), builder.integers([-1, first * second])])
  const weight = parameter(emission, layer.weight, join(path, 'weight'), {
    key: 'out x in',
    shape: [outputs, first * second],
    fill: (from, to) => {
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < first; i++) {
          for (let j = 0; j < second; j++) to[o * first * second + i * second + j] = from[o + outputs * (i + first * j)]
        }
      }
    },
  })
  const bias = layer.bias === undefined
    ? []
    : [parameter(emission, layer.bias, join(path, 'bias'), vectorForm(layer.bias))]
  return activate(emission, layer.activation,
    emit(emission, 'Gemm', [products, weight, ...bias], [outputs], { transB: 1 }), path)
}
