/**
 * @file The state of the pickle machine and the moves that all opcodes are made of. Python's machine calls whatever a
 * file names; this one only builds data, without recursion, within limits.
 */
import type { Cursor } from './cursor.js'
import type { PickleLimits } from './limits.js'
import { refusePickle } from './refusal.js'
import { PickleDict, PickleFloat, type PickleGlobal, PickleList, PickleSet, PickleTuple,
  type PickleValue } from './values.js'

/** Makes the value of a name that is known, from the arguments that the file gives. Must check them. */
export type Constructor = (args: readonly PickleValue[], offset: number) => PickleValue

/** The stack, the marks and the memo, and how much has been made. */
export interface Machine {
  readonly cursor: Cursor
  readonly limits: PickleLimits
  /** Known names, by `module.name`. All others become records. */
  readonly constructors: ReadonlyMap<string, Constructor>
  /** Makes the value of a persistent id: a storage of PyTorch, which lies outside the pickle. */
  readonly persistent: ((id: PickleValue, offset: number) => PickleValue) | undefined
  readonly onGlobal: ((name: PickleGlobal) => void) | undefined
  readonly stack: PickleValue[]
  /** Heights of the stack at the open marks. */
  readonly marks: number[]
  readonly memo: Map<number, PickleValue>
  /** Opcode under way: its place, for messages. */
  at: number
  values: number
  containers: number
}

/** Puts a value on the stack. */
export function push(machine: Machine, value: PickleValue): void {
  if (++machine.values > machine.limits.values) {
    refusePickle(`holds more than ${machine.limits.values} values`, { offset: machine.at,
      limit: machine.limits.values })
  }
  machine.stack.push(value)
}

/** Puts a value that can hold others on the stack. */
export function pushContainer(machine: Machine, value: PickleValue): void {
  if (++machine.containers > machine.limits.containers) {
    refusePickle(`holds more than ${machine.limits.containers} lists, tuples, dictionaries and objects`, {
      offset: machine.at,
      limit: machine.limits.containers,
    })
  }
  push(machine, value)
}

/** Height below which the stack must not be taken from: that of the last mark. */
function floor({ marks }: Machine): number {
  return marks.length === 0 ? 0 : marks[marks.length - 1]
}

/** Takes the topmost value. */
export function pop(machine: Machine): PickleValue {
  const value = machine.stack.length > floor(machine) ? machine.stack.pop() : undefined
  return value === undefined ? underflow(machine) : value
}

/** The topmost value, which stays. */
export function top(machine: Machine): PickleValue {
  return machine.stack.length > floor(machine) ? machine.stack[machine.stack.length - 1] : underflow(machine)
}

function underflow(machine: Machine): never {
  return refusePickle('takes a value from an empty stack', { offset: machine.at })
}

/** Opens a mark at the height of the stack. @throws UntrustedInputError UNTRUSTED_INPUT when too many are open */
export function pushMark(machine: Machine): void {
  if (machine.marks.length >= machine.limits.marks) {
    refusePickle(`has more than ${machine.limits.marks} open marks`, { offset: machine.at,
      limit: machine.limits.marks })
  }
  machine.marks.push(machine.stack.length)
}

/** Takes everything above the last mark, and the mark. */
export function popMark(machine: Machine): PickleValue[] {
  const height = machine.marks.pop()
  if (height === undefined) refusePickle('closes a mark that was not opened', { offset: machine.at })
  return machine.stack.splice(height)
}

/** Remembers the topmost value under a number. */
export function memoize(machine: Machine, index: number): void {
  if (!(index >= 0 && index <= machine.limits.values)) {
    refusePickle(`remembers a value under the number ${index}`, { offset: machine.at, limit: machine.limits.values,
      actual: index })
  }
  machine.memo.set(index, top(machine))
}

/** Puts a remembered value on the stack. */
export function recall(machine: Machine, index: number): void {
  const value = machine.memo.get(index)
  if (value === undefined) {
    refusePickle(`recalls the value ${index}, which it never stored`, { offset: machine.at, actual: index })
  }
  push(machine, value)
}

/**
 * Sets a key. A dictionary never gives the same key twice; where two readers would differ in what they take, none is
 * taken.
 */
export function setKey(machine: Machine, dict: PickleDict, key: PickleValue, value: PickleValue): void {
  if (!isHashable(key, 0)) refusePickle('has a list or dictionary as a key', { offset: machine.at })
  if ((typeof key === 'string' || key instanceof Uint8Array) && key.length > machine.limits.keyBytes) {
    refusePickle(`has a key of ${key.length} characters`, { offset: machine.at, limit: machine.limits.keyBytes,
      actual: key.length })
  }
  const plain = key instanceof PickleFloat ? key.value : key
  if (dict.has(plain)) {
    refusePickle(
      `has the key ${
        typeof plain === 'string' ? JSON.stringify(plain.slice(0, 100)) : String(typeof plain)
      } twice in one dictionary`,
      { offset: machine.at },
    )
  }
  dict.set(plain, value)
}

/** Whether Python takes a value as a key; tuples inside tuples are looked at as far as any program nests them. */
function isHashable(key: PickleValue, depth: number): boolean {
  if (key instanceof PickleTuple) {
    return depth < 5 && key.items.length <= 100 && key.items.every(item => isHashable(item, depth + 1))
  }
  return !(key instanceof PickleList || key instanceof PickleDict || key instanceof PickleSet)
}

/** A tuple among the arguments of a constructor. */
export function tupleOf(value: PickleValue, what: string, offset: number): readonly PickleValue[] {
  return value instanceof PickleTuple ? value.items : refusePickle(`has ${what} that is not a tuple`, { offset })
}
