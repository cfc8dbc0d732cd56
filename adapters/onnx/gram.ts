/**
 * @file Gram matrices of batches in ONNX: nodes that mix the examples, which graphs of the core never do, so they are
 * written behind a graph. ONNX has no symmetric product: a large matrix is written as blocks of rows up to the
 * diagonal, which saves nearly half of the work.
 */
import { InternalError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import type { Graph, ValueType } from '../../core/graph/graph.js'

/** Rows `from` to `to` of a Gram matrix, of which the columns before `to` are computed. */
export interface GramBlock {
  readonly from: number
  readonly to: number
}

/** Smaller matrices are one block: their products are too small to be cut. */
const CUT_FROM = 512
const BLOCKS = 4
/** Blocks begin at multiples of this, which suits the vectors of every processor. */
const ALIGNED = 16

/** The blocks of a Gram matrix of n columns. */
export function gramBlocks(n: number): GramBlock[] {
  if (n < CUT_FROM) return [{ from: 0, to: n }]
  const step = Math.ceil(n / BLOCKS / ALIGNED) * ALIGNED
  return Array.from({ length: Math.ceil(n / step) }, (_, i) => ({ from: i * step, to: Math.min(n, (i + 1) * step) }))
}

/** Name of the output with one block of the Gram matrix of a value. */
export function gramName(value: string, block: number): string {
  return `${value}:gram${block}`
}

/**
 * The graph with the blocks of the Gram matrix R'R of some values, R of rows x n along their last axis, as further
 * outputs; and the shapes of these.
 */
export function withGrams(graph: Graph, values: readonly string[],
  types: ReadonlyMap<string, ValueType>): { graph: Graph, types: ReadonlyMap<string, ValueType> } {
  const builder = GraphBuilder.from(graph, 'float32')
  const added = values.flatMap(value => {
    const type = types.get(value)
    const n = type?.shape.at(-1)
    if (type === undefined || typeof n !== 'number') {
      throw new InternalError(`The Gram matrix of '${value}' needs a last axis of known length.`)
    }
    const blocks = gramBlocks(n)
    appendBlocks(builder, value, n, blocks)
    return blocks.map(({ from, to }, i) => [gramName(value, i), { dtype: type.dtype, shape: [to - from, to] }] as const)
  })
  return { graph: builder.build([...graph.outputs, ...added.map(([name]) => name)]),
    types: new Map([...types, ...added]) }
}

function appendBlocks(builder: GraphBuilder, value: string, n: number, blocks: readonly GramBlock[]): void {
  const rows = builder.node('Reshape', [value, builder.integers([-1, n])])
  if (blocks.length === 1) {
    builder.nodes.push({ op: 'Gemm', inputs: [rows, rows], outputs: [gramName(value, 0)], attributes: { transA: 1 } })
    return
  }
  const transposed = builder.node('Transpose', [rows], { perm: [1, 0] })
  blocks.forEach(({ from, to }, i) => {
    const inputs = [slice(builder, transposed, from, to, 0), to === n ? rows : slice(builder, rows, 0, to, 1)]
    builder.nodes.push({ op: 'MatMul', inputs, outputs: [gramName(value, i)], attributes: {} })
  })
}

function slice(builder: GraphBuilder, value: string, from: number, to: number, axis: number): string {
  return builder.node('Slice', [value, builder.integers([from]), builder.integers([to]), builder.integers([axis])])
}
