/** @file Who uses a value of a file's graph, who makes it, and which values are the same for every input. */
import type { Graph, Node } from '../../core/graph/graph.js'
import { originOf, type Origins } from './tensor-origins.js'

/** Operators that pass a tensor's elements on in another layout. */
export const LAYOUT = new Set(['Identity', 'Cast', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Expand',
  'Tile', 'Dropout'])
/** Operators that multiply with weights; what comes before the first of them prepares the data. */
const WEIGHTED = new Set(['Gemm', 'MatMul', 'Einsum', 'Conv', 'ConvTranspose', 'RNN', 'GRU', 'LSTM', 'Gather',
  'BatchNormalization', 'LayerNormalization'])
export const PRODUCTS = new Set(['MatMul', 'Gemm', 'Conv', 'ConvTranspose', 'Einsum'])
const PREPARING = new Set([...LAYOUT, 'Add', 'Sub', 'Mul', 'Div', 'Pad', 'Slice', 'Clip', 'Concat'])

/** A node that reads a value, as its input of that number. */
export interface Use {
  readonly node: Node
  readonly input: number
}

/** The neighbours of a graph's values. */
export interface Surroundings {
  readonly uses: ReadonlyMap<string, readonly Use[]>
  readonly producers: ReadonlyMap<string, Node>
  /** Values that are the same for every input. */
  readonly fixed: ReadonlySet<string>
  /** Values that are inputs, or inputs made ready by arithmetic with constants. */
  readonly prepared: ReadonlySet<string>
}

/** What surrounds the values of a graph whose nodes are in topological order. */
export function lookAround(graph: Graph, origins: Origins): Surroundings {
  const uses = new Map<string, Use[]>()
  const producers = new Map<string, Node>()
  const fixed = new Set(graph.initializers.keys())
  const anyWeights = graph.nodes.some(node =>
    WEIGHTED.has(node.op) && node.inputs.some(name => graph.initializers.has(name))
  )
  const prepared = new Set(anyWeights ? graph.inputs.map(input => input.name) : [])
  for (const node of graph.nodes) {
    const isFixed = node.op === 'Shape' ||
      (node.inputs.length > 0 && node.inputs.every(name => name === '' || fixed.has(name)))
    const isPrepared = PREPARING.has(node.op) && !enlarges(node, graph, prepared) &&
      node.inputs.every(name =>
        name === '' || prepared.has(name) ||
        (fixed.has(name) && originOf(origins, name)?.kind !== 'parameter')
      )
    node.inputs.forEach((name, input) => {
      addUse(uses, name, { node, input })
    })
    for (const output of node.outputs) {
      producers.set(output, node)
      if (isFixed) fixed.add(output)
      else if (isPrepared) prepared.add(output)
    }
  }
  return { uses, producers, fixed, prepared }
}

/** Whether each number of the input becomes several, by a vector for each: a linear layer of one number. */
function enlarges(node: Node, { initializers }: Graph, prepared: ReadonlySet<string>): boolean {
  if (node.op !== 'Mul' || !node.inputs.some(name => prepared.has(name))) return false
  const shape = node.inputs.map(name => initializers.get(name)).find(value => value !== undefined)?.shape ?? []
  return shape.length > 1 && shape.filter(extent => extent > 1).length > 1
}

function addUse(uses: Map<string, Use[]>, name: string, use: Use): void {
  const list = uses.get(name)
  if (list === undefined) uses.set(name, [use])
  else list.push(use)
}

/** The node that computes a value, behind nodes that change its layout. */
export function sourceOf(name: string, { producers }: Surroundings): Node | undefined {
  let node = producers.get(name)
  for (let steps = 0; node !== undefined && LAYOUT.has(node.op) && steps < 100; steps++) {
    node = producers.get(node.inputs[0])
  }
  return node
}
