/** @file A graph as a tree of plain values, for saved posteriors and for worker threads. */
import { UntrustedInputError } from '../errors/errors.js'
import { type Attribute, type Dim, type Graph, type GraphInput, isBatch, type Node,
  type Parameter } from '../graph/graph.js'
import { type DType, sizeOf, type Tensor } from '../tensor/tensor.js'
import type { Tree } from './container.js'
import { booleanField, countField, countsField, exact, type Fields, fieldsOf, listField, textField, textsField,
  wordField } from './fields.js'

const DTYPES: readonly DType[] = ['float32', 'float64', 'int64', 'bool']

/** The tree of a graph. */
export function graphToTree(graph: Graph): Tree {
  return {
    inputs: graph.inputs.map(({ name, dtype, shape, openAxes, columns }) => ({ name, dtype, shape: shape.map(dimToTree),
      ...(openAxes === undefined ? {} : { openAxes }), ...(columns === undefined ? {} : { columns }) })
    ),
    ...(graph.declaredInputs === undefined ? {} : { declaredInputs: graph.declaredInputs }),
    outputs: graph.outputs,
    nodes: graph.nodes.map(node => ({
      op: node.op,
      inputs: node.inputs,
      outputs: node.outputs,
      attributes: Object.entries(node.attributes).map(([key, value]) => [key, attributeToTree(value)]),
      ...(node.name === undefined ? {} : { name: node.name }),
    })),
    initializers: [...graph.initializers].map(([name, value]) => ({ name, ...tensorToTree(value) })),
    parameters: graph.parameters.map(({ name, shape, transposed }) => ({ name, shape, transposed })),
    notes: graph.notes,
  }
}

function dimToTree(dim: Dim): Tree {
  return isBatch(dim) ? { outer: dim.outer, inner: dim.inner } : dim
}

function tensorToTree({ dtype, shape, data }: Tensor): { readonly [key: string]: Tree } {
  return { dtype, shape, data }
}

function attributeToTree(attribute: Attribute): Tree {
  return typeof attribute === 'object' && 'data' in attribute ? { tensor: tensorToTree(attribute) } : attribute
}

/**
 * The graph of a tree.
 * @throws UntrustedInputError when the tree is not that of a graph
 */
export function graphFromTree(tree: Tree | undefined): Graph {
  const fields = fieldsOf(tree, 'network')
  return exact(fields, 'network', {
    inputs: listField(fields, 'inputs').map(item => inputFrom(fieldsOf(item, 'inputs'))),
    ...(fields['declaredInputs'] === undefined ? {} : { declaredInputs: textsField(fields, 'declaredInputs') }),
    outputs: textsField(fields, 'outputs'),
    nodes: listField(fields, 'nodes').map(item => nodeFrom(fieldsOf(item, 'nodes'))),
    initializers: distinct('initializers', listField(fields, 'initializers').map(item => {
      const entry = fieldsOf(item, 'initializers')
      return [textField(entry, 'name'), tensorFrom(entry)] as const
    })),
    parameters: listField(fields, 'parameters').map(item => parameterFrom(fieldsOf(item, 'parameters'))),
    notes: textsField(fields, 'notes'),
  })
}

/** @throws UntrustedInputError when a name stands twice: which of its values is meant, nobody can say */
function distinct<T>(path: string, entries: readonly (readonly [string, T])[]): Map<string, T> {
  const map = new Map(entries)
  if (map.size === entries.length) return map
  throw new UntrustedInputError(`The file is damaged: a name stands twice among the ${path}.`, { format: 'container',
    path })
}

function inputFrom(fields: Fields): GraphInput {
  const shape = listField(fields, 'shape').map((dim): Dim => {
    if (typeof dim === 'number' && Number.isSafeInteger(dim) && dim >= 0) return dim
    const batch = fieldsOf(dim, 'shape')
    return exact(batch, 'shape', { outer: countField(batch, 'outer'), inner: countField(batch, 'inner') })
  })
  return exact(fields, 'inputs', { name: textField(fields, 'name'), dtype: wordField(fields, 'dtype', DTYPES), shape,
    ...(fields['openAxes'] === undefined ? {} : { openAxes: countsField(fields, 'openAxes') }),
    ...(fields['columns'] === undefined ? {} : { columns: textsField(fields, 'columns') }) })
}

function nodeFrom(fields: Fields): Node {
  const attributes = listField(fields, 'attributes').map(item => {
    const [key, value, ...more] = Array.isArray(item) ? item as readonly Tree[] : []
    if (typeof key !== 'string' || more.length > 0) {
      throw new UntrustedInputError('The file is damaged: an attribute has no name.', { format: 'container',
        path: 'attributes' })
    }
    return [key, attributeFrom(value)] as const
  })
  const plain = Object.assign(Object.create(null), Object.fromEntries(distinct('attributes', attributes))) as Record<
    string,
    Attribute
  >
  const name = fields['name'] === undefined ? {} : { name: textField(fields, 'name') }
  return exact(fields, 'nodes', { op: textField(fields, 'op'), inputs: textsField(fields, 'inputs'),
    outputs: textsField(fields, 'outputs'), attributes: plain, ...name })
}

function attributeFrom(tree: Tree | undefined): Attribute {
  if (typeof tree === 'number' || typeof tree === 'string') return tree
  if (Array.isArray(tree)) {
    if (tree.every((item): item is number => typeof item === 'number')) return tree
    if (tree.every((item): item is string => typeof item === 'string')) return tree
  }
  const fields = fieldsOf(tree, 'attributes')
  return exact(fields, 'attributes', { tensor: tensorFrom(fieldsOf(fields['tensor'], 'tensor')) }).tensor
}

function tensorFrom(fields: Fields): Tensor {
  const dtype = wordField(fields, 'dtype', DTYPES)
  const shape = countsField(fields, 'shape')
  const data = fields['data']
  const fits = dtype === 'float32'
    ? data instanceof Float32Array
    : dtype === 'bool'
    ? data instanceof Uint8Array
    : data instanceof Float64Array
  if (!fits || !ArrayBuffer.isView(data) || data.length !== sizeOf(shape)) {
    throw new UntrustedInputError(
      `The file is damaged: a ${dtype} tensor of shape [${shape.join(', ')}] does not have its data.`,
      { format: 'container', path: 'data' },
    )
  }
  return exact(fields, 'initializers', { dtype, shape, data }, ['name'])
}

function parameterFrom(fields: Fields): Parameter {
  return exact(fields, 'parameters', { name: textField(fields, 'name'), shape: countsField(fields, 'shape'),
    transposed: booleanField(fields, 'transposed') })
}
