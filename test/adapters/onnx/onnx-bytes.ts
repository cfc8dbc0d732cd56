/**
 * @file Writes ONNX files field by field, so that tests can also write what no exporter would. Field numbers are those
 * of onnx.proto.
 */
import { joined as join } from '../../support/bytes.js'

export { join }

/** The value of a field: a varint, a text or bytes with their length, or a float of four bytes. */
export type FieldValue = number | bigint | string | Uint8Array | { readonly float: number }

export function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}

/** One field of a message. */
export function field(number: number, value: FieldValue): Uint8Array {
  if (typeof value === 'number' || typeof value === 'bigint') return join([varint(number * 8), varint(value)])
  if (typeof value === 'object' && 'float' in value) {
    return join([varint(number * 8 + 5), new Uint8Array(Float32Array.of(value.float).buffer)])
  }
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
  return join([varint(number * 8 + 2), varint(bytes.length), bytes])
}

/** A message of the fields given, in this order; lists are repeated fields. */
export function message(
  fields: readonly (readonly [number, FieldValue | readonly FieldValue[] | undefined])[],
): Uint8Array {
  return join(
    fields.flatMap(([number, value]) => (value === undefined
      ? []
      : Array.isArray(value)
      ? (value as FieldValue[]).map(each => field(number, each))
      : [field(number, value as FieldValue)])
    ),
  )
}

export const FLOAT = 1, UINT8 = 2, INT8 = 3, UINT16 = 4, INT16 = 5, INT32 = 6, INT64 = 7, STRING = 8, BOOL = 9,
  FLOAT16 = 10, DOUBLE = 11, UINT32 = 12, UINT64 = 13, BFLOAT16 = 16, UINT4 = 21, INT4 = 22

export interface TensorFields {
  dims?: readonly (number | bigint)[]
  type?: number
  raw?: Uint8Array
  name?: string
  float?: readonly number[]
  double?: readonly number[]
  int32?: readonly number[]
  int64?: readonly (number | bigint)[]
  uint64?: readonly (number | bigint)[]
  text?: readonly string[]
  external?: readonly (readonly [string, string])[]
  location?: number
  segment?: Uint8Array
}

const packed = (
  values: readonly (number | bigint)[] | undefined,
): Uint8Array | undefined => (values === undefined ? undefined : join(values.map(varint)))

export function tensor(
  { dims = [], type = FLOAT, raw, name, float, double, int32, int64, uint64, text, external, location, segment }:
    TensorFields,
): Uint8Array {
  return message([
    [1, dims],
    [2, type],
    [3, segment],
    [4, float === undefined ? undefined : new Uint8Array(Float32Array.from(float).buffer)],
    [5, packed(int32)],
    [6, text],
    [7, packed(int64)],
    [8, name],
    [9, raw],
    [10, double === undefined ? undefined : new Uint8Array(Float64Array.from(double).buffer)],
    [11, packed(uint64)],
    [13, external?.map(([key, value]) => message([[1, key], [2, value]]))],
    [14, location],
  ])
}

/** A float32 tensor in raw_data. */
export function floats(name: string, dims: readonly number[], values: readonly number[]): Uint8Array {
  return tensor({ name, dims, type: FLOAT, raw: new Uint8Array(Float32Array.from(values).buffer) })
}

/** An int64 tensor in raw_data. */
export function integers(name: string, dims: readonly number[], values: readonly (number | bigint)[]): Uint8Array {
  return tensor({ name, dims, type: INT64, raw: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) })
}

/** Values of attributes: integers, `{ float }`, text, lists of these, tensors, subgraphs. */
export type AttributeValue = number | string | { readonly float: number } | readonly number[] | {
  readonly floats: readonly number[]
} | readonly string[] | { readonly tensor: Uint8Array } | { readonly graph: Uint8Array }

export function attribute(name: string, value: AttributeValue): Uint8Array {
  if (typeof value === 'number') return message([[1, name], [3, value], [20, 2]])
  if (typeof value === 'string') return message([[1, name], [4, value], [20, 3]])
  if (Array.isArray(value)) {
    return typeof value[0] === 'string'
      ? message([[1, name], [9, value as string[]], [20, 8]])
      : message([[1, name], [8, value as number[]], [20, 7]])
  }
  if ('float' in value) return message([[1, name], [2, value], [20, 1]])
  if ('floats' in value) return message([[1, name], [7, value.floats.map(float => ({ float }))], [20, 6]])
  if ('graph' in value) return message([[1, name], [6, value.graph], [20, 5]])
  return message([[1, name], [5, (value as { tensor: Uint8Array }).tensor], [20, 4]])
}

export function node(op: string, inputs: readonly string[], outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {}, domain?: string): Uint8Array {
  return message([[1, inputs], [2, outputs], [4, op], [5,
    Object.entries(attributes).map(([key, value]) => attribute(key, value))], [7, domain]])
}

/** An input or output; names are symbolic lengths, `undefined` ones have no name. */
export function value(name: string, dims: readonly (number | string | undefined)[], type = FLOAT): Uint8Array {
  const dimensions = dims.map(dim => (typeof dim === 'number' ? message([[1, dim]]) : message([[2, dim]])))
  return message([[1, name], [2, message([[1, message([[1, type], [2, message([[1, dimensions]])]])]])]])
}

export interface GraphFields {
  nodes?: readonly Uint8Array[]
  tensors?: readonly Uint8Array[]
  inputs?: readonly Uint8Array[]
  outputs?: readonly Uint8Array[]
  sparse?: readonly Uint8Array[]
}

export function graph({ nodes = [], tensors = [], inputs = [], outputs = [], sparse }: GraphFields): Uint8Array {
  return message([[1, nodes], [2, 'g'], [5, tensors], [11, inputs], [12, outputs], [15, sparse]])
}

export function opset(version: number, domain = ''): Uint8Array {
  return message([[1, domain], [2, version]])
}

/** A whole file. */
export function model(
  fields: GraphFields & { opset?: number, domains?: readonly Uint8Array[], functions?: readonly Uint8Array[],
    ir?: number },
): Uint8Array {
  return message([[1, fields.ir ?? 8], [7, graph(fields)], [8, [opset(fields.opset ?? 17), ...(fields.domains ?? [])]],
    [25, fields.functions]])
}

/** A dense network N x 2 -> N x 3 with one linear layer. */
export function smallModel(overrides: Parameters<typeof model>[0] = {}): Uint8Array {
  return model({
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 })],
    tensors: [floats('w', [3, 2], [1, 2, 3, 4, 5, 6]), floats('b', [3], [0.5, -0.5, 0])],
    inputs: [value('x', ['n', 2])],
    outputs: [value('y', ['n', 3])],
    ...overrides,
  })
}
