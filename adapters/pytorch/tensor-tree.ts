/**
 * @file The tensors inside a value, by the names that PyTorch gives them: keys of dictionaries joined by dots, and for
 * pickled modules the names that `state_dict()` would have.
 */
import { PickleDict, PickleList, PickleRecord, PickleSet, PickleTuple, type PickleValue } from '../pickle/index.js'
import { refuseTorch } from './refusal.js'
import { tensorOf, type TorchTensor, type UnreadableTensor } from './tensors.js'

/** Tensors by name, in the order of the file. */
export type NamedTorchTensors = ReadonlyMap<string, TorchTensor | UnreadableTensor>

const DEEPEST = 64
const MOST_TENSORS = 100_000
const MOST_STEPS = 5_000_000
const LONGEST_NAME = 1000

/** A value inside another and the name it has there. */
export type Child = readonly [name: string, value: PickleValue]

/** The parts of a value that can hold tensors. */
export function childrenOf(value: PickleValue): Iterable<Child> {
  if (value instanceof PickleDict) return dictChildren(value)
  if (value instanceof PickleList || value instanceof PickleTuple) return listChildren(value.items)
  if (value instanceof PickleRecord) return recordChildren(value)
  return []
}

function* dictChildren(dict: PickleDict): Iterable<Child> {
  for (const [key, value] of dict.entries()) {
    if (typeof key === 'string' || typeof key === 'number') yield [String(key), value]
  }
}

function* listChildren(items: readonly PickleValue[]): Iterable<Child> {
  for (let i = 0; i < items.length; i++) yield [String(i), items[i]]
}

function* recordChildren(record: PickleRecord): Iterable<Child> {
  if (isOptimizer(record)) return
  if (isModule(record)) {
    yield* moduleChildren(record)
    return
  }
  // State of a class with slots: (dictionary, slots).
  const states = record.state instanceof PickleTuple
    ? record.state.items
    : record.state === undefined
    ? []
    : [record.state]
  for (const state of states) if (state instanceof PickleDict) yield* dictChildren(state)
  if (record.entries !== undefined) yield* dictChildren(record.entries)
  if (record.items !== undefined) yield* listChildren(record.items)
}

/** A field of a module's dictionary of attributes. */
function attribute(record: PickleRecord, name: string): PickleValue | undefined {
  return record.state instanceof PickleDict ? record.state.get(name) : undefined
}

/** Whether a record is a pickled `torch.nn.Module`, of whatever class. */
export function isModule(value: PickleValue): boolean {
  return value instanceof PickleRecord && attribute(value, '_modules') instanceof PickleDict &&
    attribute(value, '_parameters') instanceof PickleDict
}

/** As `state_dict()` has it: parameters, buffers that are saved, then the modules inside. */
function* moduleChildren(module: PickleRecord): Iterable<Child> {
  const skip = new Set(setItems(attribute(module, '_non_persistent_buffers_set')))
  for (const part of ['_parameters', '_buffers', '_modules']) {
    const dict = attribute(module, part)
    if (dict instanceof PickleDict) {
      for (const child of dictChildren(dict)) if (part !== '_buffers' || !skip.has(child[0])) yield child
    }
  }
}

/** The items of a set: protocol 4 has an opcode for it, protocol 2 calls `set([...])`. */
function setItems(value: PickleValue | undefined): readonly PickleValue[] {
  if (value instanceof PickleSet) return value.items
  return value instanceof PickleRecord && value.args[0] instanceof PickleList ? value.args[0].items : []
}

function isOptimizer(record: PickleRecord): boolean {
  return /^torch\.(optim|cuda\.amp|amp)\./.test(record.path)
}

interface Walk {
  readonly found: Map<string, TorchTensor | UnreadableTensor>
  /** Containers known to hold no tensor. */
  readonly barren: Set<PickleValue>
  /** Containers that the walk is inside of: a cycle ends there. */
  readonly open: Set<PickleValue>
  steps: number
}

/**
 * All tensors in a value, depth first, in the order of the file. Containers met on several ways (tied modules) are
 * walked on each.
 * @param skip parts of the value itself that are passed over
 * @throws UntrustedInputError for names that no module has, and for structures made to grow when they are walked
 */
export function collectTensors(value: PickleValue, skip: (child: Child) => boolean = () => false): NamedTorchTensors {
  const walk: Walk = { found: new Map(), barren: new Set(), open: new Set([value]), steps: 0 }
  for (const child of childrenOf(value)) if (!skip(child)) visit(walk, child[1], child[0])
  return walk.found
}

/** What the parts of a value are; each container is looked into once. */
export class TensorFinder {
  private readonly known = new Map<PickleValue, boolean>()

  private readonly layers = new Map<PickleValue, boolean>()

  /**
   * Whether a value holds the tensors of one layer (`weight`, `bias`), or of layers: then the dictionary around it is
   * the state dict.
   */
  isLayer(value: PickleValue, depth = 0): boolean {
    if (!(value instanceof PickleDict) || depth > DEEPEST) return false
    const known = this.layers.get(value)
    if (known !== undefined) return known
    this.layers.set(value, false)
    let layer = value.size > 0
    for (const [key, child] of value.entries()) {
      layer = layer && typeof key === 'string' && !key.includes('.') &&
        (tensorOf(child) !== undefined || this.isLayer(child, depth + 1))
    }
    this.layers.set(value, layer)
    return layer
  }

  /** Whether there is a tensor in a value. */
  holdsTensors(value: PickleValue): boolean {
    return this.look(value, 0)
  }

  private look(value: PickleValue, depth: number): boolean {
    if (tensorOf(value) !== undefined) return true
    if (typeof value !== 'object' || value === null || depth > DEEPEST) return false
    const known = this.known.get(value)
    if (known !== undefined) return known
    // Inside of itself it holds nothing new.
    this.known.set(value, false)
    for (const [, child] of childrenOf(value)) {
      if (!this.look(child, depth + 1)) continue
      this.known.set(value, true)
      return true
    }
    return false
  }
}

/** @returns whether tensors were found in it */
function visit(walk: Walk, value: PickleValue, name: string): boolean {
  const tensor = tensorOf(value)
  if (tensor !== undefined) {
    add(walk, name, tensor)
    return true
  }
  if (typeof value !== 'object' || value === null || walk.barren.has(value) || walk.open.has(value)) return false
  if (walk.open.size > DEEPEST) {
    refuseTorch(`nests its parts deeper than ${DEEPEST} (at '${name.slice(0, 100)}')`, { limit: DEEPEST,
      path: name.slice(0, 200) })
  }
  walk.open.add(value)
  let fruitful = false
  for (const [key, child] of childrenOf(value)) {
    if (++walk.steps > MOST_STEPS) {
      refuseTorch(`takes more than ${MOST_STEPS} steps to look through: it is made to grow when it is read`, {
        limit: MOST_STEPS,
      })
    }
    if (typeof child !== 'object' || child === null) continue
    if (visit(walk, child, name === '' ? key : `${name}.${key}`)) fruitful = true
  }
  walk.open.delete(value)
  if (!fruitful) walk.barren.add(value)
  return fruitful
}

function add({ found }: Walk, name: string, tensor: TorchTensor | UnreadableTensor): void {
  if (found.size >= MOST_TENSORS) refuseTorch(`names more than ${MOST_TENSORS} tensors`, { limit: MOST_TENSORS })
  // eslint-disable-next-line no-control-regex
  if (name === '' || name.length > LONGEST_NAME ||
    (name.includes('__proto__') && name.split('.').includes('__proto__')) || /[\u0000-\u001F\u007F]/.test(name)) {
    refuseTorch(
      `has a tensor named ${JSON.stringify(name.slice(0, 100))}${
        name.length > LONGEST_NAME ? ` (${name.length} characters)` : ''
      }, which no module has`,
      { path: name.slice(0, 200) },
    )
  }
  if (found.has(name)) refuseTorch(`has two tensors named '${name}'`, { path: name })
  found.set(name, tensor)
}
