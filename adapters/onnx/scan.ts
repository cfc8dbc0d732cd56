/**
 * @file Checks the wire format of an ONNX file before it is decoded: every length, depth and count is bounded, so that
 * decoding allocates no more than the file justifies, and every fault has its byte offset.
 *
 * https://protobuf.dev/programming-guides/encoding: a message is a list of fields, each a tag (number and wire type)
 * and a value: a varint (0), eight bytes (1), a length and as many bytes (2), or four bytes (5).
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { DEEPEST_MESSAGE, LONGEST_NAME, MOST_MESSAGES, MOST_VALUES } from './limits.js'

/** What a field holds; messages are referred to by name. */
type Kind = 'varint' | 'float' | 'text' | 'bytes' | 'packed' | { readonly message: MessageName,
  readonly once?: boolean }
type MessageName = 'Model' | 'OperatorSet' | 'Function' | 'Graph' | 'Node' | 'Attribute' | 'Tensor' | 'Segment'
  | 'Entry' | 'Remark' | 'SparseTensor' | 'ValueInfo' | 'Type' | 'TensorType' | 'Shape' | 'Dimension'

interface Field {
  readonly name: string
  readonly kind: Kind
}

const field = (name: string, kind: Kind): Field => ({ name, kind })

/**
 * The fields of schema.proto by number, and what it leaves out: that is not decoded, but checked too.
 */
const MESSAGES: Readonly<Record<MessageName, Readonly<Record<number, Field>>>> = {
  Model: {
    1: field('ir_version', 'varint'),
    2: field('producer_name', 'text'),
    3: field('producer_version', 'text'),
    7: field('graph', { message: 'Graph', once: true }),
    8: field('opset_import', { message: 'OperatorSet' }),
    25: field('functions', { message: 'Function' }),
  },
  OperatorSet: { 1: field('domain', 'text'), 2: field('version', 'varint') },
  Function: {
    1: field('name', 'text'),
    4: field('input', 'text'),
    5: field('output', 'text'),
    6: field('attribute', 'text'),
    7: field('node', { message: 'Node' }),
    9: field('opset_import', { message: 'OperatorSet' }),
    10: field('domain', 'text'),
    11: field('attribute_proto', { message: 'Attribute' }),
    13: field('overload', 'text'),
  },
  Graph: {
    1: field('node', { message: 'Node' }),
    2: field('name', 'text'),
    5: field('initializer', { message: 'Tensor' }),
    11: field('input', { message: 'ValueInfo' }),
    12: field('output', { message: 'ValueInfo' }),
    13: field('value_info', { message: 'ValueInfo' }),
    15: field('sparse_initializer', { message: 'SparseTensor' }),
    16: field('metadata_props', { message: 'Remark' }),
  },
  Node: {
    1: field('input', 'text'),
    2: field('output', 'text'),
    3: field('name', 'text'),
    4: field('op_type', 'text'),
    5: field('attribute', { message: 'Attribute' }),
    7: field('domain', 'text'),
    8: field('overload', 'text'),
  },
  Attribute: {
    1: field('name', 'text'),
    2: field('f', 'float'),
    3: field('i', 'varint'),
    4: field('s', 'bytes'),
    5: field('t', { message: 'Tensor', once: true }),
    6: field('g', { message: 'Graph', once: true }),
    7: field('floats', 'float'),
    8: field('ints', 'varint'),
    9: field('strings', 'bytes'),
    11: field('graphs', { message: 'Graph' }),
    20: field('type', 'varint'),
    21: field('ref_attr_name', 'text'),
  },
  Tensor: {
    1: field('dims', 'varint'),
    2: field('data_type', 'varint'),
    3: field('segment', { message: 'Segment' }),
    4: field('float_data', 'packed'),
    5: field('int32_data', 'packed'),
    6: field('string_data', 'bytes'),
    7: field('int64_data', 'packed'),
    8: field('name', 'text'),
    9: field('raw_data', 'bytes'),
    10: field('double_data', 'packed'),
    11: field('uint64_data', 'packed'),
    13: field('external_data', { message: 'Entry' }),
    14: field('data_location', 'varint'),
  },
  Segment: { 1: field('begin', 'varint'), 2: field('end', 'varint') },
  Entry: { 1: field('key', 'text'), 2: field('value', 'text') },
  // An exporter's remark about a graph may be a long text.
  Remark: { 1: field('key', 'text'), 2: field('value', 'bytes') },
  SparseTensor: { 1: field('values', { message: 'Tensor', once: true }) },
  ValueInfo: {
    1: field('name', 'text'),
    2: field('type', { message: 'Type', once: true }),
    4: field('metadata_props', { message: 'Entry' }),
  },
  Type: { 1: field('tensor_type', { message: 'TensorType', once: true }) },
  TensorType: { 1: field('elem_type', 'varint'), 2: field('shape', { message: 'Shape', once: true }) },
  Shape: { 1: field('dim', { message: 'Dimension' }) },
  Dimension: { 1: field('dim_value', 'varint'), 2: field('dim_param', 'text') },
}

interface Scan {
  readonly bytes: Uint8Array
  offset: number
  /** How many messages and values there have been. */
  messages: number
  values: number
  readonly path: string[]
  readonly text: { decode(bytes: Uint8Array): string }
}

/**
 * Checks the whole file.
 * @throws UntrustedInputError with the offset and the path of the first fault
 */
export function scanModel(bytes: Uint8Array): void {
  scanMessage({ bytes, offset: 0, messages: 0, values: 0, path: [], text: new TextDecoder('utf-8', { fatal: true }) },
    'Model', bytes.length)
}

function fault(scan: Scan, message: string, offset: number,
  extra: { limit?: number, actual?: unknown } = {}): UntrustedInputError {
  const path = scan.path.join('.')
  return new UntrustedInputError(
    `The ONNX file is damaged: ${message} at byte ${offset}${path === '' ? '' : ` (${path})`}.`,
    { format: 'ONNX', offset, path, ...extra },
  )
}

function scanMessage(scan: Scan, name: MessageName, end: number): void {
  if (scan.path.length > DEEPEST_MESSAGE) {
    throw fault(scan, `more than ${DEEPEST_MESSAGE} messages inside of each other`, scan.offset, {
      limit: DEEPEST_MESSAGE,
    })
  }
  if (++scan.messages > MOST_MESSAGES) {
    throw fault(scan, `more than ${MOST_MESSAGES} nodes, tensors, attributes and other parts`, scan.offset, {
      limit: MOST_MESSAGES,
    })
  }
  const fields = MESSAGES[name]
  // One bit for each field, all of whose numbers are below 32.
  let seen = 0
  while (scan.offset < end) {
    const start = scan.offset
    const tag = varint(scan, end)
    const [number, wire] = [Math.floor(tag / 8), tag % 8]
    if (number === 0 || tag >= 2 ** 32) {
      throw fault(scan, `a field with the number ${number}`, start, { actual: number })
    }
    const known = Object.hasOwn(fields, number) ? fields[number] : undefined
    if (known === undefined) {
      skip(scan, wire, end, start)
      continue
    }
    if (typeof known.kind === 'object' && known.kind.once === true && (seen & 1 << number) !== 0) {
      throw fault(scan, `the field '${known.name}' twice`, start)
    }
    seen |= 1 << number
    scan.path.push(known.name)
    scanField(scan, known.kind, wire, end, start)
    scan.path.pop()
  }
}

function scanField(scan: Scan, kind: Kind, wire: number, end: number, start: number): void {
  const misplaced = (expected: string): UntrustedInputError =>
    fault(scan, `wire type ${wire} where ${expected} is expected`, start, { actual: wire })
  if (++scan.values > MOST_VALUES) {
    throw fault(scan, `more than ${MOST_VALUES} names and numbers`, start, { limit: MOST_VALUES })
  }
  if (kind === 'varint' && wire === 0) varint(scan, end)
  else if (kind === 'float' && wire === 5) skip(scan, wire, end, start)
  else if (wire !== 2) throw misplaced(kind === 'varint' || kind === 'float' ? 'a number' : 'a length')
  else {
    const length = lengthOf(scan, end, start)
    const stop = scan.offset + length
    if (typeof kind === 'object') scanMessage(scan, kind.message, stop)
    else if (kind === 'text') scanText(scan, length, start)
    else if (kind === 'varint') scanNumbers(scan, stop, start)
    else if (kind === 'float') {
      if (length % 4 !== 0) throw fault(scan, `${length} bytes for a list of floats`, start, { actual: length })
      scan.values += length / 4
    }
    if (scan.values > MOST_VALUES) {
      throw fault(scan, `more than ${MOST_VALUES} names and numbers`, start, { limit: MOST_VALUES })
    }
    scan.offset = stop
  }
}

/** A packed list of integers. */
function scanNumbers(scan: Scan, stop: number, start: number): void {
  while (scan.offset < stop) {
    if (++scan.values > MOST_VALUES) {
      throw fault(scan, `more than ${MOST_VALUES} names and numbers`, start, { limit: MOST_VALUES })
    }
    varint(scan, stop)
  }
}

function scanText(scan: Scan, length: number, start: number): void {
  if (length > LONGEST_NAME) {
    throw fault(scan, `a name of ${length} bytes; expected at most ${LONGEST_NAME}`, start, { limit: LONGEST_NAME,
      actual: length })
  }
  const end = scan.offset + length
  let at = scan.offset
  while (at < end && scan.bytes[at] < 128) at++
  if (at === end) return
  try {
    scan.text.decode(scan.bytes.subarray(scan.offset, end))
  } catch {
    throw fault(scan, 'a name that is not UTF-8', start)
  }
}

/** Passes over a value. */
function skip(scan: Scan, wire: number, end: number, start: number): void {
  if (wire === 0) {
    varint(scan, end)
    return
  }
  const length = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? lengthOf(scan, end, start) : undefined
  if (length === undefined) {
    throw fault(scan, wire === 3 || wire === 4 ? 'a group, which ONNX files do not have,' : `the wire type ${wire}`,
      start, { actual: wire })
  }
  if (length > end - scan.offset) {
    throw fault(scan, `the file or a part of it ends inside of a value of ${length} bytes`, start, {
      limit: end - scan.offset,
      actual: length,
    })
  }
  scan.offset += length
}

function lengthOf(scan: Scan, end: number, start: number): number {
  const length = varint(scan, end)
  if (length > end - scan.offset) {
    throw fault(scan, `a part claims ${length} bytes where ${end - scan.offset} are left`, start, {
      limit: end - scan.offset,
      actual: length,
    })
  }
  return length
}

/** Reads a varint; beyond 2^53 the value is rounded. */
function varint(scan: Scan, end: number): number {
  const start = scan.offset
  let value = 0
  for (let i = 0; i < 10; i++) {
    if (scan.offset >= end) throw fault(scan, 'the file or a part of it ends inside of a number', start)
    const byte = scan.bytes[scan.offset++]
    value += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) return value
  }
  throw fault(scan, 'a number of more than ten bytes', start)
}
