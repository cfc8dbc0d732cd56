/**
 * @file Dimensions of Julia and axes of the graph.
 *
 * Dimensions count from 1 in Julia's order: dimension d of an array of rank r is axis r - d of the graph's value, and
 * dimension r is the batch.
 */
import type { Value } from '../graph/emission.js'
import { arrayArgument, type Item, numberArgument, type Scope } from './items.js'

/** The size along dimension `d`: a number, or the batch. */
function dimension(scope: Scope, x: Value, d: number): Item {
  const rank = x.shape.length + 1
  if (d === rank) return { kind: 'batch' }
  if (d > rank || d < 1) return scope.fail(`it asks for dimension ${d} of an array that has ${rank} here`)
  return { kind: 'number', value: x.shape[rank - d - 1] }
}

/** `size(x)` as a tuple with the batch as its last item, or `size(x, d)` as one of its items. */
export function sizeCall(scope: Scope, [array, d]: readonly Item[]): Item {
  const x = arrayArgument(scope, array)
  if (d !== undefined) return dimension(scope, x, numberArgument(scope, d))
  return { kind: 'tuple', items: Array.from({ length: x.shape.length + 1 }, (_, i) => dimension(scope, x, i + 1)) }
}

/** `t[i]` for a tuple; positions count from 1. */
export function indexCall(scope: Scope, [object, index]: readonly Item[]): Item {
  if (object?.kind !== 'tuple') return scope.fail('it indexes an array')
  return object.items[numberArgument(scope, index) - 1] ?? scope.fail('it indexes past the end of a tuple')
}

/** The axis of the graph for dimension d of Julia. */
export function axisOf(scope: Scope, x: Value, d: number): number {
  const rank = x.shape.length + 1
  if (!Number.isInteger(d) || d < 1 || d >= rank) {
    return scope.fail(
      d === rank ? 'it mixes the examples of a batch' : `it uses dimension ${d} of an array of rank ${rank}`,
    )
  }
  return rank - d
}
