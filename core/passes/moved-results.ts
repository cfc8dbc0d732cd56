/**
 * @file The linear layer whose results, only moved about, are a network's outputs. It may be applied at many positions
 * of an example, and what follows may transpose, reshape, cut out or choose some of them.
 */
import { concreteShape, type Graph, type Node } from '../graph/graph.js'
import type { InferredValue } from '../ops/operator.js'
import { operatorFor } from '../ops/registry.js'
import { float64, reshape, sizeOf, type Tensor } from '../tensor/tensor.js'
import { heapContext, inferTypes } from './infer.js'
import { findLinearOperators, type LinearOperator } from './linear-operators.js'
import { producersOf } from './producers.js'

/** A linear operator and where its results end up. */
export interface MovedResults {
  readonly operator: LinearOperator
  /** Of every output of one example, in storage order, which result it is: position times `out` plus feature. */
  readonly sources: Float64Array
}

/** What was found instead: the value that no linear operator gives, and the node that does. */
export interface NoResults {
  readonly value: string
  readonly node: Node | undefined
}

/** Nodes that change the shape alone. */
const RESHAPING = new Set(['Identity', 'Cast', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])
/** Nodes that move or choose elements of their first input; the others must be constant. */
const MOVING = new Set(['Transpose', 'Slice', 'Gather', 'Split'])

/** One step from the layer to the output: a node, and which of its inputs comes from the layer. */
interface Step {
  readonly node: Node
  readonly input: number
  readonly output: string
}

/** The layer of a graph in order, with its types. Constants added on the way are passed over. */
export function findMovedResults(graph: Graph, output: string, types: ReadonlyMap<string, InferredValue>):
  | MovedResults
  | NoResults {
  const producers = producersOf(graph)
  const operators = new Map(findLinearOperators(graph, types).map(operator => [operator.output, operator] as const))
  const steps: Step[] = []
  for (let current = output;;) {
    const operator = operators.get(current)
    if (operator !== undefined) return { operator, sources: follow(operator, steps, types) }
    const node = producers.get(current)
    const input = node === undefined ? -1 : passedInput(node, types)
    if (node === undefined || input < 0) return { value: current, node }
    steps.unshift({ node, input, output: current })
    current = node.inputs[input]
  }
}

/**
 * The axis of a network's output (counted from 1, without the examples) along which the features of that
 * layer lie; undefined where they do not lie along one axis, or there is no such layer.
 * @param shape of one example's outputs
 */
export function featureAxis(graph: Graph, output: string, shape: readonly number[]): number | undefined {
  const found = findMovedResults(graph, output, inferTypes(graph))
  if (!('operator' in found) || found.sources.length !== sizeOf(shape)) return undefined
  const { operator: { out }, sources } = found
  const axis = shape.findIndex((extent, a) => {
    const inner = sizeOf(shape.slice(a + 1))
    return extent === out && sources.every((source, j) => source % out === Math.floor(j / inner) % extent)
  })
  return axis < 0 ? undefined : axis + 1
}

/** The input of a node whose elements are the node's, moved; -1 where there is none. */
function passedInput({ op, inputs, outputs }: Node, types: ReadonlyMap<string, InferredValue>): number {
  const constant = (name: string): boolean => name === '' || types.get(name)?.constant !== undefined
  if (RESHAPING.has(op)) return 0
  if (MOVING.has(op)) return inputs.slice(1).every(constant) && !constant(inputs[0]) ? 0 : -1
  if (op !== 'Add') return -1
  const input = inputs.findIndex(name => !constant(name))
  const [from, to] = [inputs[input], outputs[0]].map(name => concreteShape(types.get(name)?.shape ?? [], 1).join())
  return inputs.some(constant) && from === to ? input : -1
}

/** Sends the numbers of the results along the steps, of one example. */
function follow({ out, output, outputSwapped, outputShape }: LinearOperator, steps: readonly Step[],
  types: ReadonlyMap<string, InferredValue>): Float64Array {
  const shapeOf = (name: string): number[] => concreteShape(types.get(name)?.shape ?? [], 1)
  const size = sizeOf(concreteShape(outputShape, 1))
  const numbers = Float64Array.from({ length: size }, (_, i) => i)
  // Features on the last axis but one: the last axis counts the positions within one block.
  const last = outputSwapped ? Number(concreteShape(outputShape, 1).at(-1)) : 1
  const stored = outputSwapped
    ? numbers.map((_, i) => {
      const [block, feature, position] = [Math.floor(i / (last * out)), Math.floor(i / last) % out, i % last]
      return (block * last + position) * out + feature
    })
    : numbers
  let value: Tensor = float64(shapeOf(output), stored)
  for (const step of steps) value = applied(step, value, types, shapeOf(step.output))
  return Float64Array.from(value.data)
}

function applied({ node, output }: Step, value: Tensor, types: ReadonlyMap<string, InferredValue>,
  shape: readonly number[]): Tensor {
  if (!MOVING.has(node.op)) return reshape(value, shape)
  const constants = node.inputs.slice(1).map(name => types.get(name)?.constant)
  return operatorFor(node.op).run(node, [value, ...constants], heapContext)[node.outputs.indexOf(output)]
}
