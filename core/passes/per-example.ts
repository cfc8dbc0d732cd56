/**
 * @file A network for one example as one for any number of them, each computed alone: whatever its nodes do with the
 * axis of length 1 that a file for single examples has in front.
 */
import { GraphBuilder } from '../graph/builder.js'
import { BATCH, type Graph, type GraphInput, isBatch } from '../graph/graph.js'
import type { Precision } from '../tensor/tensor.js'
import { ruleFor } from './example-rules.js'
import { ExampleWriter } from './example-writer.js'
import { removeDead } from './fold.js'
import { inferTypes } from './infer.js'

/**
 * The network that gives each example what `graph` gives it alone: f(x)_n = f(x_n). Every value that follows the input
 * gets an axis N in front, and every node is written so that it leaves this axis alone.
 * @param graph of inputs for one example; an axis of length 1 among the first two of an input is taken for that of the
 * examples, and left out
 * @throws GraphError BATCH_AXIS naming a node that cannot be written so, UNSUPPORTED_OPERATOR, BAD_GRAPH
 */
export function perExample(graph: Graph, precision: Precision): Graph {
  const types = inferTypes(graph)
  const builder = new GraphBuilder(precision)
  for (const [name, value] of graph.initializers) builder.initializers.set(builder.fresh(name), value)
  builder.parameters.push(...graph.parameters)
  builder.notes.push(...graph.notes)
  // The names of the graph stay those of its values for one example.
  for (const name of graph.nodes.flatMap(node => node.outputs)) builder.fresh(name)
  const writer = new ExampleWriter(builder, types)
  for (const input of graph.inputs) writeInput(input, writer)
  for (const node of graph.nodes) {
    const known = node.outputs.map(name => types.get(name)?.constant)
    if (!node.inputs.some(name => writer.varies(name))) {
      builder.nodes.push(node)
    } else if (known.every(value => value !== undefined)) {
      node.outputs.forEach((name, i) => {
        if (name !== '' && known[i] !== undefined) builder.initializers.set(name, known[i])
      })
    } else {
      const written = ruleFor(node.op)(node, writer)
      node.outputs.forEach((name, i) => {
        if (name !== '') writer.lift(name, written[i])
      })
    }
  }
  const axis = exampleAxis(graph.inputs[0]) ?? 0
  for (const name of graph.outputs) writeOutput(name, axis, writer)
  return removeDead(builder.build(graph.outputs))
}

/** The axis of length 1 that stands for the examples. */
function exampleAxis({ shape }: GraphInput): number | undefined {
  const found = shape.slice(0, 2).indexOf(1)
  return found < 0 ? undefined : found
}

function writeInput(input: GraphInput, writer: ExampleWriter): void {
  const { builder } = writer
  const shape = input.shape.map(dim => (isBatch(dim) ? 1 : dim))
  const axis = exampleAxis({ ...input, shape })
  builder.input(input.name, [BATCH, ...shape.filter((_, i) => i !== axis)], input.dtype)
  const declared = builder.inputs.length - 1
  builder.inputs[declared] = { ...input, shape: builder.inputs[declared].shape }
  writer.lift(input.name, axis === undefined ? input.name : writer.reshaped(input.name, shape))
}

/** The output without the axis that stood for the examples. */
function writeOutput(name: string, axis: number, writer: ExampleWriter): void {
  if (!writer.varies(name)) return
  const { builder } = writer
  const shape = writer.shape(name)
  const target = builder.integers([-1, ...(shape[axis] === 1 ? shape.filter((_, i) => i !== axis) : shape)])
  builder.nodes.push({ op: 'Reshape', inputs: [writer.all(name), target], outputs: [name], attributes: {} })
}
