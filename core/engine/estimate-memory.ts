/** @file Memory and work of a graph, worked out without running it. */
import { InternalError } from '../errors/errors.js'
import { concreteShape, type Graph, type Node } from '../graph/graph.js'
import { onceForGraph } from '../graph/once.js'
import { operatorFor } from '../ops/registry.js'
import { inferTypes } from '../passes/infer.js'
import { type Precision, sizeOf } from '../tensor/tensor.js'
import { byteSize } from './buffer-pool.js'
import { prepareGraph } from './typescript.js'

/** Operators whose result looks into the data of their first input. */
const VIEWS = new Set(['Identity', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/** What a run takes. */
export interface RunEstimate {
  /** The largest number of bytes of intermediate values (inputs and weights not counted) that are held at once. */
  readonly bytes: number
  /** Multiplications of its products, and so many as take the time of its other operations. */
  readonly multiplications: number
}

/** Multiplications of a product in the time in which an element-wise operation makes one number. */
const ELEMENT_WORK = 8

/** The bytes of `estimateRun`. @throws GraphError as compiling does */
export function estimateMemory(graph: Graph, examples: number, precision: Precision): number {
  return estimateRun(graph, examples, precision).bytes
}

/** What a run over `examples` examples takes in the embedded engine. @throws GraphError as compiling does */
export const estimateRun = onceForGraph(estimate)

function estimate(graph: Graph, examples: number, precision: Precision): RunEstimate {
  const prepared = prepareGraph(graph, precision)
  const types = inferTypes(prepared)
  const lastRead = new Map<string, number>()
  prepared.nodes.forEach((node, i) => {
    for (const name of [...node.outputs, ...node.inputs]) lastRead.set(name, i)
  })
  for (const name of prepared.outputs) lastRead.set(name, Infinity)
  const storage = storageOwners(prepared)
  const readers = new Map<string, number>()
  let [used, peak, multiplications] = [0, 0, 0]
  const bytesOf = (name: string): number => {
    const type = types.get(name)
    if (type === undefined) throw new InternalError(`The type of '${name}' is not known.`)
    return byteSize(type.dtype, sizeOf(concreteShape(type.shape, examples)))
  }
  const workspaceBytes = (node: Node): number => {
    const { workspace } = operatorFor(node.op)
    if (workspace === undefined) return 0
    const shapes = node.inputs.map(name => concreteShape(types.get(name)?.shape ?? [], examples))
    return byteSize(precision, workspace(node, shapes))
  }
  prepared.nodes.forEach((node, i) => {
    for (const name of node.outputs) {
      const owner = storage.get(name)
      if (owner === undefined) continue
      if (owner === name) used += bytesOf(name)
      readers.set(owner, (readers.get(owner) ?? 0) + 1)
    }
    peak = Math.max(peak, used + workspaceBytes(node))
    multiplications += workOf(node, name => concreteShape(types.get(name)?.shape ?? [], examples))
    for (const name of new Set([...node.inputs, ...node.outputs])) {
      const owner = storage.get(name)
      if (owner === undefined || lastRead.get(name) !== i) continue
      const left = (readers.get(owner) ?? 0) - 1
      readers.set(owner, left)
      if (left === 0) used -= bytesOf(owner)
    }
  })
  return { bytes: peak, multiplications }
}

/** Multiplications of a node: of a product the length of its sums for every number of its result. */
function workOf({ op, inputs, outputs }: Node, shapeOf: (name: string) => readonly number[]): number {
  if (VIEWS.has(op)) return 0
  const made = sizeOf(shapeOf(outputs[0]))
  if (op.includes('MatMul') || op.includes('Gemm')) {
    // The inputs hold m k and k n numbers for each of the result's m n, in every matrix of a batch.
    const [a, b] = [shapeOf(inputs[0]), shapeOf(inputs[1])]
    const [left, right] = [sizeOf(a.slice(-2)), sizeOf(b.slice(-2))]
    const result = sizeOf(shapeOf(outputs[0]).slice(-2))
    return result === 0 ? 0 : made * Math.sqrt(left * right / result)
  }
  if (op.includes('Conv')) {
    const [rows, weights] = [sizeOf(shapeOf(inputs[0]).slice(0, 1)), shapeOf(inputs[1])]
    const positions = Math.max(sizeOf(shapeOf(inputs[0]).slice(2)), sizeOf(shapeOf(outputs[0]).slice(2)))
    return rows * positions * sizeOf(weights)
  }
  return ELEMENT_WORK * made
}

/** The value in whose storage each computed value lives; values that look into inputs or weights are left out. */
function storageOwners({ nodes }: Graph): Map<string, string> {
  const owners = new Map<string, string>()
  for (const node of nodes) {
    const source = VIEWS.has(node.op) ? owners.get(node.inputs[0]) : undefined
    node.outputs.forEach((name, i) => {
      if (name === '') return
      if (i > 0 || !VIEWS.has(node.op)) owners.set(name, name)
      else if (source !== undefined) owners.set(name, source)
    })
  }
  return owners
}
