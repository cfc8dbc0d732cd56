/** @file The nodes and constants of an ONNX graph, as they are in the file. */
import { GraphError, UntrustedInputError } from '../../core/errors/errors.js'
import type { Node } from '../../core/graph/graph.js'
import { type Tensor, tensor } from '../../core/tensor/tensor.js'
import type { FileTensor } from '../tensors/file-tensor.js'
import { readAttributes } from './attributes.js'
import { type Constants, foldQuantization } from './dequantize.js'
import type { ExternalData } from './external-data.js'
import { callExpander, type ExpandCalls, operatorName, type PlacedNode, standardOpset } from './functions.js'
import { checkAttributes } from './known-attributes.js'
import { type AttributeMessage, type GraphMessage, type ModelMessage, type NodeMessage, toNumber } from './messages.js'
import { isText, readTensor, toCoreTensor } from './tensors.js'

/** A node as the file has it: perhaps with subgraphs, perhaps from a function of another operator set. */
export interface SourceNode extends Node {
  /**
   * The subgraphs of If, Loop and Scan by attribute. What they read from around them are inputs of the node too, behind
   * the `given` ones of the file, so that nodes are sorted and kept as they need.
   */
  readonly bodies?: Readonly<Record<string, Body>>
  readonly given?: number
  readonly opset?: number
}

/** A subgraph. */
export interface Body {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** In topological order. */
  readonly nodes: readonly SourceNode[]
  readonly constants: ReadonlyMap<string, Tensor>
}

/** What a graph consists of in the file. */
export interface Source {
  readonly nodes: readonly SourceNode[]
  readonly constants: Constants
  /** Names of constants that hold text. */
  readonly texts: ReadonlySet<string>
}

/** What reading nodes needs beside them. */
interface Reading {
  readonly expandCalls: ExpandCalls
  /** Of ONNX' own operators in the model. */
  readonly opset: number
  readonly files: ExternalData
}

/** The tensors among the initialisers, by name, in the order of the file. @throws UntrustedInputError */
export function readInitializers(graph: GraphMessage,
  files: ExternalData): { tensors: Map<string, FileTensor>, texts: Set<string> } {
  const tensors = new Map<string, FileTensor>()
  const texts = new Set<string>()
  for (const message of graph.initializer ?? []) {
    const name = message.name ?? ''
    if (name === '') {
      throw new UntrustedInputError('The ONNX file holds a tensor without a name.', { format: 'ONNX',
        path: 'graph.initializer' })
    }
    if (tensors.has(name) || texts.has(name)) {
      throw new UntrustedInputError(`The ONNX file holds two tensors named '${name}'.`, { format: 'ONNX', path: name })
    }
    if (isText(message)) texts.add(name)
    else tensors.set(name, readTensor(message, files))
  }
  if ((graph.sparse_initializer?.length ?? 0) > 0) {
    const name = graph.sparse_initializer?.[0].values?.name ?? ''
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The network has sparse tensors ('${name}'), which are not supported. Export it with dense weights.`, {
      op: 'SparseTensor',
      name,
    })
  }
  return { tensors, texts }
}

/**
 * Nodes and constants; the results of Constant nodes are constants behind the initialisers, calls of the file's
 * functions are replaced by what these consist of.
 * @throws UntrustedInputError, GraphError
 */
export function readSource(model: ModelMessage, graph: GraphMessage, files: ExternalData): Source {
  return readGraph(graph, { files, expandCalls: callExpander(model), opset: standardOpset(model.opset_import) ?? 1 })
}

function readGraph(graph: GraphMessage, reading: Reading): Source {
  const { files } = reading
  const { tensors, texts } = readInitializers(graph, files)
  const constants: Constants = { values: new Map(), order: new Map(), elementTypes: declaredTypes(graph) }
  const add = (name: string, value: Tensor): void => {
    if (constants.values.has(name)) {
      throw new GraphError('BAD_GRAPH', `Two values of the network are named '${name}'.`, { name })
    }
    constants.values.set(name, value)
    constants.order.set(name, constants.order.size)
  }
  for (const [name, value] of tensors) add(name, toCoreTensor(value, name))
  const nodes: SourceNode[] = []
  for (const message of reading.expandCalls(graph.node ?? [])) {
    if (message.op_type !== 'Constant' || operatorName('Constant', message.domain) !== 'Constant') {
      nodes.push(readNode(message, reading))
    } else if (isTextConstant(message.attribute ?? [])) texts.add(message.output?.[0] ?? '')
    else add(message.output?.[0] ?? '', constantValue(message, files, constants))
  }
  return { nodes: trimOutputs(nodes, graph).map(node => withoutTexts(node, texts)), constants, texts }
}

/** The element types of inputs and initialisers in the file. */
function declaredTypes(graph: GraphMessage): Map<string, number> {
  return new Map([
    ...(graph.input ?? []).map(({ name, type }) => [name, type?.tensor_type?.elem_type ?? 0] as const),
    ...(graph.initializer ?? []).map(({ name = '', data_type = 0 }) => [name, data_type] as const),
  ])
}

function readNode(message: PlacedNode, reading: Reading): SourceNode {
  const { op_type: op = '', name = '', input = [], output = [], attribute = [], opset } = message
  const called = operatorName(op, message.domain)
  if (op === '') {
    throw new UntrustedInputError(`The node '${name}' of the ONNX file has no operator.`, { format: 'ONNX',
      path: name })
  }
  if (output.every(value => value === '')) {
    throw new GraphError('BAD_GRAPH', `The ${called} node '${name}' has no output.`, { op: called, node: name })
  }
  checkAttributes(called, name === '' ? output[0] : name, opset ?? reading.opset, attribute)
  const bodies = Object.fromEntries(
    attribute.flatMap(({ name: key, g }) => (g == null ? [] : [[key, readBody(g, reading)] as const])),
  )
  const captured = Object.values(bodies).flatMap(readsFromOutside)
  return {
    op: called,
    inputs: [...input, ...new Set(captured)],
    outputs: [...output],
    attributes: readAttributes(attribute, name === '' ? output[0] : name, reading.files),
    ...(name === '' ? {} : { name }),
    ...(Object.keys(bodies).length === 0 ? {} : { bodies, given: input.length }),
    ...(opset === undefined ? {} : { opset }),
  }
}

function readBody(graph: GraphMessage, reading: Reading): Body {
  const { nodes, constants } = readGraph(graph, reading)
  return { inputs: (graph.input ?? []).map(({ name }) => name), outputs: (graph.output ?? []).map(({ name }) => name),
    nodes: foldQuantization(nodes, constants), constants: constants.values }
}

/** The values that a subgraph uses and does not make. */
function readsFromOutside({ inputs, outputs, nodes, constants }: Body): string[] {
  const own = new Set(['', ...inputs, ...constants.keys(), ...nodes.flatMap(node => node.outputs)])
  return [...outputs, ...nodes.flatMap(node => node.inputs)].filter(name => !own.has(name))
}

function isTextConstant(attributes: readonly AttributeMessage[]): boolean {
  return attributes.some(({ name, t }) =>
    name === 'value_string' || name === 'value_strings' || (name === 'value' && t != null && isText(t))
  )
}

function constantValue({ attribute = [], output = [] }: NodeMessage, files: ExternalData,
  { elementTypes }: Constants): Tensor {
  const name = output[0] ?? ''
  const refuse = (what: string): GraphError =>
    new GraphError('BAD_GRAPH', `The Constant node that computes '${name}' ${what}.`, { op: 'Constant', name })
  if (name === '') throw refuse('has no output')
  if (attribute.length !== 1) throw refuse(`has ${attribute.length} attributes; expected its value`)
  const [value] = attribute
  switch (value.name) {
    case 'value': {
      if (value.t == null) throw refuse('has no value')
      const read = readTensor(value.t, files, name)
      elementTypes.set(name, value.t.data_type ?? 0)
      return toCoreTensor(read, name)
    }
    case 'value_float':
      return tensor('float32', [], [value.f ?? 0])
    case 'value_int':
      return tensor('int64', [], [toNumber(value.i)])
    case 'value_floats':
      return tensor('float32', [value.floats?.length ?? 0], value.floats ?? [])
    case 'value_ints':
      return tensor('int64', [value.ints?.length ?? 0], (value.ints ?? []).map(toNumber))
    case 'sparse_value':
      throw new GraphError('UNSUPPORTED_OPERATOR',
        `The Constant node that computes '${name}' is a sparse tensor, which is not supported.`, { op: 'SparseTensor',
        name })
    default:
      throw refuse(`has the unknown attribute '${value.name}'`)
  }
}

/** Operators whose outputs behind the first are for training, or optional. */
const EXTRA_OUTPUTS = new Set(['BatchNormalization', 'Dropout', 'MaxPool', 'LayerNormalization',
  'SimplifiedLayerNormalization',
  ...['Attention', 'MultiHeadAttention', 'EmbedLayerNormalization', 'SkipLayerNormalization',
    'SkipSimplifiedLayerNormalization'].map(op => `com.microsoft::${op}`)])

/** Those of them whose further outputs are for training alone. */
const FOR_TRAINING = new Set(['BatchNormalization', 'SimplifiedLayerNormalization'])

/** The nodes without optional outputs that nothing reads. */
function trimOutputs(nodes: readonly SourceNode[], graph: GraphMessage): SourceNode[] {
  const read = new Set((graph.output ?? []).map(({ name }) => name))
  for (const node of nodes) for (const name of node.inputs) read.add(name)
  return nodes.map(node => {
    if (!EXTRA_OUTPUTS.has(node.op) || node.outputs.length < 2) return node
    const outputs = node.outputs.map((name, i) => (i === 0 || read.has(name) ? name : ''))
    const used = outputs.slice(0, outputs.findLastIndex(name => name !== '') + 1)
    const training = used.length > 1 && FOR_TRAINING.has(node.op)
    return { ...node, outputs: used, ...(training ? { op: `${node.op} with outputs for training` } : {}) }
  })
}

/** Text reaches no supported operator: those that read it stay in the graph without it. */
function withoutTexts(node: SourceNode, texts: ReadonlySet<string>): SourceNode {
  return node.inputs.some(name => texts.has(name))
    ? { ...node, op: `${node.op} of text`, inputs: node.inputs.map(name => (texts.has(name) ? '' : name)) }
    : node
}
