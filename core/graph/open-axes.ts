/**
 * @file Inputs whose size a file leaves open (images of any size, sequences of any length) take the size of the data.
 */
import { type Graph, isBatch } from './graph.js'

/**
 * The graph for examples of a shape: open axes of the input take its lengths. Where the shape does not fit the input
 * otherwise, the graph is returned as it is, and the check of the data says what is wrong.
 * @param input the name of an input
 * @param example the shape of one example of the data
 */
export function settleOpenAxes(graph: Graph, input: string, example: readonly number[]): Graph {
  const found = graph.inputs.find(({ name }) => name === input)
  if (found?.openAxes === undefined) return graph
  const open = new Set(found.openAxes)
  const fixed = found.shape.flatMap((dim, axis) => (isBatch(dim) ? [] : [{ dim, axis }]))
  if (fixed.length !== example.length || !fixed.every(({ dim, axis }, i) => open.has(axis) || dim === example[i])) {
    return graph
  }
  if (fixed.every(({ dim }, i) => dim === example[i])) return graph
  const lengths = new Map(fixed.map(({ axis }, i) => [axis, example[i]] as const))
  const settled = { ...found, shape: found.shape.map((dim, axis) => lengths.get(axis) ?? dim) }
  return { ...graph, inputs: graph.inputs.map(each => (each === found ? settled : each)) }
}
