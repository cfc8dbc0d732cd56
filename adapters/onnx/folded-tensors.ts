/**
 * @file Tensors that an exporter has worked out from parameters: one that is a parameter again, and one whose rows are
 * those of a table, some of them several times (relative positions, token types).
 */
import { GraphBuilder } from '../../core/graph/builder.js'
import type { Graph, Node } from '../../core/graph/graph.js'
import { isFloat } from '../../core/ops/element-types.js'
import { type Tensor, tensor } from '../../core/tensor/tensor.js'
import { isUniform } from './exported-constants.js'
import { type Origins, OWN_NAME } from './tensor-origins.js'

/** The graph with such tensors as what they were made from, so that each number that was learnt is there once. */
export function unfoldTensors(graph: Graph, origins: Origins): Graph {
  const builder = GraphBuilder.from(graph, 'float32')
  const before: Node[] = []
  const renamed = new Map<string, string>()
  for (const [name, value] of graph.initializers) {
    if (!isFloat(value.dtype) || value.data.length < 2) continue
    const origin = origins.get(name)
    const sources = sourcesOf(name, graph, origins)
    const same = sources.find(source => sameElements(graph.initializers.get(source), value))
    const turned = same === undefined ? turnedFrom(sources, graph, value) : undefined
    const table = same === undefined && turned === undefined && origin?.computed === true && origin.from.length > 0
      ? tableOf(value)
      : undefined
    if (same === undefined && turned === undefined && table === undefined) continue
    const all = builder.fresh(name)
    renamed.set(name, all)
    const step = (op: string, inputs: readonly string[], output: string,
      attributes: Node['attributes'] = {}): string => {
      before.push({ op, inputs, outputs: [output], attributes })
      return output
    }
    if (same !== undefined) {
      builder.initializers.delete(name)
      step('Reshape', [same, builder.integers(value.shape)], all)
    } else if (turned !== undefined) {
      builder.initializers.delete(name)
      step('Transpose', [turned], all, { perm: [1, 0] })
    } else if (table !== undefined) {
      const { rows, places, axis } = table
      const others = value.shape.filter((_, i) => i !== axis)
      builder.initializers.set(name, rows)
      const picked = step('Gather', [name, builder.integers(places)], builder.fresh(name))
      const moved = step('Reshape', [picked, builder.integers([...others, value.shape[axis]])], builder.fresh(name))
      const perm = value.shape.map((_, i) => (i === axis ? others.length : i < axis ? i : i - 1))
      step('Transpose', [moved], all, { perm })
    }
  }
  if (renamed.size === 0) return graph
  const nodes = graph.nodes.map(node => ({ ...node, inputs: node.inputs.map(name => renamed.get(name) ?? name) }))
  builder.nodes.splice(0, builder.nodes.length, ...before, ...nodes)
  return builder.build(graph.outputs.map(name => renamed.get(name) ?? name))
}

/** Names that torch's older exporter gives to what it has worked out. */
const WORKED_OUT = /^onnx::\w+_\d+$/

/** The tensors that one may have been made from; the older exporter does not say which. */
function sourcesOf(name: string, { initializers }: Graph, origins: Origins): string[] {
  const origin = origins.get(name)
  if (origin !== undefined) return origin.from.filter(source => origins.get(source)?.kind === 'parameter')
  const value = initializers.get(name)
  if (!WORKED_OUT.test(name) || value === undefined || isUniform(value, value.data[0])) return []
  return [...initializers.keys()].filter(other => OWN_NAME.test(other) && !origins.has(other))
}

/** The matrix that the value is with its axes changed. */
function turnedFrom(sources: readonly string[], { initializers }: Graph, { shape, data }: Tensor): string | undefined {
  if (shape.length !== 2) return undefined
  const [rows, columns] = shape
  return sources.find(source => {
    const matrix = initializers.get(source)
    return matrix?.shape.length === 2 && matrix.shape[0] === columns && matrix.shape[1] === rows &&
      matrix.data.every((value, i) => value === data[i % rows * columns + Math.floor(i / rows)])
  })
}

function sameElements(a: Tensor | undefined, b: Tensor): boolean {
  return a !== undefined && a.data.length === b.data.length && a.data.every((value, i) => value === b.data[i])
}

/** Rows of several numbers, and which of them is at each place; undefined where each is at one place only. */
function tableOf({ dtype, shape, data }: Tensor): { rows: Tensor, places: number[], axis: number } | undefined {
  const tables = [...shape.keys()].filter(axis => shape[axis] > 1).map(axis => {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
    const [length, count] = [shape[axis], data.length / shape[axis]]
    const known = new Map<string, number>()
    const rows: number[] = []
    const places = Array.from({ length: count }, (_, place) => {
      const start = Math.floor(place / inner) * inner * length + place % inner
      const row = Array.from({ length }, (_, i) => data[start + i * inner])
      const key = row.join()
      const found = known.get(key) ?? known.size
      if (found === known.size) {
        known.set(key, found)
        rows.push(...row)
      }
      return found
    })
    return { rows: tensor(dtype, [known.size, length], rows), places, axis }
  })
  const [smallest] = tables.sort((a, b) => a.rows.data.length - b.rows.data.length)
  // All numbers alike are those of a start, not of one number in many places.
  return tables.length > 0 && smallest.rows.data.length < data.length && new Set(smallest.rows.data).size > 1
    ? smallest
    : undefined
}
