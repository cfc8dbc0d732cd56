/** @file Reads the layers of Flux for images: convolutions, pools, upsampling. */
import { resolve } from '../julia/julia-file.js'
import { numberOf, symbolOf } from '../julia/julia-values.js'
import { integer, integerTuple } from './field-values.js'
import type { ConvLayer, FluxLayer } from './flux-layer.js'
import type { LayerFields } from './layer-fields.js'

/** Reads a convolution of any kind; fields that older versions of Flux lack have the value that they stood for. */
export function readConvolution(layer: LayerFields, variant: ConvLayer['variant']): ConvLayer {
  const { fields } = layer
  const stride = layer.integers('stride')
  return {
    type: 'Conv',
    variant,
    weight: layer.array('weight'),
    bias: layer.bias(),
    activation: layer.activation(),
    stride,
    pad: layer.integers('pad'),
    outpad: fields['outpad'] === undefined ? stride.map(() => 0) : layer.integers('outpad'),
    dilation: fields['dilation'] === undefined ? stride.map(() => 1) : layer.integers('dilation'),
    groups: fields['groups'] === undefined ? 1 : layer.integer('groups'),
  }
}

/** Reads MaxPool and MeanPool. */
export function readPool(layer: LayerFields, mode: 'max' | 'mean'): FluxLayer {
  return { type: 'Pool', mode, kernel: layer.integers('k'), pad: layer.integers('pad'),
    stride: layer.integers('stride') }
}

/** Reads Upsample; its mode is a type parameter of the struct. */
export function readUpsample({ reader, struct, fields, path }: LayerFields): FluxLayer {
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
