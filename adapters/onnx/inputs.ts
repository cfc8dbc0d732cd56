/** @file The declared inputs of an ONNX graph: element types and symbolic shapes. */
import { GraphError, OptionError, UntrustedInputError } from '../../core/errors/errors.js'
import { BATCH, type Dim, type GraphInput } from '../../core/graph/graph.js'
import { coreDType } from '../tensors/convert.js'
import { elementType } from './element-types.js'
import { MOST_AXES, MOST_ELEMENTS } from './limits.js'
import { type DimensionMessage, toNumber, type ValueInfoMessage } from './messages.js'

/**
 * Lengths of axes that the file leaves open, by the axis' name in the file, or `input:axis` for those without a name.
 */
export type Dimensions = Readonly<Record<string, number>>

/** An axis whose length the file leaves open. */
interface OpenAxis {
  readonly axis: number
  readonly name: string
}

/**
 * An input. One open axis carries the examples; other open ones get the length that the caller gives, or else the one
 * that is tried (`trial`), and stay open for the data. Where the file fixes all lengths the input has no batch axis
 * yet.
 * @throws UntrustedInputError when it is no tensor of numbers; OptionError BAD_OPTION for lengths that are none
 */
export function readInput(value: ValueInfoMessage, dimensions: Dimensions, trial: number): GraphInput {
  const { name } = value
  const { dtype, dims } = declaration(value)
  const open = openAxes(name, dims, dimensions)
  const batch = batchAmong(open, dims)
  const shape = dims.map((dim, axis): Dim => {
    const length = toNumber(dim.dim_value)
    if (axis === batch) return BATCH
    if (length > 0) return length
    return givenLength(axisName(name, dim, axis), dimensions) ?? trial
  })
  const others = open.map(({ axis }) => axis).filter(axis => axis !== batch)
  return { name, dtype, shape, ...(others.length === 0 ? {} : { openAxes: others }) }
}

function declaration(
  { name, type }: ValueInfoMessage,
): { dtype: GraphInput['dtype'], dims: readonly DimensionMessage[] } {
  const tensorType = type?.tensor_type
  if (tensorType == null) throw unusable(name, 'is no tensor')
  const element = elementType(tensorType.elem_type)
  if (element === undefined) throw unusable(name, `holds elements of the unknown type ${tensorType.elem_type}`)
  if (element.dtype === undefined) throw unusable(name, `holds ${element.name === 'STRING' ? 'text' : element.name}`)
  if (tensorType.shape == null) {
    throw new GraphError('BAD_GRAPH',
      `The input '${name}' does not say what shape it has. Export the network with the shape of its input.`, { name })
  }
  const dims = tensorType.shape.dim ?? []
  if (dims.length > MOST_AXES) throw unusable(name, `has ${dims.length} axes`)
  for (const dim of dims) {
    if (toNumber(dim.dim_value) > MOST_ELEMENTS) {
      throw unusable(name, `has an axis of length ${toNumber(dim.dim_value)}`)
    }
  }
  return { dtype: coreDType(element.dtype), dims }
}

function unusable(name: string, what: string): UntrustedInputError {
  return new UntrustedInputError(
    `The input '${
      name.slice(0, 200)
    }' of the network ${what}; expected an array of numbers. Columns of text are coded ` +
      'before: export the network behind its encoder, and give it the encoded columns.',
    { format: 'ONNX', path: name },
    'UNSUPPORTED_FORMAT',
  )
}

function axisName(input: string, { dim_param: name }: DimensionMessage, axis: number): string {
  return name === undefined || name === '' ? `${input}:${axis}` : name
}

/** The axes whose length neither the file nor the caller gives. */
function openAxes(input: string, dims: readonly DimensionMessage[], dimensions: Dimensions): OpenAxis[] {
  return dims.flatMap((dim, axis) => {
    const name = axisName(input, dim, axis)
    return toNumber(dim.dim_value) > 0 || givenLength(name, dimensions) !== undefined ? [] : [{ axis, name }]
  })
}

/**
 * The open axis that carries the examples: one that is called so, the first one of the input, or the only one; -1 when
 * it is fixed to 1 example.
 */
function batchAmong(open: readonly OpenAxis[], dims: readonly DimensionMessage[]): number {
  const named = open.find(({ name }) => /batch|^n$|^b$/i.test(name)) ?? open.find(({ axis }) => axis === 0)
  if (named !== undefined) return named.axis
  return open.length === 0 || toNumber(dims[0].dim_value) === 1 ? -1 : open[0].axis
}

function givenLength(name: string, dimensions: Dimensions): number | undefined {
  if (!Object.hasOwn(dimensions, name)) return undefined
  const length = dimensions[name]
  if (Number.isInteger(length) && length > 0 && length <= MOST_ELEMENTS) return length
  throw new OptionError('BAD_OPTION',
    `Option dimensions gives '${name}' the length ${length}; expected a positive integer.`, { option: 'dimensions',
    value: length })
}

/** The error for a network whose open lengths must be given; `why` is the end of a sentence about it. */
export function openLengthsError(values: readonly ValueInfoMessage[], dimensions: Dimensions, why: string): GraphError {
  const inputs = values.map(value => {
    const { dims } = declaration(value)
    const open = openAxes(value.name, dims, dimensions)
    const batch = batchAmong(open, dims)
    const shape = dims.map((dim,
      axis) => (toNumber(dim.dim_value) > 0 ? toNumber(dim.dim_value) : axisName(value.name, dim, axis))
    ).join(' x ')
    return { text: `'${value.name}' of shape ${shape}`,
      others: open.filter(({ axis }) => axis !== batch).map(({ name }) => name) }
  })
  const others = [...new Set(inputs.flatMap(input => input.others))]
  const example = others.map(name => `'${name}': 32`).join(', ')
  const problem = `The input ${inputs.map(input => input.text).join(', ')} leaves lengths open, and ${why}.`
  return new GraphError('AMBIGUOUS_NETWORK',
    `${problem} Give all but that of the examples with the option dimensions, for example { ${example} }.`, {
    open: others,
  })
}
