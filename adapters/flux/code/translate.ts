/**
 * @file Functions of Julia written as graph nodes.
 *
 * A named function is looked up. An anonymous one is straight-line code over its arguments; each statement is either a
 * call listed in calls.ts, for which nodes are appended, or the end of the import with an error that names the
 * function.
 */
import { GraphError } from '../../../core/errors/errors.js'
import { pointwise } from '../graph/activations.js'
import type { Emission, Value } from '../graph/emission.js'
import { arrayOf } from '../julia/arrays.js'
import type { Bson } from '../julia/bson-values.js'
import { type Closure, type Code, type FluxFunction, functionOf, wayOut } from '../julia/functions.js'
import { resolve, spend } from '../julia/julia-file.js'
import { structOf } from '../julia/julia-types.js'
import { itemsOf, moduleOf, namedTupleOf, numberOf, symbolOf } from '../julia/julia-values.js'
import { layerOf } from '../layers/read-layers.js'
import { callNamed } from './calls.js'
import { type Item, type Scope, tensorOf } from './items.js'

/** The error for a function that cannot be imported; `reason` says what in it stopped the import. */
function unknownFunction(fn: FluxFunction, path: string, reason?: string): GraphError {
  const why = reason === undefined ? '' : ` (${reason})`
  return new GraphError('UNSUPPORTED_OPERATOR',
    `${
      wayOut(fn).replace(' cannot be imported', `${path === '' ? '' : `, layer '${path}',`} cannot be imported${why}`)
    }`, { path, function: fn.kind === 'closure' ? fn.closure.name : fn.kind })
}

/**
 * Applies an activation to every element.
 * @throws GraphError UNSUPPORTED_OPERATOR naming a function that is not known
 */
export function activate(emission: Emission, fn: FluxFunction | undefined, x: Value, path: string): Value {
  if (fn === undefined) return x
  return tensorOf(applyItems(emission, fn, [{ kind: 'tensor', value: x }], path, true), () => unknownFunction(fn, path))
}

/** Applies a function to whole arrays: a layer that is a function, or the connection of several branches. */
export function applyFunction(emission: Emission, fn: FluxFunction, inputs: readonly Value[], path: string): Value {
  return tensorOf(applyItems(emission, fn, inputs.map(value => ({ kind: 'tensor', value })), path, false),
    () => unknownFunction(fn, path))
}

function applyItems(emission: Emission, fn: FluxFunction, args: readonly Item[], path: string,
  elementwise: boolean): Item {
  const scope: Scope = {
    emission,
    path,
    depth: 0,
    apply: (inner, given) => applyItems(emission, inner, given, path, true),
    fail: reason => {
      throw unknownFunction(fn, path, reason)
    },
  }
  return apply(scope, fn, args, elementwise)
}

function apply(scope: Scope, fn: FluxFunction, args: readonly Item[], elementwise: boolean): Item {
  if (scope.depth > 50) scope.fail('its functions call each other too deeply')
  const deeper: Scope = { ...scope, depth: scope.depth + 1,
    apply: (inner, given) => apply({ ...scope, depth: scope.depth + 1 }, inner, given, true) }
  switch (fn.kind) {
    case 'named': {
      const library =
        /^(NNlib|Flux|Base|Core|MLUtils|SpecialFunctions|LogExpFunctions|StatsFuns|Statistics|CUDA|Tracker)(\.|$)/.test(
          fn.path,
        )
      if (!library) scope.fail('it is defined in the program that saved the file')
      const [first] = args
      if (elementwise && args.length === 1 && first?.kind === 'tensor') {
        const value = pointwise(scope.emission, fn.name, first.value)
        return value === undefined
          ? scope.fail(`'${fn.name}' is not an activation that is known here`)
          : { kind: 'tensor', value }
      }
      return callNamed(deeper, fn.name, args, elementwise)
    }
    case 'broadcast':
      return apply(deeper, fn.fn, args, true)
    case 'composed':
      return apply(deeper, fn.outer, [apply(deeper, fn.inner, args, elementwise)], elementwise)
    case 'fixed': {
      const fixed = itemOf(scope, fn.value)
      // Base.Fix1(broadcast, f) is how Flux's LayerNorm keeps an activation.
      if (fn.fn.kind === 'named' && fn.fn.name === 'broadcast' && fixed.kind === 'function') {
        return apply(deeper, fixed.fn, args, true)
      }
      return apply(deeper, fn.fn, fn.position === 1 ? [fixed, ...args] : [...args, fixed], elementwise)
    }
    case 'closure':
      return runClosure(deeper, fn.closure, args)
  }
}

/** A value of the file as something that code can hold. */
function itemOf(scope: Scope, value: Bson): Item {
  const { reader } = scope.emission
  const { file } = reader
  spend(file)
  const number = numberOf(file, value)
  if (number !== undefined) return { kind: 'number', value: number }
  const symbol = symbolOf(file, value)
  if (symbol !== undefined) return { kind: 'symbol', name: symbol }
  const plain = resolve(file, value)
  if (typeof plain === 'boolean') return { kind: 'number', value: plain ? 1 : 0 }
  const fn = functionOf(file, plain)
  if (fn !== undefined) return { kind: 'function', fn }
  const module = moduleOf(file, plain)
  if (module !== undefined) return { kind: 'module', path: module }
  if (structOf(file, plain)?.type.path === 'Base.Colon') return { kind: 'colon' }
  const named = namedTupleOf(file, plain)
  if (named !== undefined) {
    return { kind: 'named', names: named.names, values: named.values.map(item => itemOf(scope, item)) }
  }
  const array = arrayOf(file, plain, scope.path, reader.cache)
  if (array !== undefined) return { kind: 'array', array }
  const layer = layerOf(reader, plain, scope.path)
  if (layer !== undefined) return { kind: 'layer', layer }
  const items = itemsOf(file, plain)
  if (items !== undefined && items.length <= 64) return { kind: 'tuple', items: items.map(item => itemOf(scope, item)) }
  return { kind: 'unknown', what: structOf(file, plain)?.type.path ?? 'a value' }
}

/** Walks the statements of an anonymous function once, top to bottom. */
function runClosure(scope: Scope, closure: Closure, args: readonly Item[]): Item {
  if (closure.problem !== undefined) scope.fail(closure.problem)
  if (closure.arity !== args.length) scope.fail(`it takes ${closure.arity} arguments, here it is given ${args.length}`)
  if (closure.statements.length > 500) scope.fail('it is long')
  const slots = new Map<number, Item>(args.map((item, i) => [i + 2, item]))
  slots.set(1, { kind: 'self', closure })
  const results: Item[] = []
  for (const code of closure.statements) {
    if (code.op === 'return') return evaluate(scope, code.value, slots, results)
    results.push(evaluate(scope, code, slots, results))
  }
  return scope.fail('it returns nothing')
}

function evaluate(scope: Scope, code: Code, slots: Map<number, Item>, results: readonly Item[]): Item {
  switch (code.op) {
    case 'slot':
      return slots.get(code.index) ?? scope.fail(`it reads the variable ${code.index} before it is set`)
    case 'statement':
      return results[code.index - 1] ?? scope.fail('its code refers to a statement that is not there')
    case 'global':
      return code.name === ':' ? { kind: 'colon' } : { kind: 'global', name: code.name }
    case 'symbol':
      return { kind: 'symbol', name: code.name }
    case 'value':
      return code.value === null ? { kind: 'nothing' } : itemOf(scope, code.value)
    case 'nothing':
      return { kind: 'nothing' }
    case 'assign': {
      const value = evaluate(scope, code.value, slots, results)
      slots.set(code.slot, value)
      return value
    }
    case 'return':
      return evaluate(scope, code.value, slots, results)
    case 'other':
      return scope.fail(code.head.includes('goto') ? 'it has branches or loops' : `it uses '${code.head}'`)
    case 'call':
      return evaluateCall(scope, evaluate(scope, code.fn, slots, results),
        code.args.map(argument => evaluate(scope, argument, slots, results)))
  }
}

function evaluateCall(scope: Scope, callee: Item, args: readonly Item[]): Item {
  switch (callee.kind) {
    case 'global': {
      // Fields of the closure and members of modules are looked up here, because they need the file.
      const [object, key] = args
      if (/^get(field|property)$/.test(callee.name) && key?.kind === 'symbol') {
        if (object?.kind === 'self') return itemOf(scope, object.closure.captured.get(key.name) ?? null)
        if (object?.kind === 'global' || object?.kind === 'module') return { kind: 'global', name: key.name }
      }
      return callNamed(scope, callee.name, args, false)
    }
    case 'function':
      return scope.apply(callee.fn, args)
    case 'layer': {
      const [only] = args
      if (args.length !== 1 || only?.kind !== 'tensor') {
        return scope.fail('it calls a layer with other things than one array')
      }
      return { kind: 'tensor',
        value: scope.emission.applyLayer(scope.emission, callee.layer, only.value, `${scope.path}.layer`) }
    }
    case 'type': {
      const [only] = args
      if (callee.names !== undefined && only?.kind === 'tuple') {
        return { kind: 'named', names: callee.names, values: only.items }
      }
      return callee.number === undefined ? scope.fail('it builds an object') : { kind: 'number', value: callee.number }
    }
    case 'keywords':
      return callNamed(scope, 'kwcall', [args[0] ?? { kind: 'nothing' }, callee.callee, ...args.slice(2)], false)
    default:
      return scope.fail('it calls something that is not a function')
  }
}
