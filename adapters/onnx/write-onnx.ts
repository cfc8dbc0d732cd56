/** @file Writes graphs as ONNX files. */
import { ResourceError } from '../../core/errors/errors.js'
import { type Attribute, type Dim, type Graph, type GraphInput, isBatch, type Node,
  type ValueType } from '../../core/graph/graph.js'
import { elementTypeOf, isFloat } from '../../core/ops/element-types.js'
import { operatorFor } from '../../core/ops/registry.js'
import { inferTypes } from '../../core/passes/infer.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { downgrade, irVersionOf, leastOpset, WRITTEN_OPSET, writtenOpset } from './downgrade.js'
import { withGrams } from './gram.js'
import { MOST_BYTES } from './limits.js'
import { lower } from './lower.js'
import { type AttributeMessage, type DimensionMessage, encodeModel, type NodeMessage, type TensorMessage,
  type ValueInfoMessage } from './messages.js'

/** How a file is labelled. */
export interface WriteOptions {
  /** Name of the network in the file. */
  readonly name?: string
  /** What the length of the batch axis is called. */
  readonly batchName?: string
  /** Values whose Gram matrices are outputs beside those of the graph: see gram.ts. */
  readonly grams?: readonly string[]
  /**
   * The operator set, from 13 to 24 (the default: the newest one that onnxruntime-node 1.30 runs); `least`: the oldest
   * from 17 on that can hold the graph.
   */
  readonly opset?: number | 'least'
  /** What the file is, in words. */
  readonly description?: string
  /**
   * Keeps the bytes of a large real tensor beside the file (nothing is copied), and says under which location the file
   * names them. Without it every tensor is in the file.
   */
  readonly beside?: (bytes: Uint8Array) => string
  /** What the file says of itself, for programs. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** The set from which on the least one is looked for: runtimes of the last years hold it. */
const USUAL_OPSET = 17

/** AttributeProto.AttributeType. */
const FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, FLOATS = 6, INTS = 7, STRINGS = 8

/** Attributes of ONNX operators that are real numbers; numbers of all other names are integers. */
const REAL_ATTRIBUTES = new Set([
  'activation_alpha',
  'activation_beta',
  'alpha',
  'beta',
  'bias',
  'clip',
  'cubic_coeff_a',
  'epsilon',
  'extrapolation_value',
  'gamma',
  'high',
  'lambd',
  'low',
  'mean',
  'momentum',
  'scale',
  'softcap',
  'spatial_scale',
  'value_float',
  'value_floats',
  'weights',
])

/**
 * The bytes of an ONNX file with a graph: a transcription, node by node, but for the operators that only the core has.
 * The batch axis of inputs and outputs is symbolic;
 * initialisers keep their dtype (float32, float64, int64, bool) and what they hold, bit by bit.
 * @throws GraphError when the graph is not valid or has operators that are not supported; ResourceError when it exceeds
 * 2 GiB; OptionError BAD_OPTION for the operator set, GraphError UNSUPPORTED_OPERATOR where it cannot hold the graph
 * @example
 * const bytes = writeOnnx(network)
 */
export function writeOnnx(graph: Graph,
  { name = 'network', batchName = 'n', grams = [], opset = WRITTEN_OPSET, beside, description, metadata = {} }:
    WriteOptions = {}): Uint8Array {
  for (const node of graph.nodes) operatorFor(node.op)
  const inferred = inferTypes(graph)
  const { graph: newest, types } = withGrams(lower(graph, inferred), grams, inferred)
  const set = opset === 'least' ? leastOpset(newest, USUAL_OPSET) : writtenOpset(opset)
  const { nodes, initializers, outputs } = downgrade(newest, set)
  const size = [...initializers.values()].reduce((sum, { data }) => sum + data.length * (data.BYTES_PER_ELEMENT), 0)
  if (size > MOST_BYTES) {
    throw new ResourceError('OUT_OF_MEMORY',
      `The weights of the network are ${size} bytes; an ONNX file holds at most ${MOST_BYTES} (2 GiB).`, { bytes: size,
      limit: MOST_BYTES })
  }
  return encodeModel({
    ir_version: irVersionOf(set),
    producer_name: 'polylaplace',
    opset_import: [{ domain: '', version: set }],
    graph: {
      name,
      node: withoutDoubleNames(nodes).map(nodeMessage),
      initializer: [...initializers].map(([key, value]) => ({ ...storedMessage(value, beside), name: key })),
      input: graph.inputs.map(input => valueMessage(input.name, input, batchName)),
      output: outputs.map(key => valueMessage(key, types.get(key), batchName)),
    },
  }, {
    ...(description === undefined ? {} : { doc_string: description }),
    metadata_props: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  })
}

function nodeMessage({ op, inputs, outputs, attributes, name }: Node): NodeMessage {
  return {
    op_type: op,
    input: trimmed(inputs),
    output: trimmed(outputs),
    attribute: Object.entries(attributes).map(([key, value]) => attributeMessage(key, value)),
    ...(name === undefined ? {} : { name }),
  }
}

/** Nodes of one name, as those that an operator of a file was written out to, but for the first of each. */
function withoutDoubleNames(nodes: readonly Node[]): Node[] {
  const seen = new Set<string>()
  return nodes.map(({ name, ...node }) => {
    if (name === undefined || seen.has(name)) return node
    seen.add(name)
    return { ...node, name }
  })
}

/** Without absent values at the end. */
function trimmed(names: readonly string[]): string[] {
  let length = names.length
  while (length > 0 && names[length - 1] === '') length--
  return names.slice(0, length)
}

const encoder = new TextEncoder()

function attributeMessage(name: string, value: Attribute): AttributeMessage {
  const real = REAL_ATTRIBUTES.has(name)
  if (typeof value === 'number') return real ? { name, type: FLOAT, f: value } : { name, type: INT, i: value }
  if (typeof value === 'string') return { name, type: STRING, s: encoder.encode(value) }
  if ('data' in value) return { name, type: TENSOR, t: tensorMessage(value) }
  if (value.every(item => typeof item === 'number')) {
    return real
      ? { name, type: FLOATS, floats: value }
      : { name, type: INTS, ints: value }
  }
  return { name, type: STRINGS, strings: (value as readonly string[]).map(item => encoder.encode(item)) }
}

/** TensorProto.DataLocation. */
const EXTERNAL = 1
/** Bytes from which on a tensor may be kept beside the file. */
const LARGE_TENSOR = 4096

function storedMessage(value: Tensor, beside: WriteOptions['beside']): TensorMessage {
  const { dtype, shape, data: { buffer, byteOffset, byteLength } } = value
  if (beside === undefined || !isFloat(dtype) || byteLength < LARGE_TENSOR) return tensorMessage(value)
  return { dims: shape, data_type: elementTypeOf(dtype), data_location: EXTERNAL,
    external_data: [{ key: 'location', value: beside(new Uint8Array(buffer, byteOffset, byteLength)) }, { key: 'offset',
      value: '0' }, { key: 'length', value: String(byteLength) }] }
}

function tensorMessage({ dtype, shape, data }: Tensor): TensorMessage {
  const stored = dtype === 'int64' ? BigInt64Array.from(data, BigInt) : data
  return { dims: shape, data_type: elementTypeOf(dtype),
    raw_data: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength) }
}

function valueMessage(name: string, type: ValueType | GraphInput | undefined, batchName: string): ValueInfoMessage {
  if (type === undefined) return { name }
  return { name, type: {
    tensor_type: { elem_type: elementTypeOf(type.dtype),
      shape: { dim: type.shape.map(dim => dimension(dim, batchName)) } },
  } }
}

function dimension(dim: Dim, batchName: string): DimensionMessage {
  if (!isBatch(dim)) return { dim_value: dim }
  const multiple = dim.outer * dim.inner
  return { dim_param: multiple === 1 ? batchName : `${multiple}*${batchName}` }
}
