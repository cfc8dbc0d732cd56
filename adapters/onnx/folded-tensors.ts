/**
 * @file Tensors that an exporter has worked out from parameters: one that is a parameter again, or a function of its
 * numbers (the squares of a factorisation machine), and one whose rows are those of a table, some of them several times
 * (relative positions, token types).
 */
import { GraphBuilder } from '../../core/graph/builder.js'
import type { Graph, Node } from '../../core/graph/graph.js'
import { isFloat } from '../../core/ops/element-types.js'
import { type Tensor, tensor } from '../../core/tensor/tensor.js'
import { isUniform } from './exported-constants.js'
import { type Origins, OWN_NAME } from './tensor-origins.js'

/** A node of one value, and perhaps integers as its second input. */
interface Step {
  readonly op: string
  readonly integers?: readonly number[]
  readonly attributes?: Node['attributes']
}

/** How a tensor is made of another of the file, or of a table of its own. */
interface Recipe {
  readonly from: string | Tensor
  readonly steps: readonly Step[]
}

/** The graph with such tensors as what they were made from, so that each number that was learnt is there once. */
export function unfoldTensors(graph: Graph, origins: Origins): Graph {
  const builder = GraphBuilder.from(graph, 'float32')
  const before: Node[] = []
  const renamed = new Map<string, string>()
  const read = new Set(graph.nodes.flatMap(node => node.inputs))
  for (const [name, value] of graph.initializers) {
    if (!isFloat(value.dtype) || value.data.length < 2 || !read.has(name)) continue
    const recipe = recipeOf(name, value, graph, origins)
    if (recipe === undefined) continue
    const { from, steps } = recipe
    if (typeof from === 'string') builder.initializers.delete(name)
    else builder.initializers.set(name, from)
    const made = steps.reduce((last, { op, integers, attributes = {} }) => {
      const output = builder.fresh(name)
      const more = op === 'Mul' ? [last] : integers === undefined ? [] : [builder.integers(integers)]
      before.push({ op, inputs: [last, ...more], outputs: [output], attributes })
      return output
    }, typeof from === 'string' ? from : name)
    renamed.set(name, made)
  }
  if (renamed.size === 0) return graph
  const nodes = graph.nodes.map(node => ({ ...node, inputs: node.inputs.map(name => renamed.get(name) ?? name) }))
  builder.nodes.splice(0, builder.nodes.length, ...before, ...nodes)
  return builder.build(graph.outputs.map(name => renamed.get(name) ?? name))
}

/** What a tensor was made from, where that can be seen. */
function recipeOf(name: string, value: Tensor, graph: Graph, origins: Origins): Recipe | undefined {
  const origin = origins.get(name)
  const sources = sourcesOf(name, graph, origins)
  const shaped = { op: 'Reshape', integers: value.shape }
  const same = sources.find(source => sameElements(graph.initializers.get(source), value))
  if (same !== undefined) return { from: same, steps: [shaped] }
  const turned = turnedFrom(sources, graph, value)
  if (turned !== undefined) return { from: turned, steps: [{ op: 'Transpose', attributes: { perm: [1, 0] } }] }
  if (origin === undefined) return undefined
  const made = origin.mixed === true ? functionOf(sources, graph, value) : undefined
  if (made !== undefined) return { from: made.source, steps: [{ op: made.op }, shaped] }
  return origin.computed && origin.from.length > 0 ? tableOf(value) : undefined
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

/** Functions that networks have of what they have learnt, besides the learnt tensor itself. */
const FUNCTIONS: ReadonlyMap<string, (x: number) => number> = new Map([
  ['Mul', x => x * x],
  ['Exp', Math.exp],
  ['Abs', Math.abs],
  ['Neg', x => -x],
  ['Reciprocal', x => 1 / x],
  ['Sqrt', Math.sqrt],
  ['Sigmoid', x => 1 / (1 + Math.exp(-x))],
  ['Tanh', Math.tanh],
  ['Softplus', x => Math.log1p(Math.exp(x))],
  ['Relu', x => Math.max(x, 0)],
])

/** The parameter of whose every number the value is the same function, to the digits of single precision. */
function functionOf(sources: readonly string[], { initializers }: Graph, { data }: Tensor):
  | { op: string, source: string }
  | undefined {
  const found = sources.flatMap(source => {
    const from = initializers.get(source)?.data
    if (from?.length !== data.length) return []
    const matches = (f: (x: number) => number): boolean =>
      from.every((x, i) => Math.abs(f(x) - data[i]) <= 4e-7 * Math.abs(f(x)))
    return [...FUNCTIONS].flatMap(([op, f]) => (matches(f) ? [{ op, source }] : []))
  })
  return found[0]
}

function sameElements(a: Tensor | undefined, b: Tensor): boolean {
  return a !== undefined && a.data.length === b.data.length && a.data.every((value, i) => value === b.data[i])
}

/** The rows of several numbers, each once, of which some are in several places; undefined where each is in one. */
function tableOf({ dtype, shape, data }: Tensor): Recipe | undefined {
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
  if (tables.length === 0 || smallest.rows.data.length === data.length || new Set(smallest.rows.data).size < 2) {
    return undefined
  }
  const { rows, places, axis } = smallest
  const others = shape.filter((_, i) => i !== axis)
  const perm = shape.map((_, i) => (i === axis ? others.length : i < axis ? i : i - 1))
  return { from: rows,
    steps: [{ op: 'Gather', integers: places }, { op: 'Reshape', integers: [...others, shape[axis]] }, {
      op: 'Transpose',
      attributes: { perm },
    }] }
}
