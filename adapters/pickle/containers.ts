/** @file Opcodes of tuples, lists, dictionaries and sets, of the stack and the memo. */
import { line, uint32, uint8 } from './cursor.js'
import { type Machine, memoize, pop, popMark, push, pushContainer, pushMark, recall, setKey, top } from './machine.js'
import { refusePickle } from './refusal.js'
import { PickleDict, PickleList, PickleRecord, PickleSet, PickleTuple, type PickleValue } from './values.js'

type Handler = (machine: Machine) => void

function pushTuple(machine: Machine, items: PickleValue[]): void {
  pushContainer(machine, new PickleTuple(items))
}

/** The last `count` values as a tuple. */
function tuple(count: number): Handler {
  return machine => {
    const items: PickleValue[] = []
    for (let i = 0; i < count; i++) items.unshift(pop(machine))
    pushTuple(machine, items)
  }
}

/** Fills a list or a set with the values behind the last mark. */
function fillFromMark(machine: Machine, container: PickleList | PickleSet): void {
  for (const item of popMark(machine)) container.items.push(item)
  pushContainer(machine, container)
}

function append(machine: Machine, items: readonly PickleValue[]): void {
  const target = top(machine)
  const list = target instanceof PickleList
    ? target.items
    : target instanceof PickleRecord
    ? (target.items ??= [])
    : refusePickle('appends to what is not a list', { offset: machine.at })
  for (const item of items) list.push(item)
}

function setItems(machine: Machine, items: readonly PickleValue[]): void {
  const target = top(machine)
  const dict = target instanceof PickleDict
    ? target
    : target instanceof PickleRecord
    ? (target.entries ??= new PickleDict())
    : refusePickle('sets a key in what is not a dictionary', { offset: machine.at })
  if (items.length % 2 !== 0) refusePickle('sets a key without a value', { offset: machine.at })
  for (let i = 0; i < items.length; i += 2) setKey(machine, dict, items[i], items[i + 1])
}

function addItems(machine: Machine, items: readonly PickleValue[]): void {
  const target = top(machine)
  if (!(target instanceof PickleSet)) refusePickle('adds to what is not a set', { offset: machine.at })
  for (const item of items) target.items.push(item)
}

function dictOfMark(machine: Machine): void {
  const items = popMark(machine)
  pushContainer(machine, new PickleDict())
  setItems(machine, items)
}

/** A POP directly on a mark takes the mark. */
function popTop(machine: Machine): void {
  const { marks, stack } = machine
  if (marks.length > 0 && marks[marks.length - 1] === stack.length) marks.pop()
  else pop(machine)
}

function setOne(machine: Machine): void {
  const value = pop(machine)
  const key = pop(machine)
  setItems(machine, [key, value])
}

/** The number in the text of PUT and GET. */
function decimalIndex(machine: Machine): number {
  const text = line(machine.cursor, machine.limits.lineBytes)
  return /^\d{1,15}$/.test(text)
    ? Number(text)
    : refusePickle(`numbers a value ${JSON.stringify(text.slice(0, 50))}`, { offset: machine.at })
}

/** Opcodes by their byte. */
export const CONTAINERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [0x28, pushMark],
  [0x30, popTop],
  [0x31, machine => {
    popMark(machine)
  }],
  [0x32, machine => push(machine, top(machine))],
  [0x29, machine => pushTuple(machine, [])],
  [0x85, tuple(1)],
  [0x86, tuple(2)],
  [0x87, tuple(3)],
  [0x74, machine => pushTuple(machine, popMark(machine))],
  [0x5D, machine => pushContainer(machine, new PickleList())],
  [0x6C, machine => fillFromMark(machine, new PickleList())],
  [0x61, machine => append(machine, [pop(machine)])],
  [0x65, machine => append(machine, popMark(machine))],
  [0x7D, machine => pushContainer(machine, new PickleDict())],
  [0x64, dictOfMark],
  [0x73, setOne],
  [0x75, machine => setItems(machine, popMark(machine))],
  [0x8F, machine => pushContainer(machine, new PickleSet())],
  [0x90, machine => addItems(machine, popMark(machine))],
  [0x91, machine => fillFromMark(machine, new PickleSet())],
  [0x68, machine => recall(machine, uint8(machine.cursor))],
  [0x6A, machine => recall(machine, uint32(machine.cursor))],
  [0x67, machine => recall(machine, decimalIndex(machine))],
  [0x71, machine => memoize(machine, uint8(machine.cursor))],
  [0x72, machine => memoize(machine, uint32(machine.cursor))],
  [0x70, machine => memoize(machine, decimalIndex(machine))],
  [0x94, machine => memoize(machine, machine.memo.size)],
])
