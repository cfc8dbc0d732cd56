/** @file Opcodes of numbers, text and bytes. */
import { type Cursor, float64, int32, line, take, takeText, uint16, uint32, uint64, uint8, utf8 } from './cursor.js'
import { type Machine, push } from './machine.js'
import { refusePickle } from './refusal.js'
import { PickleFloat, type PickleValue } from './values.js'

type Handler = (machine: Machine) => void

const scalar = (read: (cursor: Cursor, machine: Machine) => PickleValue): Handler => machine =>
  push(machine, read(machine.cursor, machine))

/** A little-endian integer in two's complement of any length. */
function longInteger(bytes: Uint8Array): number | bigint {
  if (bytes.length === 0) return 0
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[i])
  return exact(BigInt.asIntN(8 * bytes.length, value))
}

function exact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function long(machine: Machine, length: number): number | bigint {
  const { integerBytes } = machine.limits
  if (length < 0 || length > integerBytes) {
    refusePickle(`has an integer of ${length} bytes`, { offset: machine.at, limit: integerBytes, actual: length })
  }
  return longInteger(take(machine.cursor, length))
}

/** `I` and `L`: decimal text, which Python 2 writes for integers of more than 32 bits. */
function decimal(machine: Machine): number | bigint | boolean {
  const text = line(machine.cursor, machine.limits.lineBytes)
  if (text === '00' || text === '01') return text === '01'
  const digits = text.replace(/L$/, '')
  if (!/^[+-]?\d{1,600}$/.test(digits)) {
    refusePickle(`has the integer ${JSON.stringify(text.slice(0, 50))}`, { offset: machine.at })
  }
  return exact(BigInt(digits))
}

function decimalFloat(machine: Machine): PickleFloat {
  const text = line(machine.cursor, machine.limits.lineBytes)
  if (!/^[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|nan)$/.test(text)) {
    refusePickle(`has the number ${JSON.stringify(text.slice(0, 50))}`, { offset: machine.at })
  }
  return new PickleFloat(
    /nan/.test(text) ? NaN : /inf/.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text),
  )
}

/** A `str` of Python 2: text where it is UTF-8, else bytes. */
function oldString(cursor: Cursor, length: number): string | Uint8Array {
  const bytes = take(cursor, length)
  return isUtf8(bytes) ? utf8(bytes, cursor.offset) : bytes
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/** Opcodes by their byte. */
export const SCALARS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [0x4E, scalar(() => null)],
  [0x88, scalar(() => true)],
  [0x89, scalar(() => false)],
  [0x4A, scalar(int32)],
  [0x4B, scalar(uint8)],
  [0x4D, scalar(uint16)],
  [0x8A, scalar((cursor, machine) => long(machine, uint8(cursor)))],
  [0x8B, scalar((cursor, machine) => long(machine, int32(cursor)))],
  [0x49, scalar((_, machine) => decimal(machine))],
  [0x4C, scalar((_, machine) => decimal(machine))],
  [0x47, scalar(cursor => new PickleFloat(float64(cursor)))],
  [0x46, scalar((_, machine) => decimalFloat(machine))],
  [0x8C, scalar(cursor => takeText(cursor, uint8(cursor)))],
  [0x58, scalar(cursor => takeText(cursor, uint32(cursor)))],
  [0x8D, scalar(cursor => takeText(cursor, uint64(cursor)))],
  [0x55, scalar(cursor => oldString(cursor, uint8(cursor)))],
  [0x54, scalar(cursor => oldString(cursor, uint32(cursor)))],
  [0x43, scalar(cursor => take(cursor, uint8(cursor)))],
  [0x42, scalar(cursor => take(cursor, uint32(cursor)))],
  [0x8E, scalar(cursor => take(cursor, uint64(cursor)))],
  [0x96, scalar(cursor => take(cursor, uint64(cursor)))],
])

/** FRAME: the next bytes belong together. */
export function frame({ cursor, at }: Machine): void {
  if (cursor.framed) refusePickle('starts a frame inside another', { offset: at })
  const length = uint64(cursor)
  const start = cursor.offset
  if (!(length <= cursor.bytes.length - start)) {
    refusePickle(`has a frame of ${length} bytes; ${cursor.bytes.length - start} are left`, { offset: at,
      limit: cursor.bytes.length - start, actual: length })
  }
  cursor.framed = true
  cursor.frameEnd = start + length
}
