/** @file Layers of one weight: Dense, Bilinear, Embedding and Scale. */
import { GraphError } from '../../../core/errors/errors.js'
import { activate } from '../code/translate.js'
import { type Emission, emit, join, misfit, parameter, type Value, vectorForm } from '../graph/emission.js'
import type { JuliaArray } from '../julia/arrays.js'
import type { FluxLayer, ScaleLayer } from '../layers/flux-layer.js'

/**
 * out x in from Julia's column-major (out, in). The bytes as they are would be the transpose: for a square weight that
 * fits, and gives wrong outputs without an error.
 */
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

/**
 * W x + b, then the activation, on the last axis.
 * @throws GraphError BAD_GRAPH when the input or the bias does not fit
 */
export function dense(emission: Emission, layer: FluxLayer & { type: 'Dense' }, x: Value, path: string): Value {
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
  // Flux applies a Dense layer to the first dimension of a larger array, which is our last axis; the file's bytes are
  // in x out.
  const name = parameter(emission, weight, join(path, 'weight'), { key: 'in x out', shape: [inputs, outputs],
    transposed: true })
  const product = emit(emission, 'MatMul', [x.name, name], shape)
  const shifted = biasName().map(added => emit(emission, 'Add', [product.name, added], shape))
  return activate(emission, layer.activation, shifted[0] ?? product, path)
}

/** x times the scale plus the bias, on the last axes. @throws GraphError BAD_GRAPH when the input does not fit */
export function scale(emission: Emission, layer: ScaleLayer, x: Value, path: string): Value {
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

/**
 * The rows of a table by tokens, which count from 1 as in Julia: without the subtraction every token would get the row
 * of the next one.
 * @throws GraphError BAD_GRAPH unless it comes first
 */
export function embedding(emission: Emission, weight: JuliaArray, x: Value, path: string): Value {
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

/**
 * z_o = sum_ij W_oij x_i x_j + b_o, for a layer that gets one input: a linear layer on the outer product of the input
 * with itself.
 */
export function bilinear(emission: Emission, layer: FluxLayer & { type: 'Bilinear' }, x: Value, path: string): Value {
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
