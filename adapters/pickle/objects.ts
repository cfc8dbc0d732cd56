/**
 * @file Opcodes that make Python call something. Here known names become data, and all others are written down as
 * records.
 */
import { line } from './cursor.js'
import { type Constructor, type Machine, pop, popMark, push, pushContainer, top, tupleOf } from './machine.js'
import { globalName } from './names.js'
import { refusePickle } from './refusal.js'
import { ForeignValue, PickleDict, PickleGlobal, PickleRecord, PickleTuple, type PickleValue } from './values.js'

type Handler = (machine: Machine) => void

function pushGlobal(machine: Machine, module: string, name: string): void {
  const value = globalName(module, name, machine.at)
  machine.onGlobal?.(value)
  push(machine, value)
}

function global(machine: Machine): void {
  const module = line(machine.cursor, machine.limits.lineBytes)
  pushGlobal(machine, module, line(machine.cursor, machine.limits.lineBytes))
}

function stackGlobal(machine: Machine): void {
  const name = pop(machine)
  const module = pop(machine)
  if (typeof module !== 'string' || typeof name !== 'string') {
    refusePickle('names a class by what is not text', { offset: machine.at })
  }
  pushGlobal(machine, module, name)
}

/** What the class or function would make of the arguments. */
function make(machine: Machine, callable: PickleValue, args: readonly PickleValue[], keywords = false): void {
  if (callable instanceof PickleGlobal) {
    const constructor = machine.constructors.get(callable.path)
    if (constructor !== undefined) {
      if (keywords) {
        refusePickle(`gives ${callable.path} arguments by name`, { offset: machine.at, path: callable.path })
      }
      pushContainer(machine, constructor(args, machine.at))
      return
    }
  } else if (!(callable instanceof PickleRecord)) {
    refusePickle('calls what is neither a class nor a function', { offset: machine.at })
  }
  pushContainer(machine, new PickleRecord(callable, args))
}

function reduce(machine: Machine): void {
  const args = tupleOf(pop(machine), 'arguments', machine.at)
  make(machine, pop(machine), args)
}

function newObjectEx(machine: Machine): void {
  const keywords = pop(machine)
  if (!(keywords instanceof PickleDict)) {
    refusePickle('has arguments by name that are not a dictionary', { offset: machine.at })
  }
  const args = tupleOf(pop(machine), 'arguments', machine.at)
  make(machine, pop(machine), args, keywords.size > 0)
}

/** OBJ: a class of Python 2 and its arguments, behind a mark. */
function object(machine: Machine): void {
  const [callable, ...args] = popMark(machine)
  if (callable === undefined) refusePickle('makes an object without a class', { offset: machine.at })
  make(machine, callable, args)
}

function build(machine: Machine): void {
  const state = pop(machine)
  const target = top(machine)
  if (target instanceof ForeignValue) target.build(state)
  else if (target instanceof PickleRecord || target instanceof PickleDict) target.state = state
  else if (!(target instanceof PickleGlobal)) refusePickle('gives a state to what has none', { offset: machine.at })
}

function persistent(machine: Machine): void {
  const id = pop(machine)
  if (machine.persistent === undefined) refusePickle('refers to data outside of it', { offset: machine.at })
  pushContainer(machine, machine.persistent(id, machine.at))
}

/** Opcodes by their byte. */
export const OBJECTS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [0x63, global],
  [0x93, stackGlobal],
  [0x52, reduce],
  [0x81, reduce],
  [0x92, newObjectEx],
  [0x6F, object],
  [0x62, build],
  [0x51, persistent],
])

/** Opcodes that are known and refused, with the reason. */
export const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x69, 'makes an object by INST, which protocols 2 to 5 do not use'],
  [0x50, 'has a persistent id as text, which protocols 2 to 5 do not use'],
  [0x53, 'has text in quotes, which protocols 2 to 5 do not use'],
  [0x56, 'has escaped text, which protocols 2 to 5 do not use'],
  [0x82, 'uses the registry of extensions, which is not in the file'],
  [0x83, 'uses the registry of extensions, which is not in the file'],
  [0x84, 'uses the registry of extensions, which is not in the file'],
  [0x97, 'has its data in buffers outside of the file'],
  [0x98, 'has its data in buffers outside of the file'],
  [0x80, 'changes its protocol on the way'],
])

/** What Python's own types and functions make, where readers need it. */
export function standardConstructors(): Map<string, Constructor> {
  return new Map<string, Constructor>([
    ['collections.OrderedDict', dictionary],
    ['builtins.dict', dictionary],
    ['_codecs.encode', encoded],
  ])
}

/** An empty dictionary, or one of pairs: Python 2 gives an OrderedDict its items as an argument. */
function dictionary(args: readonly PickleValue[], offset: number): PickleDict {
  const dict = new PickleDict()
  if (args.length > 1) refusePickle('makes a dictionary of more than one argument', { offset, actual: args.length })
  for (const pair of args.length === 0 ? [] : itemsOf(args[0], offset)) {
    const [key, value, ...rest] = itemsOf(pair, offset)
    if (typeof key !== 'string' || value === undefined || rest.length > 0) {
      refusePickle('makes a dictionary of what are not pairs of a name and a value', { offset })
    }
    if (dict.has(key)) {
      refusePickle(`has the key ${JSON.stringify(key.slice(0, 100))} twice in one dictionary`, { offset })
    }
    dict.set(key, value)
  }
  return dict
}

function itemsOf(value: PickleValue, offset: number): readonly PickleValue[] {
  if (value instanceof PickleTuple) return value.items
  return typeof value === 'object' && value !== null && 'items' in value && Array.isArray(value.items)
    ? value.items
    : refusePickle('makes a dictionary of what is not a list', { offset })
}

/** Bytes that Python 3 writes as text for protocol 2: one character for each. */
function encoded(args: readonly PickleValue[], offset: number): Uint8Array {
  const [text, encoding] = args
  if (typeof text !== 'string' || args.length > 2 || (encoding !== 'latin1' && encoding !== 'latin-1')) {
    refusePickle('encodes text in a way that is not that of bytes', { offset })
  }
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 255) refusePickle('has bytes above 255', { offset, actual: code })
    bytes[i] = code
  }
  return bytes
}
