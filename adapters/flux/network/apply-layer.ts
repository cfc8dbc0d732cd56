/** @file The layers of Flux as graph nodes: each kind finds its writer here. */
import { GraphError } from '../../../core/errors/errors.js'
import { flatten } from '../code/reshaping.js'
import { activate, applyFunction } from '../code/translate.js'
import { convolve } from '../graph/convolution.js'
import { count, type Emission, emit, join, type Value } from '../graph/emission.js'
import { adaptivePool, globalPool, pool } from '../graph/pooling.js'
import { pixelShuffle, upsample } from '../graph/resizing.js'
import type { FluxLayer, NamedLayer } from '../layers/flux-layer.js'
import { SUPPORTED_LAYERS } from '../layers/struct-fields.js'
import { bilinear, dense, embedding, scale } from './dense.js'
import { layerNorm, normalise } from './normalisation.js'
import { applyRecurrent } from './recurrent.js'

/** Appends the nodes of one layer. Paths are those of Flux's fields: `layers.2.weight`. */
export function applyLayer(emission: Emission, layer: FluxLayer, x: Value, path: string): Value {
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
