/**
 * @file The calls that may occur in an anonymous function, each with the nodes that mean the same.
 *
 * Dimensions count from 1 in Julia's order: dimension d of an array of rank r is axis r - d of the graph's value, and
 * dimension r is the batch.
 */
import { sizeOf } from '../../../core/tensor/tensor.js'
import { pointwise } from '../graph/activations.js'
import { pool } from '../graph/pooling.js'
import { circularPad } from '../graph/resizing.js'
import { ARITHMETIC, arithmetic } from './arithmetic.js'
import { indexCall, sizeCall } from './dimensions.js'
import { arrayArgument, type Call, type Item, numberArgument, numbers, type Scope, tensorItem } from './items.js'
import { concatenate, reduce, REDUCTIONS, softmax } from './over-dimensions.js'
import { dropDims, flatten, reshapeCall } from './reshaping.js'

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

function pooling(scope: Scope, mode: 'max' | 'mean', keywords: ReadonlyMap<string, Item>,
  [x, window]: readonly Item[]): Item {
  const kernel = numbers(scope, window)
  const pad = keywords.has('pad') ? numbers(scope, keywords.get('pad')) : [0]
  const stride = keywords.has('stride') ? numbers(scope, keywords.get('stride')) : kernel
  return tensorItem(pool(scope.emission, arrayArgument(scope, x), mode, { kernel, pad, stride }, scope.path))
}
