/** @file What the shapes of a node's inputs alone decide, tables of windows above all: kept from run to run. */
import type { Node } from '../graph/graph.js'
import type { Tensor } from '../tensor/tensor.js'
import { sameShape } from './shape-rules.js'

/** Shapes of a node for which plans are kept: those of whole batches, and those of the last one. */
const MOST_SHAPES = 2

interface Kept {
  readonly inputs: readonly ValueShape[]
  readonly plan: unknown
}

type ValueShape = Pick<Tensor, 'shape' | 'dtype'>

const plans = new WeakMap<Node, readonly Kept[]>()

/** The plan of a node for inputs of some shapes and types, on which alone it may depend besides the node. */
export function planned<P>(node: Node, inputs: readonly ValueShape[], make: () => P): P {
  const own = plans.get(node) ?? []
  for (const kept of own) if (kept.inputs.every((known, i) => isLike(known, inputs[i]))) return kept.plan as P
  const plan = make()
  const key = inputs.map(({ shape, dtype }) => ({ shape, dtype }))
  plans.set(node, [{ inputs: key, plan }, ...own.slice(0, MOST_SHAPES - 1)])
  return plan
}

function isLike(a: ValueShape, b: ValueShape): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape)
}
