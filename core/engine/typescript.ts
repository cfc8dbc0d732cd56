/**
 * @file The embedded engine: an interpreter over typed arrays.
 *
 * Compiling sorts and folds the graph once and finds out where every value is read last; running walks through the
 * nodes and gives storage back as soon as its last reader is done.
 */
import { InternalError, ShapeError } from '../errors/errors.js'
import { type Graph, type GraphInput, isBatch, type Node } from '../graph/graph.js'
import { syrk } from '../kernels/linear-algebra.js'
import type { Operator } from '../ops/operator.js'
import { operatorFor } from '../ops/registry.js'
import { formatDims } from '../ops/shape-rules.js'
import { simplify, sortNodes } from '../passes/fold.js'
import { cast, formatShape, type Precision, sizeOf, type Tensor } from '../tensor/tensor.js'
import { BufferPool } from './buffer-pool.js'
import type { DeferredInput, Engine, GramSum, Program, RunOptions } from './engine.js'
import { fuseChains } from './fuse-chains.js'
import { fuseTranspositions } from './fuse.js'
import { convertPrecision } from './precision.js'

/** A program that runs at once. */
export interface SynchronousProgram {
  /** Runs one batch, as `Program.run` does. @throws ShapeError when an input does not have its declared shape */
  run(inputs: ReadonlyMap<string, Tensor>, options?: RunOptions): ReadonlyMap<string, Tensor>
  /** The largest number of bytes of intermediate values that a run has needed at once. */
  peakBytes(): number
  dispose(): void
}

/** A node with its values as positions in one list; absent inputs are -1. */
interface Step {
  readonly node: Node
  readonly operator: Operator
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** Values that nothing reads after this step. */
  readonly last: readonly number[]
}

interface Plan {
  readonly steps: readonly Step[]
  readonly constants: readonly (Tensor | undefined)[]
  readonly inputs: readonly { readonly input: GraphInput, readonly slot: number }[]
  readonly outputs: readonly { readonly name: string, readonly slot: number }[]
}

/** The embedded engine; programs run in the calling thread. */
export function typescriptEngine(): Engine {
  return {
    name: 'typescript',
    async compile(graph, precision): Promise<Program> {
      const program = compileGraph(graph, precision)
      return { run: async (inputs, options) => program.run(inputs, options), dispose: () => {
        program.dispose()
      } }
    },
  }
}

/**
 * A graph as the engine runs it: one precision, sorted, folded (parameters too), products fused with transpositions.
 */
export function prepareGraph(graph: Graph, precision: Precision): Graph {
  const sorted = sortNodes({ ...convertPrecision(graph, precision), parameters: [] })
  // First of all transposed weights are fused, which would otherwise be folded into copies.
  return fuseChains(fuseTranspositions(simplify(fuseTranspositions(sorted))))
}

/**
 * Compiles a graph for `precision`.
 * @throws GraphError UNSUPPORTED_OPERATOR, BAD_GRAPH, BATCH_AXIS
 */
export function compileGraph(graph: Graph, precision: Precision): SynchronousProgram {
  const plan = planGraph(prepareGraph(graph, precision))
  const pool = new BufferPool()
  return {
    run: (inputs, options = {}) => runPlan(plan, pool, inputs, options),
    peakBytes: () => pool.peakBytes,
    dispose: () => {
      pool.clear()
    },
  }
}

/** Compiles and runs a graph once. */
export function runGraph(graph: Graph, inputs: ReadonlyMap<string, Tensor>,
  precision: Precision): ReadonlyMap<string, Tensor> {
  return compileGraph(graph, precision).run(inputs)
}

function planGraph(graph: Graph): Plan {
  const slots = new Map<string, number>()
  const slotOf = (name: string): number => {
    const slot = slots.get(name) ?? slots.size
    slots.set(name, slot)
    return slot
  }
  const constants: (Tensor | undefined)[] = []
  for (const [name, value] of graph.initializers) constants[slotOf(name)] = value
  const inputs = graph.inputs.map(input => ({ input, slot: slotOf(input.name) }))
  const steps = graph.nodes.map(node => ({
    node,
    operator: operatorFor(node.op),
    inputs: node.inputs.map(name => (name === '' ? -1 : slotOf(name))),
    outputs: node.outputs.map(name => (name === '' ? -1 : slotOf(name))),
    last: [] as number[],
  }))
  const outputs = graph.outputs.map(name => ({ name, slot: slotOf(name) }))
  markLastReads(steps, new Set(outputs.map(output => output.slot)))
  return { steps, constants, inputs, outputs }
}

function markLastReads(
  steps: readonly { readonly inputs: readonly number[], readonly outputs: readonly number[],
    readonly last: number[] }[],
  kept: Set<number>,
): void {
  const seen = new Set(kept)
  for (let i = steps.length - 1; i >= 0; i--) {
    const { inputs, outputs, last } = steps[i]
    for (const slot of [...outputs, ...inputs]) {
      if (slot < 0 || seen.has(slot)) continue
      seen.add(slot)
      last.push(slot)
    }
  }
}

function runPlan(plan: Plan, pool: BufferPool, given: ReadonlyMap<string, Tensor>,
  { deferred, grams = [] }: RunOptions): Map<string, Tensor> {
  const values = plan.constants.slice()
  pool.beginRun()
  bindInputs(plan, given, values, deferred?.name)
  let pending = deferred === undefined ? undefined : deferredSlots(plan, deferred)
  for (const { node, operator, inputs, outputs, last } of plan.steps) {
    if (pending !== undefined && deferred !== undefined && inputs.includes(pending.input)) {
      values[pending.input] = deferred.compute(computed(deferred.from, values[pending.from]))
      pending = undefined
    }
    const results = operator.run(node, inputs.map(slot => (slot < 0 ? undefined : values[slot])), pool)
    for (let i = 0; i < outputs.length; i++) {
      if (outputs[i] < 0) continue
      values[outputs[i]] = results[i]
      // Before `settle`, which frees what nobody has retained: the next node would write over this result.
      pool.retain(results[i].data)
    }
    pool.settle()
    for (const slot of last) {
      const value = values[slot]
      if (value !== undefined && plan.constants[slot] === undefined) pool.release(value.data)
      values[slot] = undefined
    }
  }
  return collectOutputs(plan, pool, values, grams)
}

function deferredSlots(plan: Plan, deferred: DeferredInput): { readonly input: number, readonly from: number } {
  const input = plan.inputs.find(known => known.input.name === deferred.name)
  const from = plan.outputs.find(known => known.name === deferred.from)
  if (input === undefined || from === undefined) {
    throw new InternalError(`The program has no input '${deferred.name}', or no output '${deferred.from}'.`)
  }
  return { input: input.slot, from: from.slot }
}

function computed(name: string, value: Tensor | undefined): Tensor {
  if (value === undefined) throw new InternalError(`The output '${name}' was not computed.`)
  return value
}

function collectOutputs(plan: Plan, pool: BufferPool, values: readonly (Tensor | undefined)[],
  grams: readonly GramSum[]): Map<string, Tensor> {
  const results = new Map<string, Tensor>()
  for (const { name, slot } of plan.outputs) {
    const value = computed(name, values[slot])
    const sums = grams.filter(gram => gram.output === name)
    for (const { sum } of sums) addGramOf(value, sum)
    if (sums.length === 0) results.set(name, { ...value, data: pool.handOver(value.data) })
    else pool.release(value.data)
  }
  return results
}

function addGramOf({ data, shape }: Tensor, sum: Float64Array): void {
  const n = shape[shape.length - 1]
  if (data instanceof Uint8Array || sum.length !== n * n) {
    throw new InternalError(`A Gram matrix of ${n} columns needs real numbers and a sum of ${n} x ${n}.`)
  }
  syrk(n, data.length / Math.max(1, n), 1, data, 1, sum)
}

function bindInputs(plan: Plan, given: ReadonlyMap<string, Tensor>, values: (Tensor | undefined)[],
  deferred: string | undefined): void {
  let examples: number | undefined
  for (const { input, slot } of plan.inputs) {
    if (input.name === deferred) continue
    const value = given.get(input.name)
    if (value === undefined) {
      throw new ShapeError(`The input '${input.name}' of shape ${formatDims(input.shape)} is missing.`, {
        name: input.name,
        expected: formatDims(input.shape),
      })
    }
    const count = checkInput(input, value)
    if (count !== undefined && examples !== undefined && count !== examples) {
      throw new ShapeError(`The input '${input.name}' holds ${count} examples; another input holds ${examples}.`, {
        name: input.name,
        expected: examples,
        actual: count,
      })
    }
    examples = count ?? examples
    values[slot] = cast(value, input.dtype)
  }
}

/** Compares an input with its declaration. @returns the number of examples, where it has a batch axis */
function checkInput(input: GraphInput, value: Tensor): number | undefined {
  let examples: number | undefined
  const fits = value.shape.length === input.shape.length && value.data.length === sizeOf(value.shape) &&
    input.shape.every((dim, axis) => {
      const extent = value.shape[axis]
      if (!isBatch(dim)) return extent === dim
      examples = extent / (dim.outer * dim.inner)
      return Number.isInteger(examples)
    })
  if (fits) return examples
  throw new ShapeError(
    `The input '${input.name}' must have the shape ${formatDims(input.shape)} (N examples); got ${
      formatShape(value.shape)
    }.`,
    { name: input.name, expected: formatDims(input.shape), actual: formatShape(value.shape) },
  )
}
