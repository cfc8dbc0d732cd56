/** @file The declared inputs of an ONNX graph: element types and symbolic shapes. */
import { GraphError, OptionError, UntrustedInputError } from '../../core/errors.js'
import { BATCH, type Dim, type GraphInput } from '../../core/graph/graph.js'
import { coreDType } from '../file-tensor.js'
import { elementType } from './element-types.js'
import { MOST_AXES, MOST_ELEMENTS } from './limits.js'
import { type DimensionMessage, toNumber, type ValueInfoMessage } from './messages.js'

/** Lengths of axes that the file leaves open, by the axis' name in the file, or `input:axis` for those without a name. */
export type Dimensions = Readonly<Record<string, number>>

/** An axis whose length the file leaves open. */
interface OpenAxis { readonly axis: number, readonly name: string }

/**
 * An input whose one open axis carries the examples. Where the file fixes all lengths the input has no batch axis yet.
 * @throws UntrustedInputError when it is no tensor of numbers; GraphError AMBIGUOUS_NETWORK when several lengths are open
 */
export function readInput({ name, type }: ValueInfoMessage, dimensions: Dimensions): GraphInput {
  const tensorType = type?.tensor_type
  if (tensorType == null) throw unusable(name, 'is no tensor')
  const element = elementType(tensorType.elem_type)
  if (element?.dtype === undefined) throw unusable(name, `holds ${element === undefined ? `elements of the unknown type ${tensorType.elem_type}` : element.name === 'STRING' ? 'text' : element.name}`)
  if (tensorType.shape == null) throw new GraphError('BAD_GRAPH', `The input '${name}' does not say what shape it has. Export the network with the shape of its input.`, { name })
  const dims = tensorType.shape.dim ?? []
  if (dims.length > MOST_AXES) throw unusable(name, `has ${dims.length} axes`)
  return { name, dtype: coreDType(element.dtype), shape: shapeOf(name, dims, dimensions) }
}

function unusable(name: string, what: string): UntrustedInputError {
  return new UntrustedInputError(`The input '${name.slice(0, 200)}' of the network ${what}; expected an array of numbers.`, { format: 'ONNX', path: name }, 'UNSUPPORTED_FORMAT')
}

function shapeOf(input: string, dims: readonly DimensionMessage[], dimensions: Dimensions): Dim[] {
  const open: OpenAxis[] = []
  const shape = dims.map((dim, axis): Dim => {
    const length = toNumber(dim.dim_value)
    if (length > MOST_ELEMENTS) throw unusable(input, `has an axis of length ${length}`)
    if (length > 0) return length
    const name = dim.dim_param === undefined || dim.dim_param === '' ? `${input}:${axis}` : dim.dim_param
    if (Object.hasOwn(dimensions, name)) return checkedLength(name, dimensions[name])
    open.push({ axis, name })
    return BATCH
  })
  if (open.length > 1) throw ambiguous(input, dims, open)
  return shape
}

function checkedLength(name: string, length: number): number {
  if (Number.isInteger(length) && length > 0 && length <= MOST_ELEMENTS) return length
  throw new OptionError('BAD_OPTION', `Option dimensions gives '${name}' the length ${length}; expected a positive integer.`, { option: 'dimensions', value: length })
}

function ambiguous(input: string, dims: readonly DimensionMessage[], open: readonly OpenAxis[]): GraphError {
  const shown = dims.map(({ dim_value: length, dim_param: name }) => (toNumber(length) > 0 ? toNumber(length) : name === undefined || name === '' ? '?' : name)).join(' x ')
  const others = open.slice(1).map(({ name }) => `'${name}': 32`).join(', ')
  return new GraphError('AMBIGUOUS_NETWORK', `The input '${input}' of shape ${shown} leaves several lengths open. Give all but that of the examples with the option dimensions, for example { ${others} }.`,
    { name: input, open: open.map(({ name }) => name) })
}
