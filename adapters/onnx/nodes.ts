/** @file The nodes and constants of an ONNX graph, as they are in the file. */
import { GraphError, UntrustedInputError } from '../../core/errors/errors.js'
import type { Node } from '../../core/graph/graph.js'
import { type Tensor, tensor } from '../../core/tensor/tensor.js'
import type { FileTensor } from '../tensors/file-tensor.js'
import { readAttributes } from './attributes.js'
import type { Constants } from './dequantize.js'
import type { ExternalData } from './external-data.js'
import { type AttributeMessage, type GraphMessage, type ModelMessage, type NodeMessage, toNumber } from './messages.js'
import { isText, readTensor, toCoreTensor } from './tensors.js'

/** What a graph consists of in the file. */
export interface Source {
  readonly nodes: readonly Node[]
  readonly constants: Constants
  /** Names of constants that hold text. */
  readonly texts: ReadonlySet<string>
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
 * Nodes and constants; the results of Constant nodes are constants behind the initialisers.
 * @throws UntrustedInputError, GraphError
 */
export function readSource(model: ModelMessage, graph: GraphMessage, files: ExternalData): Source {
  const { tensors, texts } = readInitializers(graph, files)
  const constants: Constants = { values: new Map(), fileTypes: new Map(), order: new Map() }
  const add = (name: string, value: Tensor): void => {
    if (constants.values.has(name)) {
      throw new GraphError('BAD_GRAPH', `Two values of the network are named '${name}'.`, { name })
    }
    constants.values.set(name, value)
    constants.order.set(name, constants.order.size)
  }
  for (const [name, value] of tensors) {
    add(name, toCoreTensor(value, name))
    constants.fileTypes.set(name, value.dtype)
  }
  const local = new Set((model.functions ?? []).map(({ name, domain }) => operatorName(name, domain)))
  const nodes: Node[] = []
  for (const message of graph.node ?? []) {
    if (message.op_type !== 'Constant' || operatorName('Constant', message.domain) !== 'Constant') {
      nodes.push(readNode(message, local, files))
    } else if (isTextConstant(message.attribute ?? [])) texts.add(message.output?.[0] ?? '')
    else add(message.output?.[0] ?? '', constantValue(message, files, constants))
  }
  return { nodes: trimOutputs(nodes, graph).map(node => withoutTexts(node, texts)), constants, texts }
}

/** How operators are called: those of ONNX by their name, others with their domain before it. */
function operatorName(op: string, domain: string | undefined): string {
  return domain === undefined || domain === '' || domain === 'ai.onnx' ? op : `${domain}::${op}`
}

function readNode(message: NodeMessage, local: ReadonlySet<string>, files: ExternalData): Node {
  const { op_type: op = '', name = '', input = [], output = [], attribute = [] } = message
  const called = operatorName(op, message.domain)
  if (op === '') {
    throw new UntrustedInputError(`The node '${name}' of the ONNX file has no operator.`, { format: 'ONNX',
      path: name })
  }
  if (output.every(value => value === '')) {
    throw new GraphError('BAD_GRAPH', `The ${called} node '${name}' has no output.`, { op: called, node: name })
  }
  return {
    op: local.has(called) ? `${called} (a function of the file)` : called,
    inputs: [...input],
    outputs: [...output],
    attributes: readAttributes(attribute, name === '' ? output[0] : name, files),
    ...(name === '' ? {} : { name }),
  }
}

function isTextConstant(attributes: readonly AttributeMessage[]): boolean {
  return attributes.some(({ name, t }) =>
    name === 'value_string' || name === 'value_strings' || (name === 'value' && t != null && isText(t))
  )
}

function constantValue({ attribute = [], output = [] }: NodeMessage, files: ExternalData,
  { fileTypes }: Constants): Tensor {
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
      fileTypes.set(name, read.dtype)
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
  'SimplifiedLayerNormalization', 'com.microsoft::SkipLayerNormalization'])

/** The nodes without outputs that nothing reads. */
function trimOutputs(nodes: readonly Node[], graph: GraphMessage): Node[] {
  const read = new Set((graph.output ?? []).map(({ name }) => name))
  for (const node of nodes) for (const name of node.inputs) read.add(name)
  return nodes.map(node => {
    if (!EXTRA_OUTPUTS.has(node.op) || node.outputs.length < 2) return node
    const used = node.outputs.slice(1).some(name => name !== '' && read.has(name))
    if (!used) return { ...node, outputs: node.outputs.slice(0, 1) }
    return node.op === 'MaxPool' ? node : { ...node, op: `${node.op} with outputs for training` }
  })
}

/** Text reaches no supported operator: those that read it stay in the graph without it. */
function withoutTexts(node: Node, texts: ReadonlySet<string>): Node {
  return node.inputs.some(name => texts.has(name))
    ? { ...node, op: `${node.op} of text`, inputs: node.inputs.map(name => (texts.has(name) ? '' : name)) }
    : node
}
