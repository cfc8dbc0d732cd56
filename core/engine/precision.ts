/** @file Rewrites a graph so that all its real numbers are of one precision. */
import type { Attribute, Graph, Node } from '../graph/graph.js'
import { dtypeOf, elementTypeOf, isFloat } from '../ops/element-types.js'
import { cast, type DType, type Precision, type Tensor } from '../tensor/tensor.js'

/** Attributes that name an element type. */
const TYPE_ATTRIBUTES = ['to', 'dtype']

/**
 * The graph with real initialisers, inputs, tensor attributes and casts in `precision`. Data in that precision is
 * shared.
 */
export function convertPrecision(graph: Graph, precision: Precision): Graph {
  const dtype = (own: DType): DType => (isFloat(own) ? precision : own)
  const value = (own: Tensor): Tensor => cast(own, dtype(own.dtype))
  return {
    ...graph,
    inputs: graph.inputs.map(input => ({ ...input, dtype: dtype(input.dtype) })),
    initializers: new Map([...graph.initializers].map(([name, own]) => [name, value(own)] as const)),
    nodes: graph.nodes.map(node => convertNode(node, precision, value)),
  }
}

function convertNode(node: Node, precision: Precision, convert: (value: Tensor) => Tensor): Node {
  const changed: Record<string, Attribute> = {}
  for (const [key, value] of Object.entries(node.attributes)) {
    if (typeof value === 'object' && 'data' in value) changed[key] = convert(value)
    else if (TYPE_ATTRIBUTES.includes(key) && typeof value === 'number' && isFloat(dtypeOf(node, value))) {
      changed[key] = elementTypeOf(precision)
    }
  }
  return Object.keys(changed).length === 0 ? node : { ...node, attributes: { ...node.attributes, ...changed } }
}
