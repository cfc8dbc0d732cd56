/**
 * @file What stands around a network in a fitted object: columns that are chosen and scaled before it, and targets that
 * are scaled back behind it. Its constants are no parameters.
 */
import { DataError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph, isBatch } from '../../core/graph/graph.js'
import { precisionOf } from '../../core/network/network.js'
import { tensor } from '../../core/tensor/tensor.js'
import { arrays, counts, numbers, type Structure } from './fields.js'

/**
 * The network with its input made from rows of `width` numbers: x M + shift, or the chosen columns times scale +
 * shift.
 * @param fields `width`, `shift`, and either `matrix` (width x D) or `columns` (D) and `scale` (D)
 * @throws DataError BAD_ARRAY when they are not of these shapes, or the network has other inputs
 */
export function withPreparation(graph: Graph, fields: Readonly<Record<string, unknown>>): Graph {
  const structure: Structure = { what: 'the preparation of the inputs', fields }
  const [width] = counts({ ...structure, fields: { width: [fields['width']] } }, 'width') ?? [0]
  const shift = numbers(structure, 'shift')
  const [input] = graph.inputs
  const size = input.shape.slice(1)
  if (graph.inputs.length !== 1 || size.length !== 1 || size[0] !== shift.length || !isBatch(input.shape[0])) {
    throw new DataError('BAD_ARRAY',
      `The steps before the network make ${shift.length} columns, and the network does not take a table of as many.`)
  }
  const precision = precisionOf(graph)
  const builder = GraphBuilder.from({ ...graph, nodes: [] }, precision)
  builder.inputs.length = 0
  for (const node of graph.nodes) for (const name of node.outputs) builder.fresh(name)
  const rows = builder.freshInput('rows', [BATCH, width])
  const constant = (values: ArrayLike<number>, shape: readonly number[] = [values.length]): string =>
    builder.constant(tensor(precision, shape, Float64Array.from(values)))
  const scaled = 'matrix' in fields
    ? builder.node('MatMul', [rows, ofMatrix(structure, width, shift.length, constant)])
    : builder.node('Mul', [chosen(builder, structure, rows, width), constant(numbers(structure, 'scale'))])
  builder.nodes.push({ op: 'Add', inputs: [scaled, constant(shift)], outputs: [input.name], attributes: {} },
    ...graph.nodes)
  return builder.build(graph.outputs)
}

function ofMatrix(structure: Structure, rows: number, columns: number,
  constant: (values: ArrayLike<number>, shape: readonly number[]) => string): string {
  const [matrix] = arrays({ ...structure, fields: { matrix: [structure.fields['matrix']] } }, 'matrix')
  if (matrix.shape.length !== 2 || matrix.shape[0] !== rows || matrix.shape[1] !== columns) {
    throw new DataError('BAD_ARRAY', `The matrix of ${structure.what} must be ${rows} x ${columns}.`)
  }
  return constant(matrix.data, matrix.shape)
}

function chosen(builder: GraphBuilder, structure: Structure, rows: string, width: number): string {
  const columns = counts(structure, 'columns') ?? []
  if (columns.some(column => column >= width)) {
    throw new DataError('BAD_ARRAY', `The columns of ${structure.what} must be less than ${width}.`)
  }
  return columns.length === width && columns.every((column, i) => column === i)
    ? rows
    : builder.node('Gather', [rows, builder.integers(columns)], { axis: 1 })
}

/** The network with its outputs times scale + shift, one number an output. @throws DataError BAD_ARRAY */
export function withScaledTargets(graph: Graph, fields: Readonly<Record<string, unknown>>): Graph {
  const structure: Structure = { what: 'the scale of the targets', fields }
  const [scale, shift] = [numbers(structure, 'scale'), numbers(structure, 'shift')]
  if (graph.outputs.length !== 1 || scale.length !== shift.length) {
    throw new DataError('BAD_ARRAY', 'The targets of a network with one output can be scaled, by as many numbers.')
  }
  const precision = precisionOf(graph)
  const builder = GraphBuilder.from(graph, precision)
  const constant = (values: Float64Array): string => builder.constant(tensor(precision, [values.length], values))
  const scaled = builder.node('Mul', [graph.outputs[0], constant(scale)])
  return builder.build([builder.node('Add', [scaled, constant(shift)])])
}

/** The network with names of the columns of its input. @throws DataError BAD_ARRAY unless there is one a column */
export function withColumns(graph: Graph, columns: readonly string[]): Graph {
  const [input, ...others] = graph.inputs
  const size = input.shape.slice(1)
  if (others.length > 0 || size.length !== 1 || size[0] !== columns.length) {
    throw new DataError('BAD_ARRAY', `There are names of ${columns.length} columns, and the network has others.`)
  }
  return { ...graph, inputs: [{ ...input, columns }] }
}
