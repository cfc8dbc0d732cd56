/**
 * @file Gram matrices that are summed while a program runs: each as soon as its rows are known, which are then free
 * again, and straight from the image or the channels that the rows would be copied out of, where there are such.
 */
import { InternalError } from '../errors/errors.js'
import type { Graph, Node } from '../graph/graph.js'
import { addGatheredGram } from '../kernels/gathered.js'
import { type RealArray, syrk } from '../kernels/linear-algebra.js'
import { addPatchGram } from '../ops/convolution.js'
import type { KernelContext } from '../ops/operator.js'
import { operatorFor } from '../ops/registry.js'
import { inferTypes } from '../passes/infer.js'
import { producersOf } from '../passes/producers.js'
import { sizeOf, type Tensor } from '../tensor/tensor.js'
import { swapsLastAxes } from './fuse.js'

/** A Gram matrix of an output, and what it is taken from. */
export interface GramSource {
  readonly output: string
  /** The value that is read: the output, or what `node` would make its rows of. */
  readonly value: string
  /** An Unfold, or a Transpose of the last two axes. */
  readonly node?: Node
}

/** Nodes that keep every number in its place. */
const RESHAPING = new Set(['Reshape', 'Identity', 'Flatten', 'Squeeze', 'Unsqueeze'])

/** Where the Gram matrix of each output is taken from. */
export function gramSources(graph: Graph, outputs: readonly string[]): GramSource[] {
  const types = inferTypes(graph)
  const producers = producersOf(graph)
  const readers = new Map<string, number>()
  for (const name of [...graph.outputs, ...graph.nodes.flatMap(node => node.inputs)]) {
    readers.set(name, (readers.get(name) ?? 0) + 1)
  }
  const widthOf = (name: string): unknown => types.get(name)?.shape.at(-1)
  return outputs.map(output => {
    let name = output
    let node = producers.get(name)
    while (node !== undefined && RESHAPING.has(node.op) && readers.get(name) === 1) {
      name = node.inputs[0]
      node = producers.get(name)
    }
    const direct = node !== undefined && readers.get(name) === 1 && widthOf(name) === widthOf(output) &&
      (node.op === 'Unfold' || swapsLastAxes(node))
    return direct && node !== undefined ? { output, value: node.inputs[0], node } : { output, value: output }
  })
}

/** Adds the lower triangle of R'R to the sum, for the rows R of an output. */
export function addGram({ node }: GramSource, value: Tensor, sum: Float64Array, context: KernelContext): void {
  if (node === undefined) return addGramOfRows(value, sum)
  const done = node.op === 'Unfold' ? addPatchGram(node, value, sum, context) : addChannelGram(value, sum)
  if (!done) addGramOfRows(operatorFor(node.op).run(node, [value], context)[0], sum)
}

function addGramOfRows({ data, shape }: Tensor, sum: Float64Array): void {
  const n = shape[shape.length - 1]
  if (data instanceof Uint8Array || sum.length !== n * n) {
    throw new InternalError(`A Gram matrix of ${n} columns needs real numbers and a sum of ${n} x ${n}.`)
  }
  syrk(n, data.length / Math.max(1, n), 1, data, 1, sum)
}

/** Numbers of a channel whose columns one table holds. */
const COLUMNS = 1024

/** The rows are those of a value ... x channels x positions, one for each position. */
function addChannelGram({ data, shape }: Tensor, sum: Float64Array): boolean {
  const [channels, positions] = shape.slice(-2)
  const examples = sizeOf(shape.slice(0, -2))
  if (data instanceof Uint8Array || channels * channels !== sum.length || data.length === 0) return false
  const size = data.BYTES_PER_ELEMENT
  const tile = Math.max(1, Math.min(examples, Math.ceil(COLUMNS / positions)))
  const columns = new Int32Array(tile * positions)
  for (let i = 0; i < columns.length; i++) {
    columns[i] = (Math.floor(i / positions) * channels * positions + i % positions) * size
  }
  return addGatheredGram({ examples, tile, channels, imagePlane: positions, columns,
    rows: Int32Array.from({ length: channels }, (_, c) => c * positions * size) }, data as RealArray, sum)
}
