/**
 * @file What a pickle holds, as inert data: nothing here can be called, and nothing is an object of JavaScript
 * that a name in the file could reach into.
 */

/** A value of a pickle. Python's `int` is a number where it is exact, else a bigint. */
export type PickleValue = null | boolean | number | bigint | string | Uint8Array | PickleTuple | PickleList | PickleDict
  | PickleSet | PickleGlobal | PickleRecord | PickleFloat | ForeignValue

/** A Python `float`, kept apart from `int` because the sizes of arrays must not be floats. */
export class PickleFloat {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** A `tuple`. */
export class PickleTuple {
  readonly items: readonly PickleValue[]
  constructor(items: readonly PickleValue[]) {
    this.items = items
  }
}

/** A `list`, filled while the file is read. */
export class PickleList {
  readonly items: PickleValue[] = []
}

/** A `set` or a `frozenset`. */
export class PickleSet {
  readonly items: PickleValue[] = []
}

/** A `dict` or an `OrderedDict`, in the order of the file. Keys are values; equal primitive keys are the same key. */
export class PickleDict {
  /** Made when the first key comes: a file can hold a million empty dictionaries. */
  private map: Map<PickleValue, PickleValue> | undefined
  /** What a BUILD gave it: the attributes of an OrderedDict, such as `_metadata`. */
  state: PickleValue | undefined

  get size(): number {
    return this.map?.size ?? 0
  }
  has(key: PickleValue): boolean {
    return this.map?.has(key) ?? false
  }
  get(key: PickleValue): PickleValue | undefined {
    return this.map?.get(key)
  }
  set(key: PickleValue, value: PickleValue): void {
    ;(this.map ??= new Map()).set(key, value)
  }
  entries(): Iterable<[PickleValue, PickleValue]> {
    return this.map ?? []
  }
}

/** The name of a class or function. It is only a name. */
export class PickleGlobal {
  readonly module: string
  readonly name: string

  constructor(module: string, name: string) {
    this.module = module
    this.name = name
  }

  get path(): string {
    return `${this.module}.${this.name}`
  }
}

/** What Python would make by calling a class or function: here it is only written down. */
export class PickleRecord {
  readonly callable: PickleValue
  readonly args: readonly PickleValue[]
  /** What BUILD gave it: usually the attributes of the object. */
  state: PickleValue | undefined
  /** What was appended to it, and what was set in it, when it is a kind of list or dictionary. */
  items: PickleValue[] | undefined
  entries: PickleDict | undefined

  constructor(callable: PickleValue, args: readonly PickleValue[]) {
    this.callable = callable
    this.args = args
  }

  /** Path of the class, for messages. */
  get path(): string {
    return this.callable instanceof PickleGlobal ? this.callable.path : 'an object'
  }
}

/** Base of the values that a format built on pickle makes of its own names: tensors and storages of PyTorch. */
export abstract class ForeignValue {
  /** Takes the state of a BUILD; most have none. */
  build(_state: PickleValue): void {/* Attributes of tensors mean nothing to a reader of numbers. */}
}
