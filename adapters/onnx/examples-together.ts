/**
 * @file Networks whose operators do not show that they keep the examples of a batch apart. Where the numbers do, each
 * example is computed alone; of a file for a fixed number of examples, in a batch of copies of itself.
 */
import { DEFAULT_MEMORY_LIMIT } from '../../core/budget/memory.js'
import { GraphError, LaplaceError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { batchAxis, type Graph, isBatch } from '../../core/graph/graph.js'
import type { Inputs } from '../../core/network/input-rows.js'
import { differencesTogether } from '../../core/network/together.js'
import { isFloat } from '../../core/ops/element-types.js'
import { removeDead } from '../../core/passes/fold.js'
import { withIndexLimits } from '../../core/passes/index-limits.js'
import { inferTypes } from '../../core/passes/infer.js'
import { perExample } from '../../core/passes/per-example.js'
import { randomGenerator } from '../../core/tensor/random.js'
import { sizeOf, tensor } from '../../core/tensor/tensor.js'

/** Examples that a network for any number of them is tried on. */
export const TRIED = 3
/** Batches that a network is tried on, and what integers without a limit are drawn below, if that is not refused. */
const BATCHES = 4
const DRAWN_BELOW = 7
/** What is said of a network that mixes the examples. */
const MIXING = 'what it gives an example changes with its place in the batch or with the other examples'

/** The network for single examples, each computed alone; the reason where that cannot be written. */
export function eachAlone(graph: Graph): Graph | string {
  try {
    return perExample(graph, 'float32')
  } catch (error) {
    if (error instanceof GraphError) return reasonOf(error)
    throw error
  }
}

/** The network for a fixed number of examples, whose loops over the examples are written out. */
export type ForExamples = (size: number) => Graph

/**
 * The network for any number of examples, each computed alone, where random numbers show that it keeps them apart; the
 * reason where they do not, or where it cannot be written.
 */
export function apartByNumbers(graph: Graph, forExamples: ForExamples): Graph | string {
  const axes = graph.inputs.map(batchAxis)
  if (axes.some(axis => axis < 0)) return 'an input is one of all examples together'
  const alone = eachAlone(forExamples(1))
  if (typeof alone === 'string' || worksForOneOnly(forExamples)) return alone
  return compared(forExamples(TRIED), axes, TRIED, () => alone)
}

/** Whether a network that declares any number of examples was written for one: others do not fit its shapes. */
function worksForOneOnly(forExamples: ForExamples): boolean {
  return [2, TRIED].every(size => {
    try {
      inferTypes(forExamples(size))
      return false
    } catch (error) {
      if (error instanceof GraphError) return true
      throw error
    }
  })
}

/** Whether the outputs are those of a single example: 1 x o, of inputs that have no axis of one. */
export function answersOnce(graph: Graph): boolean {
  try {
    return outputShapes(graph).every(([first, ...rest]) => first === 1 && rest.length > 0)
  } catch (error) {
    if (error instanceof GraphError) return false
    throw error
  }
}

/**
 * The network for batches of `size` examples on an axis of its inputs as one for any number, each computed in a batch
 * of copies of itself, where random numbers show that it keeps the examples apart; the reason where they do not.
 */
export function amongCopies(graph: Graph, axis: number): Graph | string {
  return compared(graph, graph.inputs.map(() => axis), Number(graph.inputs[0].shape[axis]),
    together => eachAlone(copied(together)))
}

/** What an error says, for the inside of a sentence. */
export function reasonOf({ message }: GraphError): string {
  return message.replace(/ The examples of a batch must be kept apart:.*$/, '').replace(/\.$/, '')
}

/** The network for a fixed number of examples. */
export function withFixedBatch(graph: Graph, size: number): Graph {
  return { ...graph,
    inputs: graph.inputs.map(input => ({ ...input, shape: input.shape.map(dim => (isBatch(dim) ? size : dim)) })) }
}

/** The network that computes each alone, where it agrees with the one that computes them together. */
function compared(graph: Graph, axes: readonly number[], size: number, alone: (together: Graph) => Graph | string):
  | Graph
  | string {
  let reason = 'its outputs do not follow the examples'
  try {
    const shapes = outputShapes(graph)
    for (const ends of exampleAxes(shapes, axes[0], size)) {
      const together = examplesFirst(graph, axes, shapes, ends, size)
      const found = alone(together)
      if (typeof found === 'string') return found
      const differences = differencesOf(together, found)
      if (differences.every(difference => difference === 0)) return { ...found, together }
      reason = MIXING
    }
    return reason
  } catch (error) {
    if (error instanceof LaplaceError) return error instanceof GraphError ? reasonOf(error) : error.message
    throw error
  }
}

/**
 * The differences on random numbers. Integers may count places of a table that is short, as a mask of 0 and 1 does:
 * where larger ones are refused each input gets the largest that are not. Smaller ones would try too little: a sequence
 * of one time reversed is the sequence itself.
 */
function differencesOf(together: Graph, alone: Graph): number[] {
  const among = (
    limits: ReadonlyMap<string, number>,
  ): number[] => [...differencesTogether(together, alone, drawn(together, limits), DEFAULT_MEMORY_LIMIT)]
  const unlessRefused = (limits: ReadonlyMap<string, number>): number[] | undefined => {
    try {
      return among(limits)
    } catch (error) {
      if (error instanceof GraphError) return undefined
      throw error
    }
  }
  const integers = together.inputs.filter(({ dtype }) => !isFloat(dtype) && dtype !== 'bool').map(({ name }) => name)
  const ofAll = unlessRefused(new Map(integers.map(name => [name, DRAWN_BELOW])))
  if (ofAll !== undefined) return ofAll
  const least = new Map(integers.map(name => [name, 2]))
  const own = integers.map(name => {
    let below = DRAWN_BELOW
    while (below > 2 && unlessRefused(new Map(least).set(name, below)) === undefined) below--
    return [name, below] as const
  })
  return among(new Map(own))
}

function outputShapes(graph: Graph): (readonly number[])[] {
  const types = inferTypes(graph)
  return graph.outputs.map(name => (types.get(name)?.shape ?? []) as readonly number[])
}

/** Which axis of each output may be that of the examples, the likeliest choice first. */
function exampleAxes(shapes: readonly (readonly number[])[], axis: number, size: number): number[][] {
  const possible = shapes.map(shape => {
    const exact = [...shape.keys()].filter(i => shape[i] === size)
      .sort((a, b) => Number(b === axis) - Number(a === axis))
    // Positions that were joined with the examples, (B T) x C.
    return exact.length === 0 && shape.length > 0 && shape[0] % size === 0 ? [0] : exact
  })
  const most = possible.some(each => each.length === 0) ? 0 : Math.max(...possible.map(each => each.length))
  return Array.from({ length: most }, (_, k) => possible.map(each => each[Math.min(k, each.length - 1)]))
}

/** The network with the examples on the first axis of every input and output. */
function examplesFirst(graph: Graph, axes: readonly number[], shapes: readonly (readonly number[])[],
  ends: readonly number[], size: number): Graph {
  if ([...axes, ...ends].every(axis => axis === 0) && shapes.every(([first]) => first === size)) return graph
  const builder = GraphBuilder.from(graph, 'float32')
  builder.nodes.length = 0
  const renamed = new Map<string, string>()
  graph.inputs.forEach((input, i) => {
    if (axes[i] === 0) return
    const rank = input.shape.length
    builder.inputs[i] = { ...input, shape: moved(input.shape, axes[i], 0) }
    renamed.set(input.name,
      builder.node('Transpose', [input.name], { perm: moved([...Array(rank).keys()], 0, axes[i]) }))
  })
  for (const name of graph.outputs) renamed.set(name, builder.fresh(name))
  appendRenamed(builder, graph, renamed)
  graph.outputs.forEach((name, i) => {
    const shape = shapes[i]
    const perm = moved([...shape.keys()], ends[i], 0)
    const first = builder.node('Transpose', [renamed.get(name) ?? name], { perm })
    const [extent, ...rest] = moved(shape, ends[i], 0)
    const target = builder.integers(extent === size ? [extent, ...rest] : [size, extent / size, ...rest])
    builder.nodes.push({ op: 'Reshape', inputs: [first, target], outputs: [name], attributes: {} })
  })
  return builder.build(graph.outputs)
}

function appendRenamed(builder: GraphBuilder, graph: Graph, renamed: ReadonlyMap<string, string>): void {
  const given = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()])
  for (const node of graph.nodes) {
    builder.nodes.push({ ...node, inputs: node.inputs.map(name => renamed.get(name) ?? name),
      outputs: node.outputs.map(name => renamed.get(name) ?? name) })
  }
  for (const name of graph.outputs) {
    if (!given.has(name)) continue
    builder.nodes.push({ op: 'Identity', inputs: [name], outputs: [renamed.get(name) ?? name], attributes: {} })
  }
}

/** A list with one of its elements at another place. */
function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const others = list.filter((_, i) => i !== from)
  return [...others.slice(0, to), list[from], ...others.slice(to)]
}

/** The network for one example, 1 x s to 1 x o: what the one for B examples gives the first of B copies. */
function copied(together: Graph): Graph {
  const builder = GraphBuilder.from(together, 'float32')
  builder.nodes.length = 0
  const renamed = new Map<string, string>()
  together.inputs.forEach((input, i) => {
    builder.inputs[i] = { ...input, shape: [1, ...input.shape.slice(1)] }
    renamed.set(input.name, builder.node('Expand', [input.name, builder.integers(input.shape.map(Number))]))
  })
  for (const name of together.outputs) renamed.set(name, builder.fresh(name))
  appendRenamed(builder, together, renamed)
  const [start, end] = [builder.integers([0]), builder.integers([1])]
  for (const name of together.outputs) {
    builder.nodes.push({ op: 'Slice', inputs: [renamed.get(name) ?? name, start, end, start], outputs: [name],
      attributes: {} })
  }
  return removeDead(builder.build(together.outputs))
}

/**
 * Batches of random numbers. Integers are 0 and 1 in every other batch, as masks are, and else of all that may be:
 * products with 0 hide what stands beside them.
 */
function drawn(graph: Graph, limits: ReadonlyMap<string, number>): Inputs {
  const random = randomGenerator(0)
  return new Map(withIndexLimits(graph, graph.inputs).map(({ name, dtype, shape, below = limits.get(name) ?? 2 }) => {
    const [size, ...rest] = shape.map(Number)
    const own = size * sizeOf(rest)
    const integer = (i: number): number => Math.floor(random.uniform() * (Math.floor(i / own) % 2 === 0 ? below : 2))
    const values = Array.from({ length: BATCHES * own },
      (_, i) => (isFloat(dtype) ? random.normal() : dtype === 'bool' ? Math.round(random.uniform()) : integer(i)))
    return [name, tensor(dtype, [BATCHES * size, ...rest], values)] as const
  }))
}
