/** @file Reads a pickle of protocol 2 to 5 as data. */
import { CONTAINERS } from './containers.js'
import { cursorAt, uint8 } from './cursor.js'
import { PICKLE_LIMITS, type PickleLimits } from './limits.js'
import { type Constructor, type Machine, pop } from './machine.js'
import { OBJECTS, REFUSED, standardConstructors } from './objects.js'
import { refusePickle } from './refusal.js'
import { frame, SCALARS } from './scalars.js'
import type { PickleGlobal, PickleValue } from './values.js'

/** What can be said to `readPickle`. */
export interface PickleOptions {
  /** Names that become data, beside those of Python itself. */
  readonly constructors?: ReadonlyMap<string, Constructor>
  /** What persistent ids stand for. Without it they are refused. */
  readonly persistent?: (id: PickleValue, offset: number) => PickleValue
  /** Told of each name when it is met. */
  readonly onGlobal?: (name: PickleGlobal) => void
  readonly limits?: PickleLimits
  /** Where the pickle starts. */
  readonly start?: number
}

/** A pickle's value and where the pickle ends in the bytes. */
export interface ReadPickle {
  readonly value: PickleValue
  readonly end: number
}

const PROTO = 0x80
const STOP = 0x2E
const FRAME = 0x95
const OLDEST = 2
const NEWEST = 5

/** What each byte does. */
const HANDLERS = Array.from({ length: 256 },
  (_, byte) => SCALARS.get(byte) ?? CONTAINERS.get(byte) ?? OBJECTS.get(byte) ?? (byte === FRAME ? frame : undefined))

/**
 * Reads one pickle. Nothing of it is called: known names become data through `constructors`, all others become records
 * that hold their name, arguments and state.
 * @throws UntrustedInputError UNTRUSTED_INPUT with the byte at which the pickle is malformed, too large or hostile
 */
export function readPickle(bytes: Uint8Array, options: PickleOptions = {}): ReadPickle {
  const machine = startMachine(bytes, options)
  const { cursor } = machine
  checkProtocol(machine)
  for (;;) {
    // A frame that is used up makes room for what stands outside of frames.
    if (cursor.framed && cursor.offset === cursor.frameEnd) {
      cursor.framed = false
      cursor.frameEnd = bytes.length
    }
    machine.at = cursor.offset
    if (cursor.offset >= bytes.length) refusePickle('has no end: it was cut short', { offset: cursor.offset })
    const opcode = uint8(cursor)
    if (opcode === STOP) return { value: finish(machine), end: cursor.offset }
    const handler = HANDLERS[opcode]
    if (handler === undefined) {
      refusePickle(REFUSED.get(opcode) ?? `has the byte 0x${opcode.toString(16).padStart(2, '0')}, which is no opcode`,
        { offset: machine.at, actual: opcode })
    }
    handler(machine)
  }
}

function startMachine(bytes: Uint8Array, options: PickleOptions): Machine {
  const constructors = standardConstructors()
  for (const [path, constructor] of options.constructors ?? []) constructors.set(path, constructor)
  return {
    cursor: cursorAt(bytes, options.start ?? 0),
    limits: options.limits ?? PICKLE_LIMITS,
    constructors,
    persistent: options.persistent,
    onGlobal: options.onGlobal,
    stack: [],
    marks: [],
    memo: new Map(),
    at: 0,
    values: 0,
    containers: 0,
  }
}

function checkProtocol({ cursor }: Machine): void {
  const offset = cursor.offset
  if (cursor.bytes[offset] !== PROTO) {
    refusePickle(`does not start with a protocol from ${OLDEST} to ${NEWEST}`, { offset, actual: cursor.bytes[offset] })
  }
  cursor.offset++
  const protocol = uint8(cursor)
  if (protocol < OLDEST || protocol > NEWEST) {
    refusePickle(`has protocol ${protocol}; ${OLDEST} to ${NEWEST} can be read`, { offset, limit: NEWEST,
      actual: protocol })
  }
}

function finish(machine: Machine): PickleValue {
  const { cursor, marks, stack } = machine
  if (cursor.framed && cursor.offset !== cursor.frameEnd) {
    refusePickle('ends before its frame does', { offset: machine.at })
  }
  if (marks.length > 0) refusePickle('ends with open marks', { offset: machine.at, actual: marks.length })
  const value = pop(machine)
  if (stack.length > 0) {
    refusePickle(`ends with ${stack.length} values left over`, { offset: machine.at, actual: stack.length })
  }
  return value
}
