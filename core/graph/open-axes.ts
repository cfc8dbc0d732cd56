/**
 * @file Inputs whose size a file leaves open (images of any size, sequences of any length) take the size of the data.
 */
import { type Graph, type GraphInput, isBatch } from './graph.js'

/**
 * The graph for examples of some shapes: open axes of an input take its lengths. Where a shape does not fit the input
 * otherwise, the input stays as it is, and the check of the data says what is wrong.
 * @param examples the shape of one example, by the name of the input
 */
export function settleOpenAxes(graph: Graph, examples: ReadonlyMap<string, readonly number[]>): Graph {
  const inputs = graph.inputs.map(input => {
    const example = examples.get(input.name)
    return example === undefined ? input : settled(input, example)
  })
  return inputs.every((input, i) => input === graph.inputs[i]) ? graph : { ...graph, inputs }
}

function settled(input: GraphInput, example: readonly number[]): GraphInput {
  if (input.openAxes === undefined) return input
  const open = new Set(input.openAxes)
  const fixed = input.shape.flatMap((dim, axis) => (isBatch(dim) ? [] : [{ dim, axis }]))
  if (fixed.length !== example.length || !fixed.every(({ dim, axis }, i) => open.has(axis) || dim === example[i])) {
    return input
  }
  if (fixed.every(({ dim }, i) => dim === example[i])) return input
  const lengths = new Map(fixed.map(({ axis }, i) => [axis, example[i]] as const))
  return { ...input, shape: input.shape.map((dim, axis) => lengths.get(axis) ?? dim) }
}
