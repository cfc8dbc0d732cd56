/** @file What is asked of a graph again and again, by the steps of a fit and by every fit of a network: found once. */
import type { Tensor } from '../tensor/tensor.js'
import type { Graph } from './graph.js'

/** What was found before, with the initialisers that the graph had then. */
interface Found<R> {
  readonly values: ReadonlyMap<string, Tensor>
  readonly results: Map<string, { readonly value: R }>
}

/**
 * The same function, which finds each of its results once for as long as the graph is there. Numbers of parameters are
 * not among what it may ask: they are changed in place. Where a tensor has taken another one's place all is found anew.
 */
export function onceForGraph<W extends readonly (string | number | undefined)[], R>(
  find: (graph: Graph, ...words: W) => R,
): (graph: Graph, ...words: W) => R {
  const known = new WeakMap<Graph, Found<R>>()
  return (graph, ...words) => {
    const before = known.get(graph)
    const found = before !== undefined && sameEntries(before.values, graph.initializers)
      ? before
      : { values: new Map(graph.initializers), results: new Map<string, { readonly value: R }>() }
    known.set(graph, found)
    const key = JSON.stringify(words)
    const result = found.results.get(key) ?? { value: find(graph, ...words) }
    found.results.set(key, result)
    return result.value
  }
}

function sameEntries(a: ReadonlyMap<string, Tensor>, b: ReadonlyMap<string, Tensor>): boolean {
  if (a.size !== b.size) return false
  for (const [name, value] of a) if (b.get(name) !== value) return false
  return true
}
