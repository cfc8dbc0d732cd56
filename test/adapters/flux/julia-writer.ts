/** @file Writes small BSON.jl files for the tests, as BSON.jl lowers Julia values. */
import { Long, serialize } from 'bson'

export type Lowered = unknown

/** A type by its dotted path. */
export const datatype = (path: string, ...params: Lowered[]): Lowered => ({ tag: 'datatype', name: path.split('.'),
  params })
export const struct = (path: string, fields: readonly Lowered[], ...params: Lowered[]): Lowered => ({ tag: 'struct',
  type: datatype(path, ...params), data: fields })
export const tuple = (...data: Lowered[]): Lowered => ({ tag: 'tuple', data })
export const symbol = (name: string): Lowered => ({ tag: 'symbol', name })
export const backref = (ref: number): Lowered => ({ tag: 'backref', ref: Long.fromNumber(ref) })
/** A function's singleton, `NNlib.relu` for example. */
export const fn = (path: string): Lowered => struct(path.replace(/([^.]+)$/, '#$1'), [])
export const identity = fn('Main.Base.identity')
/** Integers are 64 bits wide in Julia. */
export const int = (value: number): Lowered => Long.fromNumber(value)
export const ints = (...values: number[]): Lowered => tuple(...values.map(int))
export const float32 = (value: number): Lowered => ({ tag: 'struct', type: datatype('Core.Float32'),
  data: new Uint8Array(Float32Array.of(value).buffer) })
export const namedTuple = (entries: Record<string, Lowered>): Lowered =>
  struct('Core.NamedTuple', Object.values(entries), tuple(...Object.keys(entries).map(symbol)))

/** An array; `data` is column-major. */
export function array(size: readonly number[], data: ArrayLike<number>, type = 'Float32'): Lowered {
  const bytes = type === 'Float64'
    ? new Uint8Array(Float64Array.from(data).buffer)
    : new Uint8Array(Float32Array.from(data).buffer)
  return { tag: 'array', type: datatype(`Core.${type}`), size: size.map(int), data: bytes }
}

/** A file with variables and, if any, back references. */
export function file(variables: Record<string, Lowered>, backrefs?: readonly Lowered[]): Uint8Array {
  return Uint8Array.from(serialize({ ...variables, ...(backrefs === undefined ? {} : { _backrefs: backrefs }) }))
}

/** A little seeded source of numbers between -1 and 1. */
export function numbers(seed: number): (count: number) => number[] {
  let state = seed >>> 0
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  return count => Array.from({ length: count }, () => Math.fround(next()))
}

/**
 * An anonymous function of one or two arguments with its lowered statements; the first back reference holds its type
 * name.
 */
export function closure(statements: readonly Lowered[],
  options: { readonly arity?: number, readonly captured?: Record<string, Lowered>, readonly ref?: number } = {}
): { value: Lowered, backref: Lowered } {
  const captured = options.captured ?? {}
  const code = struct('Core.CodeInfo', [statements, array([0], []), null])
  const method = struct('Core.Method', [{ tag: 'ref', path: ['Main'] }, symbol('#1'), symbol('secret.jl'), int(7),
    datatype('Core.Tuple'), 'x', int((options.arity ?? 1) + 1), false, int(0), code])
  const typeName = struct('Core.TypeName', ['1.6.4', symbol('#1#2'), { tag: 'svec',
    data: Object.keys(captured).map(symbol) }, datatype('Core.Function'), { tag: 'svec', data: [] }, { tag: 'svec',
    data: [] }, true, false, false, int(0), [symbol('#1'), [method], int(2), null]])
  return {
    value: { tag: 'struct', type: { tag: 'jl_anonymous', typename: backref(options.ref ?? 1), params: [] },
      data: Object.values(captured) },
    backref: typeName,
  }
}

export const call = (name: string, ...args: Lowered[]): Lowered =>
  struct('Core.Expr', [symbol('call'), [global(name), ...args]])
export const callStatement = (callee: Lowered, ...args: Lowered[]): Lowered =>
  struct('Core.Expr', [symbol('call'), [callee, ...args]])
export const global = (name: string): Lowered =>
  struct('Core.GlobalRef', [{ tag: 'ref', path: ['Main'] }, symbol(name)])
export const slot = (index: number): Lowered => struct('Core.SlotNumber', [int(index)])
export const ssa = (index: number): Lowered => struct('Core.SSAValue', [int(index)])
export const give = (value: Lowered): Lowered => struct('Core.ReturnNode', [value])

/** Flux's layers with the fields of the newest versions. */
export const chain = (...layers: Lowered[]): Lowered => struct('Flux.Chain', [tuple(...layers)])
export const dense = (outputs: number, inputs: number, weight: ArrayLike<number>, bias: ArrayLike<number> | false,
  activation: Lowered = identity): Lowered =>
  struct('Flux.Dense', [array([outputs, inputs], weight), bias === false ? false : array([outputs], bias), activation])
