/** @file Attributes of ONNX nodes. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import type { Attribute } from '../../core/graph/graph.js'
import type { ExternalData } from './external-data.js'
import { type AttributeMessage, toNumber } from './messages.js'
import { isText, readTensor, toCoreTensor } from './tensors.js'

/** AttributeProto.AttributeType. */
const FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, FLOATS = 6, INTS = 7, STRINGS = 8

/** Attributes by name, of kinds that the core knows; subgraphs, types and sparse tensors are left out. */
export type Attributes = Readonly<Record<string, Attribute>>

/**
 * The attributes of a node.
 * @throws UntrustedInputError for names that occur twice or are none, and for damaged tensors
 */
export function readAttributes(messages: readonly AttributeMessage[], node: string, files: ExternalData): Attributes {
  const attributes = Object.create(null) as Record<string, Attribute>
  const seen = new Set<string>()
  for (const message of messages) {
    const { name } = message
    if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,199}$/.test(name) || name === '__proto__') {
      throw refuse(node, `has an attribute named '${name.slice(0, 50)}'`)
    }
    if (seen.has(name)) throw refuse(node, `has the attribute '${name}' twice`)
    seen.add(name)
    const value = attributeValue(message, node, files)
    if (value !== undefined) attributes[name] = value
  }
  return attributes
}

function refuse(node: string, problem: string): UntrustedInputError {
  return new UntrustedInputError(`The node '${node.slice(0, 200)}' of the ONNX file ${problem}.`, { format: 'ONNX',
    path: node })
}

function attributeValue(message: AttributeMessage, node: string, files: ExternalData): Attribute | undefined {
  switch (message.type === undefined || message.type === 0 ? guessedType(message) : message.type) {
    case FLOAT:
      return message.f ?? 0
    case INT:
      return toNumber(message.i)
    case STRING:
      return textOf(message.s)
    case FLOATS:
      return Array.from(message.floats ?? [])
    case INTS:
      return (message.ints ?? []).map(toNumber)
    case STRINGS:
      return (message.strings ?? []).map(textOf)
    case TENSOR:
      return message.t == null ? undefined : readTensorAttribute(message.t, `${node}.${message.name}`, files)
    default:
      return undefined
  }
}

/** Text tensors stay out: no supported operator takes them. */
function readTensorAttribute(value: NonNullable<AttributeMessage['t']>, name: string, files: ExternalData):
  | Attribute
  | undefined {
  return isText(value) ? undefined : toCoreTensor(readTensor(value, files, name), name)
}

/** Files of the first versions do not say the type. */
function guessedType(message: AttributeMessage): number {
  const has = (key: keyof AttributeMessage): boolean => Object.hasOwn(message, key)
  if (has('f')) return FLOAT
  if (has('i')) return INT
  if (has('s')) return STRING
  if (has('t')) return TENSOR
  if ((message.floats?.length ?? 0) > 0) return FLOATS
  if ((message.ints?.length ?? 0) > 0) return INTS
  return (message.strings?.length ?? 0) > 0 ? STRINGS : 0
}

const decoder = new TextDecoder()

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : decoder.decode(bytes)
}
