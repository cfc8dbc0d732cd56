/** @file The state while a Flux network is written as a graph: values with their shapes, shared parameters. */
import { GraphError } from '../../../core/errors/errors.js'
import type { GraphBuilder } from '../../../core/graph/builder.js'
import { formatShape, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import type { JuliaArray } from '../julia/arrays.js'
import type { FluxReader } from '../layers/field-values.js'
import type { FluxLayer } from '../layers/flux-layer.js'

/**
 * A value of the graph. `shape` is that of one example in row-major order, the reverse of Flux's: a Flux array of size
 * (W, H, C, N) is a value of shape [C, H, W]. The batch is always the axis before it.
 */
export interface Value {
  readonly name: string
  readonly shape: readonly number[]
}

/** What the translation of layers and functions shares. */
export interface Emission {
  readonly builder: GraphBuilder
  readonly reader: FluxReader
  /** Weights already written, by the array in the file and the form: a weight used twice is one parameter. */
  readonly parameters: Map<object, Map<string, string>>
  /** Converted weights, kept over several attempts with different input sizes. */
  readonly converted: Map<object, Map<string, Tensor>>
  /** Rows and columns that strides of convolutions and pools leave out; used to choose among possible input sizes. */
  lost: number
  /** Layers and nodes written, over all attempts. */
  readonly work: { done: number }
  readonly applyLayer: (emission: Emission, layer: FluxLayer, value: Value, path: string) => Value
}

/** A path of Flux's fields with one more name: `layers.2` and `weight` as `layers.2.weight`. */
export const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

/** Layers and nodes that may be written for one file: a guard against shared layers that unfold. */
const MOST_WORK = 1_000_000

/** Counts one layer or node. @throws GraphError BAD_GRAPH when there are too many */
export function count(emission: Emission): void {
  if (++emission.work.done > MOST_WORK) {
    throw new GraphError('BAD_GRAPH', `The network unfolds to more than ${MOST_WORK} operations.`)
  }
}

/** An input that does not fit a layer. */
export function misfit(path: string, what: string, expected: string, value: Value): GraphError {
  return new GraphError('BAD_GRAPH',
    `${what}${path === '' ? '' : ` '${path}'`} takes ${expected}; it gets an example of shape ${
      formatShape(value.shape)
    }.`, { path, shape: [...value.shape] })
}

/** Appends a node and gives its result a shape. */
export function emit(emission: Emission, op: string, inputs: readonly string[], shape: readonly number[],
  attributes: Parameters<GraphBuilder['node']>[2] = {}): Value {
  count(emission)
  return { name: emission.builder.node(op, inputs, attributes), shape }
}

/** A constant from an array of the file: the same bytes under the reversed shape. */
export function constantArray(emission: Emission, array: JuliaArray): { name: string, shape: number[] } {
  const shape = [...array.size].reverse()
  return { name: emission.builder.constant(tensor(emission.builder.precision, shape, array.data)), shape }
}

/** How a weight's elements are laid out for the operator that uses it. */
export interface WeightForm {
  /** A word that tells forms of the same array apart. */
  readonly key: string
  readonly shape: readonly number[]
  /** Fills `to` (row-major) from the array's elements; absent when the bytes are right as they are. */
  readonly fill?: (from: ArrayLike<number>, to: Float32Array | Float64Array) => void
  /** The initialiser holds in x out, the parameter vector out x in. */
  readonly transposed?: boolean
}

/** The value name of a trainable array; the same array in the same form is one parameter. */
export function parameter(emission: Emission, array: JuliaArray, path: string, form: WeightForm): string {
  const forms = emission.parameters.get(array.identity) ?? new Map<string, string>()
  emission.parameters.set(array.identity, forms)
  const known = forms.get(form.key)
  if (known !== undefined) return known
  if (forms.size > 0) {
    emission.builder.notes.push(
      `The weight '${path}' is shared by layers that use it in different forms; each has its own copy here.`,
    )
  }
  const name = emission.builder.parameter(path, convert(emission, array, form), form.transposed === true)
  forms.set(form.key, name)
  return name
}

function convert(emission: Emission, array: JuliaArray, form: WeightForm): Tensor {
  const forms = emission.converted.get(array.identity) ?? new Map<string, Tensor>()
  emission.converted.set(array.identity, forms)
  const known = forms.get(form.key)
  if (known !== undefined) return known
  const { precision } = emission.builder
  let value: Tensor
  // Without elements there is nothing to lay out, and the other extent may be without end.
  if (form.fill === undefined || array.data.length === 0) value = tensor(precision, form.shape, array.data)
  else {
    const data = precision === 'float32' ? new Float32Array(sizeOf(form.shape)) : new Float64Array(sizeOf(form.shape))
    form.fill(array.data, data)
    value = { dtype: precision, shape: form.shape, data }
  }
  forms.set(form.key, value)
  return value
}

/** The weight of a vector: as it is. */
export function vectorForm(array: JuliaArray): WeightForm {
  return { key: 'vector', shape: [array.data.length] }
}
