/**
 * @file The state while an architecture is written as a graph: values with their shapes, the file's tensors and which
 * were used.
 */
import { ShapeError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import type { GraphBuilder } from '../../core/graph/builder.js'
import type { Attribute } from '../../core/graph/graph.js'
import { cast, formatShape, type Tensor } from '../../core/tensor/tensor.js'
import { toTensor } from '../tensors/convert.js'
import { type FileTensor, isFloating, type NamedTensors } from '../tensors/file-tensor.js'
import { flag, isGiven, type LayerArguments } from './arguments.js'
import { badArchitecture, describeLayer, type LayerSpec } from './layer-spec.js'

/** A value of the graph; `shape` is that of one example, the batch is always the axis before it. */
export interface Value {
  readonly name: string
  readonly shape: readonly number[]
}

/** What writing the layers shares. */
export interface Emission {
  readonly builder: GraphBuilder
  readonly tensors: NamedTensors
  /** Tensors converted to the graph's precision, kept over several attempts with different input sizes. */
  readonly converted: Map<string, Tensor>
  /** Names of the tensors that a layer took. */
  readonly used: Set<string>
  /** Parameters written so far, by the tensor's name: a tensor used twice is one parameter. */
  readonly parameters: Map<string, string>
  /** Whether a node was written that depends on the sizes of images or the length of sequences. */
  sizeDependent: boolean
}

/** A layer being written. */
export interface LayerContext extends LayerArguments {
  readonly emission: Emission
}

/** A layer whose arguments, tensors or input do not fit each other. */
export function misfit({ spec, path }: LayerArguments, message: string,
  data: Readonly<Record<string, unknown>> = {}): ShapeError {
  return new ShapeError(`The ${describeLayer(spec, path)} ${message}.`, { layer: path, ...data })
}

/** A layer whose input does not fit. */
export function inputMisfit(context: LayerArguments, expected: string, x: Value): ShapeError {
  return misfit(context, `takes ${expected}; it gets an example of shape ${formatShape(x.shape)}`, { expected,
    actual: x.shape })
}

/** Appends a node and gives its result a shape. */
export function emit({ builder }: Emission, op: string, inputs: readonly string[], shape: readonly number[],
  attributes: Readonly<Record<string, Attribute>> = {}): Value {
  return { name: builder.node(op, inputs, attributes), shape }
}

/** An element-wise node with one more operand: a number or another value. */
export function withOperand(emission: Emission, op: string, x: Value, operand: number | Value): Value {
  return emit(emission, op, [x.name, typeof operand === 'number' ? emission.builder.scalar(operand) : operand.name],
    x.shape)
}

/** The name of a layer's tensor in the file. */
export function tensorName(spec: LayerSpec, role: string): string {
  return spec.name === undefined || spec.name === '' ? role : `${spec.name}.${role}`
}

/**
 * A tensor of the layer as it lies in the file, or undefined when the file has none.
 * @param rank the number of axes that it must have
 * @throws ShapeError when it has another rank or holds no floating-point numbers
 */
export function optionalTensor(context: LayerContext, role: string, rank?: number): FileTensor | undefined {
  const found = context.emission.tensors.get(tensorName(context.spec, role))
  if (found === undefined) return undefined
  context.emission.used.add(tensorName(context.spec, role))
  if (rank !== undefined && found.shape.length !== rank) {
    throw misfit(context,
      `needs a tensor '${tensorName(context.spec, role)}' of ${rank} ax${rank === 1 ? 'is' : 'es'}; the file has ${
        formatShape(found.shape)
      }`, { actual: found.shape })
  }
  return found
}

/**
 * A tensor that the layer must have.
 * @throws OptionError BAD_OPTION with the names that the file has
 */
export function requiredTensor(context: LayerContext, role: string, rank?: number): FileTensor {
  const found = optionalTensor(context, role, rank)
  if (found !== undefined) return found
  const { spec, path, emission } = context
  const wanted = tensorName(spec, role)
  const free = [...emission.tensors.keys()].filter(name => !emission.used.has(name))
  const candidates = free.filter(name => name.endsWith(role))
  const near = nearestWord(wanted, candidates) ?? candidates[0]
  throw badArchitecture(
    `The ${describeLayer(spec, path)} needs the tensor '${wanted.slice(0, 200)}', which the file does not have.` +
      (free.length === 0 ? ' No tensor is left.' : ` Tensors left: ${listNames(free)}.`) +
      (near === undefined
        ? ''
        : ` Did you mean the name '${near.slice(0, -role.length).replace(/\.$/, '').slice(0, 200)}'?`),
    path,
    { tensor: wanted, left: free.slice(0, 50) },
  )
}

/** Names in quotes, the first ones when there are many. */
export function listNames(names: readonly string[], most = 12): string {
  return names.slice(0, most).map(name => `'${name.slice(0, 100)}'`).join(', ') +
    (names.length > most ? `, ... (${names.length} in all)` : '')
}

/** The tensor's values in the precision of the graph. @throws ShapeError when they are not floating-point numbers */
function converted({ emission, spec, path }: LayerContext, name: string, value: FileTensor): Tensor {
  const known = emission.converted.get(name)
  if (known !== undefined) return known
  if (!isFloating(value.dtype)) {
    throw misfit({ spec, path }, `needs floating-point numbers; the tensor '${name}' holds ${value.dtype}`, {
      tensor: name,
    })
  }
  const result = cast(toTensor(value, name), emission.builder.precision)
  emission.converted.set(name, result)
  return result
}

/** The value name of a trainable tensor of the layer. @throws ShapeError, OptionError */
export function parameter(context: LayerContext, role: string, value: FileTensor): string {
  const { emission, spec } = context
  const name = tensorName(spec, role)
  const known = emission.parameters.get(name)
  if (known !== undefined) return known
  const written = emission.builder.parameter(name, converted(context, name, value))
  emission.parameters.set(name, written)
  return written
}

/** The value name of a tensor of the layer that is not trained (running statistics). */
export function fixedTensor(context: LayerContext, role: string, value: FileTensor): string {
  const name = tensorName(context.spec, role)
  return context.emission.builder.constant(converted(context, name, value), name)
}

/** A constant vector of one value in the graph's precision. */
export function filled({ builder }: Emission, length: number, value: number): string {
  const data = builder.precision === 'float32' ? new Float32Array(length) : new Float64Array(length)
  return builder.constant({ dtype: builder.precision, shape: [length], data: data.fill(value) })
}

/**
 * The bias of a layer: absent when the argument `bias` is false or the file has none.
 * @param length the elements that it must have
 * @throws ShapeError, OptionError
 */
export function bias(context: LayerContext, length: number): string | undefined {
  const given = isGiven(context, 'bias') ? flag(context, 'bias', true) : undefined
  const found = given === false
    ? undefined
    : given === true
    ? requiredTensor(context, 'bias', 1)
    : optionalTensor(context, 'bias', 1)
  if (found === undefined) return undefined
  if (found.shape[0] !== length) {
    throw misfit(context, `has a bias of ${found.shape[0]} elements for ${length} outputs`, { expected: [length],
      actual: found.shape })
  }
  return parameter(context, 'bias', found)
}

/** Checks a size that the architecture states against the tensors'. @throws ShapeError */
export function statedSize(context: LayerContext, key: string, stated: number | undefined, actual: number): void {
  if (stated !== undefined && stated !== actual) {
    throw misfit(context, `has ${key} ${stated} in the architecture, and tensors for ${actual}`, { expected: stated,
      actual })
  }
}
