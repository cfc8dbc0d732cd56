/**
 * @file What learns of an array of a Keras layer: all of it, nothing, or the adapter of low rank that is part of it
 * (LoRA; Hu et al., 2021). Keras' files say it of whole layers; those that the Python client makes of a model object
 * say it of each array.
 */
import type { GraphBuilder } from '../../core/graph/builder.js'
import { sizeOf, type Tensor, tensor } from '../../core/tensor/tensor.js'
import type { Hdf5Group } from '../hdf5/tree.js'
import { refuse } from './config.js'

/** An array of a layer. What is noted of it holds for it in every layout. */
export interface KerasArray extends Tensor {
  readonly frozen?: boolean
  readonly adapter?: Adapter
}

/** The product scale a b, (..., rank) by (rank, out), that Keras has added to the array; only a and b learn. */
export interface Adapter {
  readonly a: Tensor
  readonly b: Tensor
  readonly scale: number
  /** Where the array's axes were exchanged: axis i is axis perm[i] of the product. */
  readonly perm?: readonly number[]
}

/**
 * An array with what is noted of it beside it: `frozen`, its numbers among the layer's arrays, and the adapter of the
 * first.
 */
export function withLearning(value: Tensor, place: number, vars: Hdf5Group): KerasArray {
  const frozen = vars.tensor('frozen')?.data.some(each => each === place) === true
  const [a, b, scale] = ['lora_a', 'lora_b', 'lora_scale'].map(name => vars.tensor(name))
  if (place > 0 || a === undefined || b === undefined || scale === undefined) {
    return frozen ? { ...value, frozen } : value
  }
  const product = [...a.shape.slice(0, -1), b.shape[1]]
  if (b.shape.length !== 2 || a.shape[a.shape.length - 1] !== b.shape[0] || String(product) !== String(value.shape)) {
    throw refuse(`An adapter of ${a.shape.join(' x ')} and ${b.shape.join(' x ')} does not fit an array of ` +
      `${value.shape.join(' x ')}.`)
  }
  return { ...value, adapter: { a, b, scale: scale.data[0] } }
}

/** The element order of an array changed: axis i of the result is axis perm[i] of the value. */
export function permuted(value: KerasArray, perm: readonly number[]): KerasArray {
  const shape = perm.map(axis => value.shape[axis])
  const strides = value.shape.map((_, axis) => sizeOf(value.shape.slice(axis + 1)))
  const data = value.data instanceof Float32Array
    ? new Float32Array(value.data.length)
    : new Float64Array(value.data.length)
  const index = shape.map(() => 0)
  let source = 0
  for (let i = 0; i < data.length; i++) {
    data[i] = value.data[source]
    for (let d = shape.length - 1; d >= 0; d--) {
      source += strides[perm[d]]
      if (++index[d] < shape[d]) break
      source -= strides[perm[d]] * shape[d]
      index[d] = 0
    }
  }
  return { ...value, shape, data, ...value.adapter && { adapter: { ...value.adapter, perm } } }
}

/** The array as what does not learn and the product of what does, under `<folder>/lora_<role>_a` and `_b`. */
export function adaptedWeight(builder: GraphBuilder, name: string, value: Tensor, adapter: Adapter): string {
  const [, folder, role] = /^(.*\/)?([^/]*)$/.exec(name) ?? []
  const factor = (letter: 'a' | 'b'): string => {
    const { shape, data } = adapter[letter]
    return builder.parameter(`${folder ?? ''}lora_${role}_${letter}`, tensor(builder.precision, shape, data))
  }
  const product = builder.node('Mul', [builder.node('MatMul', [factor('a'), factor('b')]),
    builder.scalar(adapter.scale)])
  const turned = adapter.perm === undefined ? product : builder.node('Transpose', [product], { perm: adapter.perm })
  const placed = builder.node('Reshape', [turned, builder.integers(value.shape)])
  return builder.node('Add', [builder.constant(withoutProduct(builder, value, adapter), name), placed])
}

/** The array less the product, in double precision. */
function withoutProduct({ precision }: GraphBuilder, value: Tensor, { a, b, scale, perm }: Adapter): Tensor {
  const [rank, width] = b.shape
  const product = Float64Array.from(
    { length: value.data.length },
    (_, i) => {
      const row = Math.floor(i / width)
      let sum = 0
      for (let k = 0; k < rank; k++) sum += a.data[row * rank + k] * b.data[k * width + i % width]
      return scale * sum
    },
  )
  const stored = { dtype: 'float64', shape: [...a.shape.slice(0, -1), width], data: product } as const
  const { data } = perm === undefined ? stored : permuted(stored, perm)
  return tensor(precision, value.shape, Array.from(value.data, (each, i) => each - data[i]))
}
