/**
 * @file The calls that may occur in an anonymous function, each with the nodes that mean the same.
 *
 * Dimensions count from 1 in Julia's order: dimension d of an array of rank r is axis r - d of the graph's value, and
 * dimension r is the batch.
 */
import { sizeOf } from '../../core/tensor/tensor.js'
import { pointwise } from './activations.js'
import type { JuliaArray } from './arrays.js'
import { constantArray, type Emission, emit, type Value } from './emission.js'
import type { Closure, FluxFunction } from './functions.js'
import { circularPad, pool } from './images.js'
import type { FluxLayer } from './layers.js'

/** What a piece of code can evaluate to. */
export type Item =
  | { readonly kind: 'tensor', readonly value: Value }
  | { readonly kind: 'number', readonly value: number }
  | { readonly kind: 'batch' }
  | { readonly kind: 'colon' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'tuple', readonly items: readonly Item[] }
  | { readonly kind: 'named', readonly names: readonly string[], readonly values: readonly Item[] }
  | { readonly kind: 'symbol', readonly name: string }
  | { readonly kind: 'global', readonly name: string }
  | { readonly kind: 'module', readonly path: string }
  | { readonly kind: 'type', readonly names?: readonly string[], readonly number?: number }
  | { readonly kind: 'keywords', readonly callee: Item }
  | { readonly kind: 'function', readonly fn: FluxFunction }
  | { readonly kind: 'layer', readonly layer: FluxLayer }
  | { readonly kind: 'array', readonly array: JuliaArray }
  | { readonly kind: 'self', readonly closure: Closure }
  | { readonly kind: 'unknown', readonly what: string }

/** Where a call happens. */
export interface Scope {
  readonly emission: Emission
  readonly path: string
  readonly depth: number
  /** Applies a function to arguments element by element where it is a function of numbers. */
  readonly apply: (fn: FluxFunction, args: readonly Item[]) => Item
  /** Ends the import with an error that names the function and this reason. */
  readonly fail: (reason: string) => never
}

/** The array in an item. */
export function tensorOf(item: Item, otherwise: () => Error): Value {
  if (item.kind === 'tensor') return item.value
  throw otherwise()
}

type Call = (scope: Scope, args: readonly Item[]) => Item

/** Functions that hand their last argument on. */
const TRANSPARENT: ReadonlySet<string> = new Set([
  'identity',
  'materialize',
  'param',
  'data',
  'cpu',
  'gpu',
  'f32',
  'f64',
  'device',
  'Array',
  'collect',
  'float',
  'Float32',
  'Float64',
  'copy',
  'dropgrad',
  'ignore_derivatives',
  'convert',
  'oftype',
  'float32',
  'parent',
  'typed_hcat',
  'cu',
])

const ARITHMETIC: Readonly<Record<string, { readonly op: string, readonly scalar: (a: number, b: number) => number }>> =
  {
    '+': { op: 'Add', scalar: (a, b) => a + b },
    '-': { op: 'Sub', scalar: (a, b) => a - b },
    '*': { op: 'Mul', scalar: (a, b) => a * b },
    '/': { op: 'Div', scalar: (a, b) => a / b },
    '^': { op: 'Pow', scalar: (a, b) => a ** b },
    max: { op: 'Max', scalar: Math.max },
    min: { op: 'Min', scalar: Math.min },
  }

const REDUCTIONS: Readonly<Record<string, string>> = { mean: 'ReduceMean', sum: 'ReduceSum', maximum: 'ReduceMax',
  minimum: 'ReduceMin' }

const CALLS: Readonly<Record<string, Call>> = {
  broadcasted: (scope, [fn, ...args]) => broadcastCall(scope, fn, args),
  broadcast: (scope, [fn, ...args]) => broadcastCall(scope, fn, args),
  tuple: (_, args) => ({ kind: 'tuple', items: args }),
  apply_type: applyType,
  kwcall: keywordCall,
  kwfunc: (_, [callee]) => ({ kind: 'keywords', callee: callee ?? { kind: 'nothing' } }),
  _apply: (scope, [fn, ...args]) => splat(scope, fn, args),
  _apply_iterate: (scope, [, fn, ...args]) => splat(scope, fn, args),
  size: sizeCall,
  ndims: (scope, [x]) => ({ kind: 'number', value: 1 + arrayArgument(scope, x).shape.length }),
  length: (scope, [x]) => (x?.kind === 'tuple'
    ? { kind: 'number', value: x.items.length }
    : scope.fail('it asks for the length of an array')),
  lastindex: (scope,
    [x]) => (x?.kind === 'tuple' ? { kind: 'number', value: x.items.length } : scope.fail('it indexes an array')),
  getindex: indexCall,
  prod: (scope, [x]) => ({ kind: 'number', value: numbers(scope, x).reduce((a, b) => a * b, 1) }),
  div: (scope, [a, b]) => ({ kind: 'number', value: Math.trunc(numberArgument(scope, a) / numberArgument(scope, b)) }),
  '÷': (scope, [a, b]) => ({ kind: 'number', value: Math.trunc(numberArgument(scope, a) / numberArgument(scope, b)) }),
  literal_pow: (scope, [, x, exponent]) =>
    callNamed(scope, '^', [x ?? { kind: 'nothing' }, exponent ?? { kind: 'nothing' }], true),
  reshape: (scope, [x, ...dims]) => reshapeCall(scope, arrayArgument(scope, x), dims),
  flatten: (scope, [x]) => tensorItem(flatten(scope.emission, arrayArgument(scope, x))),
  vec: (scope, [x]) => {
    const value = arrayArgument(scope, x)
    return sizeOf(value.shape) === 1 ? tensorItem(value) : scope.fail('vec mixes the examples of a batch')
  },
  softmax: (scope, [x]) => tensorItem(softmax(scope, 'Softmax', arrayArgument(scope, x), 1)),
  logsoftmax: (scope, [x]) => tensorItem(softmax(scope, 'LogSoftmax', arrayArgument(scope, x), 1)),
  maxpool: (scope, [x, window]) =>
    tensorItem(
      pool(scope.emission, arrayArgument(scope, x), 'max', { kernel: numbers(scope, window), pad: [0],
        stride: numbers(scope, window) }, scope.path),
    ),
  meanpool: (scope, [x, window]) =>
    tensorItem(
      pool(scope.emission, arrayArgument(scope, x), 'mean', { kernel: numbers(scope, window), pad: [0],
        stride: numbers(scope, window) }, scope.path),
    ),
  pad_circular: (scope, [x, pad]) => {
    const value = arrayArgument(scope, x)
    const widths = pad?.kind === 'number'
      ? Array<number>(2 * (value.shape.length - 1)).fill(pad.value)
      : numbers(scope, pad)
    return tensorItem(circularPad(scope.emission, value, widths, scope.path))
  },
  vcat: (scope, args) => concatenate(scope, args, 1),
  cat: scope => scope.fail('cat needs dims'),
}

/** Calls with keyword arguments. */
const KEYWORD_CALLS: Readonly<
  Record<string, (scope: Scope, keywords: ReadonlyMap<string, Item>, args: readonly Item[]) => Item>
> = {
  softmax: (scope, keywords, [x]) =>
    tensorItem(softmax(scope, 'Softmax', arrayArgument(scope, x), numberArgument(scope, keywords.get('dims')))),
  logsoftmax: (scope, keywords, [x]) =>
    tensorItem(softmax(scope, 'LogSoftmax', arrayArgument(scope, x), numberArgument(scope, keywords.get('dims')))),
  cat: (scope, keywords, args) => concatenate(scope, args, numberArgument(scope, keywords.get('dims'))),
  dropdims: (scope, keywords, [x]) => dropDims(scope, arrayArgument(scope, x), numbers(scope, keywords.get('dims'))),
  maxpool: (scope, keywords, args) => pooling(scope, 'max', keywords, args),
  meanpool: (scope, keywords, args) => pooling(scope, 'mean', keywords, args),
  ...Object.fromEntries(
    Object.entries(REDUCTIONS).map((
      [name, op],
    ) => [name,
      (scope: Scope, keywords: ReadonlyMap<string, Item>, [x]: readonly Item[]) =>
        reduce(scope, op, arrayArgument(scope, x), numbers(scope, keywords.get('dims')))]
    ),
  ),
}

function tensorItem(value: Value): Item {
  return { kind: 'tensor', value }
}

/**
 * Calls a function by its name.
 * @param elementwise the call is a broadcast (`tanh.(x)`)
 * @throws GraphError UNSUPPORTED_OPERATOR through `scope.fail`
 */
export function callNamed(scope: Scope, name: string, args: readonly Item[], elementwise: boolean): Item {
  const [first, second] = args
  if (Object.hasOwn(ARITHMETIC, name) && args.length >= 2) {
    return args.slice(1).reduce((left, right) => arithmetic(scope, name, left, right, elementwise), first)
  }
  if (TRANSPARENT.has(name)) return args[args.length - 1] ?? scope.fail(`it calls '${name}' without an argument`)
  if (Object.hasOwn(CALLS, name)) return CALLS[name](scope, args)
  if (first?.kind === 'tensor' && args.length <= 2) {
    const value = pointwise(scope.emission, name, first.value, second?.kind === 'number' ? second.value : undefined)
    if (value !== undefined && (second === undefined || second.kind === 'number')) return tensorItem(value)
  }
  if (first?.kind === 'number' && args.length === 1 && name === '-') return { kind: 'number', value: -first.value }
  return scope.fail(`it calls '${name.slice(0, 60)}'`)
}

function broadcastCall(scope: Scope, fn: Item | undefined, args: readonly Item[]): Item {
  if (fn?.kind === 'global') return callNamed(scope, fn.name, args, true)
  if (fn?.kind === 'function') return scope.apply(fn.fn, args)
  return scope.fail('it broadcasts something that is not a function')
}

/** `NamedTuple{(:dims,)}` for keyword arguments, `Val{2}` for literal powers. */
function applyType(scope: Scope, [type, parameter]: readonly Item[]): Item {
  const name = type?.kind === 'global' ? type.name : ''
  if (name === 'NamedTuple' && parameter?.kind === 'tuple') {
    return { kind: 'type',
      names: parameter.items.map(item => (item.kind === 'symbol' ? item.name : scope.fail('it builds a NamedTuple'))) }
  }
  if (name === 'Val' && parameter?.kind === 'number') return { kind: 'type', number: parameter.value }
  return scope.fail('it builds a type')
}

function keywordCall(scope: Scope, [keywords, callee, ...args]: readonly Item[]): Item {
  if (keywords?.kind !== 'named' || callee?.kind !== 'global') {
    return scope.fail('it has keyword arguments of an unknown form')
  }
  if (!Object.hasOwn(KEYWORD_CALLS, callee.name)) {
    return scope.fail(`it calls '${callee.name.slice(0, 60)}' with keyword arguments`)
  }
  return KEYWORD_CALLS[callee.name](scope, new Map(keywords.names.map((name, i) => [name, keywords.values[i]])), args)
}

function splat(scope: Scope, fn: Item | undefined, args: readonly Item[]): Item {
  const flat = args.flatMap(
    item => (item.kind === 'tuple' ? [...item.items] : scope.fail('it splats something that is not a tuple')),
  )
  return fn?.kind === 'global' ? callNamed(scope, fn.name, flat, false) : scope.fail('it splats arguments')
}

function arrayArgument(scope: Scope, item: Item | undefined): Value {
  return item?.kind === 'tensor' ? item.value : scope.fail('it uses something else where an array is needed')
}

function numberArgument(scope: Scope, item: Item | undefined): number {
  return item?.kind === 'number' ? item.value : scope.fail('it computes with sizes that are not known')
}

function numbers(scope: Scope, item: Item | undefined): number[] {
  if (item?.kind === 'number') return [item.value]
  return item?.kind === 'tuple'
    ? item.items.map(each => numberArgument(scope, each))
    : scope.fail('it computes with sizes that are not known')
}

/** The size along dimension `d`: a number, or the batch. */
function dimension(scope: Scope, x: Value, d: number): Item {
  const rank = x.shape.length + 1
  if (d === rank) return { kind: 'batch' }
  if (d > rank || d < 1) return scope.fail(`it asks for dimension ${d} of an array that has ${rank} here`)
  return { kind: 'number', value: x.shape[rank - d - 1] }
}

function sizeCall(scope: Scope, [array, d]: readonly Item[]): Item {
  const x = arrayArgument(scope, array)
  if (d !== undefined) return dimension(scope, x, numberArgument(scope, d))
  return { kind: 'tuple', items: Array.from({ length: x.shape.length + 1 }, (_, i) => dimension(scope, x, i + 1)) }
}

function indexCall(scope: Scope, [object, index]: readonly Item[]): Item {
  if (object?.kind !== 'tuple') return scope.fail('it indexes an array')
  return object.items[numberArgument(scope, index) - 1] ?? scope.fail('it indexes past the end of a tuple')
}

/** An operation between arrays, numbers and constants, with Julia's broadcasting: leading dimensions meet, which are our last axes. */
function arithmetic(scope: Scope, name: string, a: Item | undefined, b: Item | undefined, elementwise: boolean): Item {
  const { op, scalar } = ARITHMETIC[name]
  if (a?.kind === 'number' && b?.kind === 'number') return { kind: 'number', value: scalar(a.value, b.value) }
  if (!elementwise && (a?.kind === 'array' || b?.kind === 'array') && /^[*/^]$/.test(name)) {
    return scope.fail('it multiplies matrices')
  }
  if (!elementwise && a?.kind === 'tensor' && b?.kind === 'tensor' && /^[*/^]$/.test(name)) {
    return scope.fail('it multiplies matrices')
  }
  const left = operand(scope, a)
  const right = operand(scope, b)
  return tensorItem(emit(scope.emission, op, [left.name, right.name], broadcastShapes(scope, left, right)))
}

interface Operand {
  readonly name: string
  readonly shape: readonly number[]
  readonly batched: boolean
}

function operand(scope: Scope, item: Item | undefined): Operand {
  const { emission } = scope
  if (item?.kind === 'tensor') return { ...item.value, batched: true }
  if (item?.kind === 'number') return { name: emission.builder.scalar(item.value), shape: [], batched: false }
  if (item?.kind === 'array') return { ...constantArray(emission, item.array), batched: false }
  return scope.fail('it computes with something that is neither a number nor an array')
}

/** The shape of one example after broadcasting; extents are compared from the last axis. */
function broadcastShapes(scope: Scope, a: Operand, b: Operand): number[] {
  // Batches must meet: two arrays of one batch have equal rank, a constant has no more axes than an example.
  if (a.batched && b.batched && a.shape.length !== b.shape.length) {
    return scope.fail('it combines arrays of different rank')
  }
  const example = a.batched ? a.shape : b.shape
  if ((!a.batched && a.shape.length > example.length) || (!b.batched && b.shape.length > example.length)) {
    return scope.fail('it combines a batch with a larger constant')
  }
  const rank = Math.max(a.shape.length, b.shape.length)
  return Array.from({ length: rank }, (_, i) => {
    const p = a.shape[i - rank + a.shape.length] ?? 1
    const q = b.shape[i - rank + b.shape.length] ?? 1
    if (p !== q && p !== 1 && q !== 1) return scope.fail(`it combines sizes ${p} and ${q}`)
    return Math.max(p, q)
  })
}

/** All features of an example in one axis; the first dimension of Flux varies fastest, as our last axis does. */
export function flatten(emission: Emission, x: Value): Value {
  return x.shape.length === 1 ? x : emit(emission, 'Flatten', [x.name], [sizeOf(x.shape)], { axis: 1 })
}

/** `reshape(x, dims...)` where the last dimension is the batch. */
function reshapeCall(scope: Scope, x: Value, dims: readonly Item[]): Item {
  const list = dims.length === 1 && dims[0].kind === 'tuple' ? dims[0].items : dims
  const last = list[list.length - 1]
  const total = sizeOf(x.shape)
  const inner = list.slice(0, -1)
  if (last === undefined || (last.kind !== 'batch' && last.kind !== 'colon')) {
    return scope.fail('it reshapes so that the last dimension is not the batch')
  }
  const known = inner.map(item => (item.kind === 'colon' ? 0 : numberArgument(scope, item)))
  const product = known.reduce((a, b) => (b === 0 ? a : a * b), 1)
  const free = known.filter(extent => extent === 0).length
  if (free > 1 || (free === 1 && last.kind === 'colon')) return scope.fail('it reshapes with more than one colon')
  if (free === 0 ? product !== total : total % product !== 0) {
    return scope.fail(`it reshapes ${total} numbers of an example to (${known.join(', ')})`)
  }
  const shape = known.map(extent => (extent === 0 ? total / product : extent)).reverse()
  return tensorItem(reshape(scope.emission, x, shape))
}

/** The same elements of each example under another shape. */
export function reshape(emission: Emission, x: Value, shape: readonly number[]): Value {
  if (shape.length === x.shape.length && shape.every((extent, i) => extent === x.shape[i])) return x
  if (shape.length === 1) return flatten(emission, x)
  return emit(emission, 'Reshape', [x.name, emission.builder.integers([-1, ...shape])], shape)
}

/** The axis of the graph for dimension d of Julia. */
function axisOf(scope: Scope, x: Value, d: number): number {
  const rank = x.shape.length + 1
  if (!Number.isInteger(d) || d < 1 || d >= rank) {
    return scope.fail(
      d === rank ? 'it mixes the examples of a batch' : `it uses dimension ${d} of an array of rank ${rank}`,
    )
  }
  return rank - d
}

function softmax(scope: Scope, op: string, x: Value, d: number): Value {
  return emit(scope.emission, op, [x.name], x.shape, { axis: axisOf(scope, x, d) })
}

function concatenate(scope: Scope, args: readonly Item[], d: number): Item {
  const values = args.map(item => arrayArgument(scope, item))
  const [first] = values
  if (first === undefined) return scope.fail('it concatenates nothing')
  const axis = axisOf(scope, first, d)
  const fits = values.every(value =>
    value.shape.length === first.shape.length &&
    value.shape.every((extent, i) => i === axis - 1 || extent === first.shape[i])
  )
  if (!fits) return scope.fail('it concatenates arrays of different sizes')
  const shape = first.shape.map((extent,
    i) => (i === axis - 1 ? values.reduce((sum, value) => sum + value.shape[i], 0) : extent)
  )
  return tensorItem(emit(scope.emission, 'Concat', values.map(value => value.name), shape, { axis }))
}

function reduce(scope: Scope, op: string, x: Value, dims: readonly number[]): Item {
  const axes = dims.map(d => axisOf(scope, x, d))
  const shape = x.shape.map((extent, i) => (axes.includes(i + 1) ? 1 : extent))
  return tensorItem(emit(scope.emission, op, [x.name, scope.emission.builder.integers(axes)], shape, { keepdims: 1 }))
}

function dropDims(scope: Scope, x: Value, dims: readonly number[]): Item {
  const axes = dims.map(d => axisOf(scope, x, d))
  if (axes.some(axis => x.shape[axis - 1] !== 1)) return scope.fail('it drops a dimension that is not of size 1')
  return tensorItem(reshape(scope.emission, x, x.shape.filter((_, i) => !axes.includes(i + 1))))
}

function pooling(scope: Scope, mode: 'max' | 'mean', keywords: ReadonlyMap<string, Item>,
  [x, window]: readonly Item[]): Item {
  const kernel = numbers(scope, window)
  const pad = keywords.has('pad') ? numbers(scope, keywords.get('pad')) : [0]
  const stride = keywords.has('stride') ? numbers(scope, keywords.get('stride')) : kernel
  return tensorItem(pool(scope.emission, arrayArgument(scope, x), mode, { kernel, pad, stride }, scope.path))
}
