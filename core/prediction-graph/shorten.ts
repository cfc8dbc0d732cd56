/**
 * @file Fewer nodes for the same numbers. A small network takes a runtime little more than the calls of its nodes, so
 * that every reshape and cast which changes nothing counts.
 */
import { GraphError } from '../errors/errors.js'
import type { Graph, Node } from '../graph/graph.js'
import { sameShape } from '../ops/shape-rules.js'
import { removeDead } from '../passes/fold.js'
import { inferTypes } from '../passes/infer.js'
import { type Producers, producersOf } from '../passes/producers.js'
import { withAffineJoined } from './affine.js'

type Types = ReturnType<typeof inferTypes>

/**
 * The graph without reshapes to the shape that there is and casts up and down again, with affine functions of affine
 * functions as one, what is computed twice computed once, and results under their own names. The nodes that compute the
 * values `kept` stay as they are.
 */
export function shortened(graph: Graph, kept: ReadonlySet<string> = new Set()): Graph {
  const steps: readonly ((graph: Graph, types: Types) => Graph)[] = [withoutCopies,
    (own, types) => removeDead(withAffineJoined(own, types, kept)), narrowed, withoutCopies,
    own => withoutRepeats(own, kept)]
  return withOwnNames(steps.reduce((own, step) => {
    const types = typesOf(own)
    return types === undefined ? own : step(own, types)
  }, graph))
}

/** Undefined where a network has operators without a rule: runtimes have one. */
function typesOf(graph: Graph): Types | undefined {
  try {
    return inferTypes(graph)
  } catch (error) {
    if (error instanceof GraphError) return undefined
    throw error
  }
}

/** Every use of a copy becomes one of what it copies. */
function withoutCopies(graph: Graph, types: Types): Graph {
  const producers = producersOf(graph)
  const originals = new Map<string, string>()
  const original = (name: string): string => originals.get(name) ?? name
  const nodes = graph.nodes.map(node => {
    const own = { ...node, inputs: node.inputs.map(original) }
    const source = copied(own, types, producers, original)
    if (source !== undefined && !graph.outputs.includes(node.outputs[0])) originals.set(node.outputs[0], source)
    return own
  })
  return removeDead({ ...graph, nodes })
}

/** What a node's result is the same as, bit by bit. */
function copied({ op, inputs, outputs }: Node, types: Types, producers: Producers, original: (name: string) => string):
  | string
  | undefined {
  const [from, to] = [types.get(inputs[0]), types.get(outputs[0])]
  if (from === undefined || to === undefined) return undefined
  if (op === 'Identity') return inputs[0]
  if (op === 'Reshape') {
    const before = producers.get(inputs[0])
    const source = before?.op === 'Reshape' ? original(before.inputs[0]) : inputs[0]
    const found = types.get(source)
    return found !== undefined && sameShape(found.shape, to.shape) ? source : undefined
  }
  if (op !== 'Cast') return undefined
  const before = producers.get(inputs[0])
  const source = before?.op === 'Cast' ? original(before.inputs[0]) : inputs[0]
  const same = types.get(source)?.dtype === to.dtype
  // Only float64 holds every float32.
  return same && (source === inputs[0] || (to.dtype === 'float32' && from.dtype === 'float64')) ? source : undefined
}

/** Nodes that do the same with the same values as one. */
function withoutRepeats(graph: Graph, kept: ReadonlySet<string>): Graph {
  const firsts = new Map<string, string>()
  const originals = new Map<string, string>()
  const nodes = graph.nodes.flatMap(node => {
    const own = { ...node, inputs: node.inputs.map(name => originals.get(name) ?? name) }
    const [result] = own.outputs
    if (own.outputs.length > 1 || kept.has(result)) return [own]
    const key = JSON.stringify([own.op, own.inputs, own.attributes])
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, result)
    else if (!graph.outputs.includes(result)) originals.set(result, first)
    return originals.has(result) ? [] : [own]
  })
  return { ...graph, nodes }
}

/** Operators whose float64 result of float32 values, rounded to float32, is the float32 operator's own. */
const ROUNDED_ONCE = new Set(['Add', 'Sub', 'Mul', 'Div', 'Sqrt'])

/** An operator between casts up and down as one of float32. */
function narrowed(graph: Graph, types: Types): Graph {
  const producers = producersOf(graph)
  const isCast = (node: Node | undefined, from: string, to: string): boolean =>
    node?.op === 'Cast' && node.attributes['storage'] === undefined && types.get(node.inputs[0])?.dtype === from &&
    types.get(node.outputs[0])?.dtype === to
  const nodes = graph.nodes.map(node => {
    const inner = isCast(node, 'float64', 'float32') ? producers.get(node.inputs[0]) : undefined
    const wide = inner?.inputs.map(name => producers.get(name))
    if (inner === undefined || !ROUNDED_ONCE.has(inner.op) || wide === undefined) return node
    if (!wide.every(cast => isCast(cast, 'float32', 'float64'))) return node
    return { ...inner, inputs: wide.flatMap(cast => cast?.inputs.slice(0, 1) ?? []), outputs: node.outputs }
  })
  return removeDead({ ...graph, nodes })
}

/** Results that are copies of a value get that value's place: a node less for each. */
function withOwnNames(graph: Graph): Graph {
  const producers = producersOf(graph)
  const names = new Map<string, string>()
  const copies = new Set<Node>()
  for (const name of graph.outputs) {
    const copy = producers.get(name)
    const source = copy?.op === 'Identity' ? copy.inputs[0] : undefined
    if (copy === undefined || source === undefined || !producers.has(source)) continue
    if (names.has(source) || graph.outputs.includes(source)) continue
    names.set(source, name)
    copies.add(copy)
  }
  const renamed = (name: string): string => names.get(name) ?? name
  return { ...graph,
    nodes: graph.nodes.filter(node => !copies.has(node)).map(node => ({ ...node, inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed) })
    ) }
}
