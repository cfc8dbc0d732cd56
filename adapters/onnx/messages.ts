/** @file The messages of an ONNX file, and their decoder and encoder: types for the generated schema.ts. */
import protobuf from 'protobufjs/minimal.js'
import { UntrustedInputError } from '../../core/errors/errors.js'
import { scanModel } from './scan.js'
import { onnx } from './schema.js'

/** A 64-bit integer as the decoder hands it out. */
export type Integer = number | { toNumber(): number }

/** The nearest double. */
export function toNumber(value: Integer | null | undefined): number {
  return typeof value === 'number' ? value : value == null ? 0 : value.toNumber()
}

/** A file: the graph and the operator sets that it is written in. */
export interface ModelMessage {
  readonly ir_version?: Integer
  readonly producer_name?: string
  readonly producer_version?: string
  readonly opset_import?: readonly OperatorSetMessage[]
  readonly graph?: GraphMessage | null
  readonly functions?: readonly FunctionMessage[]
}

/** What a file says of itself. */
export interface ModelNotes {
  readonly doc_string?: string
  readonly metadata_props?: readonly { readonly key: string, readonly value: string }[]
}

/** A function of the file: nodes over its own inputs, and attributes that each call gives. */
export interface FunctionMessage {
  readonly name: string
  readonly domain?: string
  readonly input?: readonly string[]
  readonly output?: readonly string[]
  readonly node?: readonly NodeMessage[]
  readonly opset_import?: readonly OperatorSetMessage[]
  /** Attributes with the value that they have where a call gives none. */
  readonly attribute_proto?: readonly AttributeMessage[]
  /** Tells functions of one name apart. */
  readonly overload?: string
}

/** An operator set; the empty domain is that of ONNX itself. */
export interface OperatorSetMessage {
  readonly domain: string
  readonly version: Integer
}

/** A graph: nodes, stored tensors, inputs and outputs. */
export interface GraphMessage {
  readonly name?: string
  readonly node?: readonly NodeMessage[]
  readonly initializer?: readonly TensorMessage[]
  readonly input?: readonly ValueInfoMessage[]
  readonly output?: readonly ValueInfoMessage[]
  readonly value_info?: readonly ValueInfoMessage[]
  readonly sparse_initializer?: readonly { readonly values?: TensorMessage | null }[]
  readonly metadata_props?: readonly { readonly key: string, readonly value: string }[]
}

/** A node; an empty name stands for an optional input that is left out. */
export interface NodeMessage {
  readonly input?: readonly string[]
  readonly output?: readonly string[]
  readonly name?: string
  readonly op_type?: string
  readonly domain?: string
  readonly overload?: string
  readonly attribute?: readonly AttributeMessage[]
  readonly metadata_props?: readonly { readonly key: string, readonly value: string }[]
}

/** An attribute; `type` says which of the other fields holds the value. */
export interface AttributeMessage {
  readonly name: string
  readonly type?: number
  readonly f?: number
  readonly i?: Integer
  readonly s?: Uint8Array
  readonly t?: TensorMessage | null
  readonly g?: GraphMessage | null
  readonly floats?: readonly number[]
  readonly ints?: readonly Integer[]
  readonly strings?: readonly Uint8Array[]
  /** In functions: the attribute of the call whose value this one has. */
  readonly ref_attr_name?: string
}

/** A tensor: `raw_data` is little-endian, row-major; without it the values are in the field of their type. */
export interface TensorMessage {
  readonly name?: string
  readonly dims?: readonly Integer[]
  readonly data_type?: number
  readonly segment?: object | null
  readonly raw_data?: Uint8Array
  /** Packed numbers, in as many parts as the file has. */
  readonly float_data?: readonly Uint8Array[]
  readonly int32_data?: readonly Uint8Array[]
  readonly int64_data?: readonly Uint8Array[]
  readonly uint64_data?: readonly Uint8Array[]
  readonly double_data?: readonly Uint8Array[]
  readonly string_data?: readonly Uint8Array[]
  readonly external_data?: readonly { readonly key: string, readonly value: string }[]
  readonly data_location?: number
}

/** A value with its type, and what its exporter has noted about it. */
export interface ValueInfoMessage {
  readonly name: string
  readonly metadata_props?: readonly { readonly key: string, readonly value: string }[]
  readonly type?: { readonly tensor_type?: TensorTypeMessage | null } | null
}

/** Element type and shape; without a shape nothing is known of it. */
export interface TensorTypeMessage {
  readonly elem_type: number
  readonly shape?: { readonly dim?: readonly DimensionMessage[] } | null
}

/** A number, a name, or neither. */
export interface DimensionMessage {
  readonly dim_value?: Integer
  readonly dim_param?: string
}

/** What the generated code offers for one message. */
interface Codec<T> {
  encode(message: T): { finish(): Uint8Array }
  decode(reader: protobuf.Reader): T
}

const { ModelProto: codec, ModelNotes: notesCodec } = onnx as { readonly ModelProto: Codec<ModelMessage>,
  readonly ModelNotes: Codec<ModelNotes> }

/**
 * Decodes a file that has been recognised as ONNX; fields with bytes are views of it.
 * @throws UntrustedInputError with the offset of the first fault
 */
export function decodeModel(bytes: Uint8Array): ModelMessage {
  scanModel(bytes)
  try {
    return codec.decode(new protobuf.Reader(bytes))
  } catch (cause) {
    // The check before allows nothing that the decoder refuses; if it does so all the same, the file is at fault.
    throw new UntrustedInputError(`The ONNX file is damaged: ${String((cause as Error).message)}.`, { format: 'ONNX' })
  }
}

/** The bytes of a model. */
export function encodeModel(model: ModelMessage, notes: ModelNotes = {}): Uint8Array {
  const [own, said] = [codec.encode(model).finish(), notesCodec.encode(notes).finish()]
  if (said.length === 0) return own
  const bytes = new Uint8Array(own.length + said.length)
  bytes.set(said)
  bytes.set(own, said.length)
  return bytes
}
