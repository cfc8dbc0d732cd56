/**
 * @file Networks with lengths that the file leaves open: whether what their nodes were written out to for one length is
 * the same for all others.
 */
import { type Graph, isBatch, type Node } from '../../core/graph/graph.js'
import { knownDims } from '../../core/ops/shape-rules.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import type { Decision, KnownTypes, Place } from './upgrade-context.js'

/** A network in the newest operator set, written for one length of its open axes. */
export interface Written {
  readonly graph: Graph
  readonly types: KnownTypes
  /** Whether nodes were written out in others. */
  readonly writtenOut: boolean
  readonly decisions: readonly Decision[]
  readonly places: readonly Place[]
}

/** Operators that pass on some elements of their first input: what the others are does not matter. */
const PASSING = new Set(['Gather', 'Slice'])

/**
 * A node that takes another form for another length, of a network that was written for two; undefined where there is
 * none. Two lengths can agree by chance in a condition such as `time > 100`, so that values which decide are followed
 * to the shapes they come from.
 */
export function nodeOfOneLength(a: Written, b: Written): Node | undefined {
  const [longer, other] = a.graph.nodes.length < b.graph.nodes.length ? [b, a] : [a, b]
  const changed = longer.graph.nodes.findIndex((node, i) =>
    !sameNode(node, longer.graph, other.graph.nodes[i], other.graph)
  )
  if (changed >= 0) return longer.places.findLast(({ from }) => from <= changed)?.node
  const makers = new Map(a.graph.nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
  const followed = new Map<string, boolean>()
  const follows = (value: string): boolean => {
    const before = followed.get(value)
    if (before !== undefined) return before
    const result = !a.graph.initializers.has(value) && (!sameElements(value, a.types, b.types) || read(value))
    followed.set(value, result)
    return result
  }
  const read = (value: string): boolean => {
    const node = makers.get(value)
    if (node === undefined) return true
    if (node.op === 'Shape' || node.op === 'Size') return false
    return node.inputs.slice(PASSING.has(node.op) ? 1 : 0).some(name => name !== '' && follows(name))
  }
  return a.decisions.find(({ value }) => follows(value))?.node
}

function sameNode(a: Node, { initializers: ofA }: Graph, b: Node | undefined, { initializers: ofB }: Graph): boolean {
  return a.op === b?.op && sameList(a.inputs, b.inputs) && sameList(a.outputs, b.outputs) &&
    JSON.stringify(a.attributes) === JSON.stringify(b.attributes) &&
    a.inputs.every(name => sameTensor(ofA.get(name), ofB.get(name)))
}

function sameTensor(a: Tensor | undefined, b: Tensor | undefined): boolean {
  if (a === undefined || b === undefined || a.data === b.data) return a?.data === b?.data
  return a.dtype === b.dtype && sameList(a.shape, b.shape) && a.data.length === b.data.length &&
    a.data.every((each, i) => Object.is(each, b.data[i]))
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, i) => Object.is(each, b[i]))
}

/** Whether the elements of a value are known and the same for both lengths. */
function sameElements(value: string, a: KnownTypes, b: KnownTypes): boolean {
  const [ofA, ofB] = [a, b].map(types =>
    knownDims(types.get(value))?.map(dim => (isBatch(dim) ? `${dim.outer} N ${dim.inner}` : dim))
  )
  return ofA !== undefined && ofB !== undefined && sameList(ofA, ofB)
}
