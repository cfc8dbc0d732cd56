/**
 * @file Functions in a Flux network: named ones (`relu`), functions with a fixed argument, and anonymous ones.
 *
 * An anonymous function is stored as lowered Julia code. It is read into a small expression tree here; a translator
 * (translate.ts) recognises calls of known functions in it. Code is never executed.
 */
import type { Bson, BsonList } from './bson-values.js'
import { type JuliaFile, malformed, resolve, spend } from './julia-file.js'
import { type JuliaType, primitiveOf, structOf } from './julia-types.js'
import { itemsOf, moduleOf, numberOf, symbolOf } from './julia-values.js'

/** A function that a layer applies. */
export type FluxFunction =
  | { readonly kind: 'named', readonly name: string, readonly path: string }
  | { readonly kind: 'fixed', readonly fn: FluxFunction, readonly position: 1 | 2, readonly value: Bson }
  | { readonly kind: 'composed', readonly outer: FluxFunction, readonly inner: FluxFunction }
  | { readonly kind: 'broadcast', readonly fn: FluxFunction }
  | { readonly kind: 'closure', readonly closure: Closure }

/** An anonymous function: its lowered code and the values it captured. */
export interface Closure {
  /** The name Julia gave it (`#5`), and the line it was written on. */
  readonly name: string
  readonly line: number
  /** Version of Julia that saved it. */
  readonly julia: string
  /** Number of arguments. */
  readonly arity: number
  readonly statements: readonly Code[]
  readonly captured: ReadonlyMap<string, Bson>
  readonly problem?: string
}

/** Lowered code. Slots and statements count from 1, as in Julia; slot 1 is the function itself. */
export type Code =
  | { readonly op: 'slot', readonly index: number }
  | { readonly op: 'statement', readonly index: number }
  | { readonly op: 'global', readonly name: string, readonly module: string }
  | { readonly op: 'value', readonly value: Bson }
  | { readonly op: 'symbol', readonly name: string }
  | { readonly op: 'call', readonly fn: Code, readonly args: readonly Code[] }
  | { readonly op: 'assign', readonly slot: number, readonly value: Code }
  | { readonly op: 'return', readonly value: Code }
  | { readonly op: 'nothing' }
  | { readonly op: 'other', readonly head: string }

/** The sentence that names a function and the way out, for every place that cannot import one. */
export function wayOut(fn: FluxFunction): string {
  return `${describeFunction(fn)} cannot be imported: it is Julia code, which is never run here. ` +
    'Replace it by a Flux layer (Flux.flatten, MaxPool, an activation), ' +
    'or save only the parameters and give the architecture.'
}

/** A function in words. File paths in the saved code are private, so only name and line are shown. */
function describeFunction(fn: FluxFunction): string {
  switch (fn.kind) {
    case 'named':
      return `The Julia function ${fn.path}`
    case 'fixed':
    case 'broadcast':
      return describeFunction(fn.fn)
    case 'composed':
      return `The composition of two functions (${describeFunction(fn.outer)}; ${describeFunction(fn.inner)})`
    case 'closure':
      return `The anonymous Julia function ${fn.closure.name} (line ${fn.closure.line})`
  }
}

/** Reads a function object, or returns undefined when the value is none. */
export function functionOf(file: JuliaFile, value: Bson | undefined, depth = 0): FluxFunction | undefined {
  if (depth > 20) throw malformed('Functions are nested deeper than 20.')
  spend(file)
  const struct = structOf(file, value)
  if (struct === undefined) return undefined
  const { type, fields } = struct
  const inner = (field: number): FluxFunction | undefined => functionOf(file, fields[field], depth + 1)
  if (type.typeName !== undefined) return { kind: 'closure', closure: readClosure(file, type, fields) }
  switch (type.path) {
    case 'Base.Fix1':
    case 'Base.Fix2':
    case 'Base.Fix': {
      const fn = inner(0)
      // Base.Fix{N,F,T} of Julia 1.12 has its position as first parameter.
      const position = type.path === 'Base.Fix1' ? 1 : type.path === 'Base.Fix2' ? 2 : numberOf(file, type.params[0])
      return fn === undefined || (position !== 1 && position !== 2)
        ? undefined
        : { kind: 'fixed', fn, position, value: fields[1] ?? null }
    }
    case 'Base.ComposedFunction': {
      const outer = inner(0)
      const first = inner(1)
      return outer === undefined || first === undefined ? undefined : { kind: 'composed', outer, inner: first }
    }
    case 'Base.Broadcast.BroadcastFunction': {
      const fn = inner(0)
      return fn === undefined ? undefined : { kind: 'broadcast', fn }
    }
    default:
      if (!type.name.startsWith('#') || fields.length !== 0) return undefined
      return { kind: 'named', name: type.name.slice(1), path: type.path.replace('#', '') }
  }
}

/** Reads the code behind the type of an anonymous function. Unreadable code gives a closure with a `problem`. */
function readClosure(file: JuliaFile, type: JuliaType, captures: BsonList): Closure {
  const typeName = structOf(file, type.typeName)
  const unknown: Closure = { name: '?', line: 0, julia: '?', arity: 0, statements: [], captured: new Map(),
    problem: 'its code is not in the file' }
  if (typeName === undefined || typeName.fields.length < 11) return unknown
  const text = (value: Bson | undefined): string => {
    const plain = resolve(file, value)
    return typeof plain === 'string' ? plain : '?'
  }
  const julia = text(typeName.fields[0]).slice(0, 40)
  const name = (symbolOf(file, typeName.fields[1]) ?? '?').slice(0, 100)
  const names = (itemsOf(file, typeName.fields[2]) ?? []).map(field => symbolOf(file, field) ?? '')
  const captured = new Map(names.map((field, i) => [field, captures[i] ?? null] as const))
  const table = itemsOf(file, typeName.fields[typeName.fields.length - 1])
  const methods = itemsOf(file, table?.[1]) ?? []
  const partial = { ...unknown, name, julia, captured }
  if (methods.length !== 1) return { ...partial, problem: `it has ${methods.length} methods` }
  const method = structOf(file, methods[0])
  const code = structOf(file, method?.fields[method.fields.length - 1])
  if (method === undefined || code === undefined) return partial
  const line = numberOf(file, method.fields[3]) ?? 0
  const argumentsField = numberOf(file, method.fields[method.fields.length === 11 ? 7 : 6]) ?? 0
  const statements = (itemsOf(file, code.fields[0]) ?? []).map(statement => readCode(file, statement, 0))
  return { name, line, julia, arity: argumentsField - 1, statements, captured }
}

/** Reads one piece of lowered code. */
function readCode(file: JuliaFile, value: Bson | undefined, depth: number): Code {
  if (depth > 50) throw malformed('Code of an anonymous function is nested deeper than 50.')
  spend(file)
  const symbol = symbolOf(file, value)
  if (symbol !== undefined) return { op: 'symbol', name: symbol }
  const plain = resolve(file, value)
  if (plain === null) return { op: 'value', value: null }
  const struct = structOf(file, plain)
  if (struct === undefined || primitiveOf(file, plain) !== undefined) {
    const module = moduleOf(file, plain)
    return module === undefined
      ? { op: 'value', value: plain }
      : { op: 'global', name: module.split('.').pop() ?? module, module }
  }
  const { fields } = struct
  const index = (): number => numberOf(file, fields[0]) ?? 0
  switch (struct.type.path) {
    case 'Core.SlotNumber':
    case 'Core.TypedSlot':
    case 'Core.Argument':
      return { op: 'slot', index: index() }
    case 'Core.SSAValue':
      return { op: 'statement', index: index() }
    case 'Core.GlobalRef':
      return { op: 'global', name: symbolOf(file, fields[1]) ?? '?', module: moduleOf(file, fields[0]) ?? '?' }
    case 'Core.QuoteNode': {
      const quoted = symbolOf(file, fields[0])
      return quoted === undefined ? { op: 'value', value: fields[0] ?? null } : { op: 'symbol', name: quoted }
    }
    case 'Core.ReturnNode':
      return { op: 'return', value: readCode(file, fields[0], depth + 1) }
    case 'Core.NewvarNode':
    case 'Core.LineNumberNode':
      return { op: 'nothing' }
    case 'Core.Expr':
      return readExpression(file, fields, depth)
    default:
      return struct.type.path.startsWith('Core.Goto') ? { op: 'other', head: 'goto' } : { op: 'value', value: plain }
  }
}

function readExpression(file: JuliaFile, fields: BsonList, depth: number): Code {
  const head = symbolOf(file, fields[0]) ?? '?'
  const args = (itemsOf(file, fields[1]) ?? []).map(argument => readCode(file, argument, depth + 1))
  const [first, ...rest] = args
  if (head === 'call' && first !== undefined) return { op: 'call', fn: first, args: rest }
  if (head === 'return' && first !== undefined) return { op: 'return', value: first }
  if (head === '=' && first?.op === 'slot' && rest[0] !== undefined) {
    return { op: 'assign', slot: first.index, value: rest[0] }
  }
  if (['meta', 'inbounds', 'code_coverage_effect', 'line'].includes(head)) return { op: 'nothing' }
  return { op: 'other', head }
}
