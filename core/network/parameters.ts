/** @file Parameters of a network as the vector theta: offsets, values, and graphs with other values. */
import { GraphError } from '../errors/errors.js'
import type { Graph, Parameter } from '../graph/graph.js'
import { allocate, sizeOf, type Tensor } from '../tensor/tensor.js'
import type { ParameterSlot } from './parameter-slot.js'

/**
 * Where some parameters lie in theta's part, in the order of the names.
 * @throws GraphError BAD_GRAPH for a name that is not a parameter
 */
export function parameterSlots(graph: Graph, names: readonly string[]): ParameterSlot[] {
  let offset = 0
  return names.map(name => {
    const { shape, elements } = parameterNamed(graph, name)
    const slot = elements === undefined
      ? { name, shape, offset, size: sizeOf(shape) }
      : { name, shape, offset, size: elements.length, elements }
    offset += slot.size
    return slot
  })
}

/** The values of some parameters, one after another: each row-major, matrices out x in. */
export function parameterVector(graph: Graph, slots: readonly ParameterSlot[]): Float64Array {
  const theta = new Float64Array(slots.reduce((sum, slot) => sum + slot.size, 0))
  for (const { name, offset, elements } of slots) {
    const values = orientedValues(graph, name)
    if (elements === undefined) theta.set(values, offset)
    else for (let e = 0; e < elements.length; e++) theta[offset + e] = values[elements[e]]
  }
  return theta
}

/** The values of a parameter, row-major, a matrix out x in. */
function orientedValues(graph: Graph, name: string): ArrayLike<number> {
  const { shape, transposed } = parameterNamed(graph, name)
  const { data } = valueOf(graph, name)
  return transposed
    ? exchangeLastAxes(data, [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]])
    : data
}

/** The graph with the parameters' values taken from theta's part. */
export function withParameters(graph: Graph, slots: readonly ParameterSlot[], theta: Float64Array): Graph {
  const initializers = new Map(graph.initializers)
  for (const { name, offset, size, elements } of slots) {
    const { shape, transposed } = parameterNamed(graph, name)
    const old = valueOf(graph, name)
    // In the network's own precision: draws for a float32 network are rounded to 7 digits.
    const data = allocate(old.dtype, sizeOf(shape))
    const own = theta.subarray(offset, offset + size)
    const values = elements === undefined ? own : Float64Array.from(orientedValues(graph, name))
    elements?.forEach((element, e) => {
      values[element] = own[e]
    })
    data.set(transposed ? exchangeLastAxes(values, shape) : values)
    initializers.set(name, { ...old, data })
  }
  return { ...graph, initializers }
}

function parameterNamed(graph: Graph, name: string): Parameter {
  const found = graph.parameters.find(parameter => parameter.name === name)
  if (found === undefined) throw new GraphError('BAD_GRAPH', `The network has no parameter '${name}'.`, { name })
  return found
}

function valueOf(graph: Graph, name: string): Tensor {
  const value = graph.initializers.get(name)
  if (value === undefined) throw new GraphError('BAD_GRAPH', `The parameter '${name}' has no value.`, { name })
  return value
}

/** Row-major values of `shape` with the last two axes exchanged. */
export function exchangeLastAxes(values: ArrayLike<number>, shape: readonly number[]): Float64Array {
  const [rows, columns] = shape.slice(-2)
  const result = new Float64Array(values.length)
  for (let base = 0; base < values.length; base += rows * columns) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) result[base + j * rows + i] = values[base + i * columns + j]
    }
  }
  return result
}

/** The slots of whole tensors, also of those of which some elements alone take part. */
export function wholeSlots(graph: Graph, slots: readonly ParameterSlot[]): ParameterSlot[] {
  return parameterSlots({ ...graph, parameters: graph.parameters.map(({ elements: _, ...whole }) => whole) },
    slots.map(slot => slot.name))
}

/** Where every parameter lies among the elements of the whole tensors. */
export function placesIn(whole: readonly ParameterSlot[], slots: readonly ParameterSlot[]): Int32Array {
  return Int32Array.from(
    slots.flatMap(({ elements, size }, s) =>
      Array.from(elements ?? Array(size).keys(), element => whole[s].offset + element)
    ),
  )
}
