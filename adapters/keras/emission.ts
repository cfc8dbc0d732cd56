/**
 * @file Values while a Keras network is written as a graph.
 *
 * Keras keeps channels last (N x H x W x C), the graph's convolutions want them first. A value remembers which it is;
 * it is transposed only where the next operator needs the other order.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import type { GraphBuilder } from '../../core/graph/builder.js'
import type { Attribute } from '../../core/graph/graph.js'
import { elementTypeOf } from '../../core/ops/element-types.js'
import { type DType, formatShape, type Tensor, tensor } from '../../core/tensor/tensor.js'
import { adaptedWeight, type KerasArray } from './arrays.js'
import type { KerasLayer } from './model.js'

/** Which steps of a sequence count: a bool tensor of the shape N x (leading extents of a value). */
export interface Mask {
  readonly name: string
  readonly rank: number
}

/** A value; `shape` is one example's in Keras' order, channels last, whatever the order in the graph is. */
export interface Value {
  readonly name: string
  readonly shape: readonly number[]
  readonly channelsFirst: boolean
  /** The steps that count; without it all do. */
  readonly mask?: Mask
  /** What its elements are, where they are no real numbers: tokens of type int64, or a mask. */
  readonly type?: 'integer' | 'boolean'
}

/** A value with a mask, where there is one. */
export function masked(value: Value, mask: Mask | undefined): Value {
  return mask === undefined ? value : { ...value, mask }
}

/** What writing the layers shares. */
export interface Emission {
  readonly builder: GraphBuilder
  /** Names of arrays that are written already, by path and role: a layer that is called twice shares them. */
  readonly written: Map<string, string>
}

/** A layer whose configuration, weights or input do not fit each other. */
export function misfit(layer: KerasLayer, message: string): UntrustedInputError {
  return new UntrustedInputError(`The ${layer.className} layer '${layer.path.slice(0, 100)}' ${message}.`, {
    format: 'Keras',
    path: layer.path,
  })
}

/** Appends a node; the result keeps the order of axes. */
export function emit(emission: Emission, op: string, inputs: readonly string[], shape: readonly number[],
  channelsFirst: boolean, attributes: Readonly<Record<string, Attribute>> = {}): Value {
  return { name: emission.builder.node(op, inputs, attributes), shape, channelsFirst }
}

/** A value's elements as another type. */
export function cast({ builder }: Emission, name: string, to: DType): string {
  return builder.node('Cast', [name], { to: elementTypeOf(to) })
}

/** The value with channels as the last axis, Keras' own order. */
export function channelsLast(emission: Emission, x: Value): Value {
  if (!x.channelsFirst) return x
  const rank = x.shape.length + 1
  const perm = [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]
  return { ...x, name: emission.builder.node('Transpose', [x.name], { perm }), channelsFirst: false }
}

/** The value with channels behind the batch, as convolutions want it. */
export function channelsFirst(emission: Emission, x: Value): Value {
  if (x.channelsFirst || x.shape.length < 2) return x
  const rank = x.shape.length + 1
  const perm = [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)]
  return { ...x, name: emission.builder.node('Transpose', [x.name], { perm }), channelsFirst: true }
}

/** An array of a layer under `<path>/<role>`: a parameter, or a constant where the layer or the array is frozen. */
export function parameter({ builder, written }: Emission, layer: KerasLayer, role: string, value: KerasArray,
  transposed = false): string {
  const name = `${layer.path}/${role}`
  const known = written.get(name)
  if (known !== undefined) return known
  const held = value.dtype === builder.precision ? value : tensor(builder.precision, value.shape, value.data)
  const added = layer.trainable && value.adapter !== undefined
    ? adaptedWeight(builder, name, held, value.adapter)
    : layer.trainable && value.frozen !== true
    ? builder.parameter(name, held, transposed)
    : builder.constant(held, name)
  written.set(name, added)
  return added
}

/** An array that is not trained. */
export function constant(emission: Emission, value: Tensor): string {
  const { precision } = emission.builder
  return emission.builder.constant(value.dtype === precision ? value : tensor(precision, value.shape, value.data))
}

/** The weights of a layer, checked against the shapes that it must have (`undefined` extents are free). */
export function expectWeights(layer: KerasLayer, weights: readonly Tensor[] | undefined,
  expected: readonly (readonly (number | undefined)[])[]): readonly Tensor[] {
  const found = weights ?? []
  if (found.length !== expected.length) {
    throw misfit(layer, `needs ${expected.length} arrays; the file has ${found.length}`)
  }
  found.forEach((value, i) => {
    const shape = expected[i]
    if (value.shape.length !== shape.length ||
      value.shape.some((extent, d) => shape[d] !== undefined && shape[d] !== extent)) {
      throw misfit(layer, `needs an array of shape ${
        formatShape(shape.map(extent => extent ?? '?'))
      } as number ${i + 1}; the file has ${formatShape(value.shape)}`)
    }
  })
  return found
}
