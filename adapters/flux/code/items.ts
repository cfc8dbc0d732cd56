/** @file What a piece of Julia's code can evaluate to, and what the calls in it are given. */
import type { Emission, Value } from '../graph/emission.js'
import type { JuliaArray } from '../julia/arrays.js'
import type { Closure, FluxFunction } from '../julia/functions.js'
import type { FluxLayer } from '../layers/flux-layer.js'

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

/** What a call in a function evaluates to, given its arguments. */
export type Call = (scope: Scope, args: readonly Item[]) => Item

/** A value of the graph as an item. */
export function tensorItem(value: Value): Item {
  return { kind: 'tensor', value }
}

/** The array in an argument; ends the import through `scope.fail` when it is something else. */
export function arrayArgument(scope: Scope, item: Item | undefined): Value {
  return item?.kind === 'tensor' ? item.value : scope.fail('it uses something else where an array is needed')
}

/** The number in an argument; ends the import through `scope.fail` when it is something else. */
export function numberArgument(scope: Scope, item: Item | undefined): number {
  return item?.kind === 'number' ? item.value : scope.fail('it computes with sizes that are not known')
}

/** The numbers in an argument, one or a tuple; ends the import through `scope.fail` when one is not known. */
export function numbers(scope: Scope, item: Item | undefined): number[] {
  if (item?.kind === 'number') return [item.value]
  return item?.kind === 'tuple'
    ? item.items.map(each => numberArgument(scope, each))
    : scope.fail('it computes with sizes that are not known')
}
