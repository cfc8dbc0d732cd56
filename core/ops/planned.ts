/** @file What the shapes of a node's inputs alone decide, tables of windows above all: kept from run to run. */
import type { Node } from '../graph/graph.js'

/** Shapes of a node for which plans are kept: those of whole batches, and those of the last one. */
const MOST_SHAPES = 2

const plans = new WeakMap<Node, Map<string, unknown>>()

/**
 * The plan of a node for inputs of some shapes.
 * @param key all that the plan depends on besides the node
 */
export function planned<P>(node: Node, key: readonly unknown[], make: () => P): P {
  const own = plans.get(node) ?? new Map<string, unknown>()
  plans.set(node, own)
  const name = key.join(' ')
  if (own.has(name)) return own.get(name) as P
  const plan = make()
  const [oldest] = own.keys()
  if (own.size >= MOST_SHAPES && oldest !== undefined) own.delete(oldest)
  own.set(name, plan)
  return plan
}
