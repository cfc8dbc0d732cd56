/**
 * @file The embedded engine: an interpreter over typed arrays.
 *
 * Compiling sorts and folds the graph once and finds out where every value is read last; running walks through the
 * nodes and gives storage back as soon as its last reader is done. What depends on the number of examples alone, as
 * shapes do, is computed once for a number.
 */
import { InternalError, ShapeError } from '../errors/errors.js'
import { type Graph, type GraphInput, isBatch, type Node } from '../graph/graph.js'
import { placeConstants, type PlacedConstants } from '../kernels/arena.js'
import type { RealArray } from '../kernels/plain.js'
import type { Operator } from '../ops/operator.js'
import { operatorFor } from '../ops/registry.js'
import { formatDims } from '../ops/shape-rules.js'
import { removeDead, simplify, sortNodes } from '../passes/fold.js'
import { keepingTypes } from '../passes/infer.js'
import { cast, formatShape, type Precision, sizeOf, type Tensor } from '../tensor/tensor.js'
import { BufferPool } from './buffer-pool.js'
import type { DeferredInput, Engine, GramSum, Program, RunOptions } from './engine.js'
import { fuseChains } from './fuse-chains.js'
import { fuseTranspositions } from './fuse.js'
import { addGram, type GramSource, gramSources } from './gram-steps.js'
import { convertPrecision } from './precision.js'

/** Numbers of a settled result that is kept, and numbers of examples for which such results are. */
const MOST_SETTLED = 4096
const MOST_BATCHES = 4
/** Bytes of a program's values up to which its outputs are read where they lie. */
const LENT_BYTES = 4 << 20

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
  /** Whether its results depend on the number of examples alone. */
  readonly settled: boolean
  readonly operator: Pick<Operator, 'run'>
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** Values that nothing reads after this step. */
  readonly last: readonly number[]
}

interface Plan {
  readonly steps: readonly Step[]
  readonly constants: readonly (Tensor | undefined)[]
  /** Slots of the constants that kernels read, and where those lay in the run before. */
  readonly reals: readonly number[]
  placed: PlacedConstants | undefined
  /** Results of settled steps by the number of examples, each in its slot. */
  readonly settled: Map<number, ReadonlyMap<number, Tensor>>
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
  return fuseChains(keepingTypes(simplify(fuseTranspositions(sorted)), fuseTranspositions))
}

/**
 * Compiles a graph for `precision`.
 * @throws GraphError UNSUPPORTED_OPERATOR, BAD_GRAPH, BATCH_AXIS
 */
export function compileGraph(graph: Graph, precision: Precision): SynchronousProgram {
  const prepared = prepareGraph(graph, precision)
  const plan = planGraph(prepared)
  const summing = summingPlans(prepared)
  const pool = new BufferPool()
  return {
    run: (inputs, options = {}) => {
      const { grams = [] } = options
      return grams.length === 0 ?
        runPlan(plan, pool, inputs, options) :
        summing(grams, own => runPlan(own, pool, inputs, options))
    },
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

/** Plans that sum up Gram matrices, one for each choice of outputs; `run` is called with the sums in place. */
function summingPlans(graph: Graph) {
  const plans = new Map<string, { readonly plan: Plan, readonly sums: Map<string, Float64Array[]> }>()
  return <R>(grams: readonly GramSum[], run: (plan: Plan) => R): R => {
    const names = [...new Set(grams.map(gram => gram.output))]
    const key = JSON.stringify(names)
    const found = plans.get(key) ?? withGrams(graph, names)
    plans.set(key, found)
    for (const name of names) found.sums.set(name, grams.filter(gram => gram.output === name).map(gram => gram.sum))
    try {
      return run(found.plan)
    } finally {
      found.sums.clear()
    }
  }
}

/** The plan of a graph some of whose outputs are summed up by steps of their own, and not handed out. */
function withGrams(graph: Graph, outputs: readonly string[]): { plan: Plan, sums: Map<string, Float64Array[]> } {
  const sums = new Map<string, Float64Array[]>()
  const sources = gramSources(graph, outputs)
  const kept = removeDead({ ...graph,
    outputs: [...graph.outputs.filter(name => !outputs.includes(name)), ...sources.map(source => source.value)] })
  const operatorOf = (source: GramSource): Pick<Operator, 'run'> => ({ run: (_node, [value], context) => {
    if (value === undefined) throw new InternalError(`The output '${source.output}' was not computed.`)
    for (const sum of sums.get(source.output) ?? []) addGram(source, value, sum, context)
    return []
  } })
  // Behind the node that computes the value: its storage is free as early as can be.
  const waiting = new Map<string, GramSource[]>()
  for (const source of sources) waiting.set(source.value, [...waiting.get(source.value) ?? [], source])
  const gramNode = (source: GramSource): Node => ({ op: 'Gram', inputs: [source.value], outputs: [], attributes: {} })
  const operators = new Map<Node, Pick<Operator, 'run'>>()
  const added = (name: string): Node[] =>
    (waiting.get(name) ?? []).map(source => {
      const node = gramNode(source)
      operators.set(node, operatorOf(source))
      return node
    })
  const first = [...kept.inputs.map(input => input.name), ...kept.initializers.keys()].flatMap(added)
  const nodes = [...first, ...kept.nodes.flatMap(node => [node, ...node.outputs.flatMap(added)])]
  const plan = planGraph({ ...kept, nodes, outputs: graph.outputs.filter(name => !outputs.includes(name)) },
    node => operators.get(node) ?? operatorFor(node.op))
  return { plan, sums }
}

function planGraph(graph: Graph,
  operatorOf: (node: Node) => Pick<Operator, 'run'> = node => operatorFor(node.op)): Plan {
  const slots = new Map<string, number>()
  const slotOf = (name: string): number => {
    const slot = slots.get(name) ?? slots.size
    slots.set(name, slot)
    return slot
  }
  const constants: (Tensor | undefined)[] = []
  for (const [name, value] of graph.initializers) constants[slotOf(name)] = value
  const inputs = graph.inputs.map(input => ({ input, slot: slotOf(input.name) }))
  const known = new Set(graph.initializers.keys())
  const steps = graph.nodes.map(node => ({
    node,
    settled: isSettled(node, known),
    operator: operatorOf(node),
    inputs: node.inputs.map(name => (name === '' ? -1 : slotOf(name))),
    outputs: node.outputs.map(name => (name === '' ? -1 : slotOf(name))),
    last: [] as number[],
  }))
  const outputs = graph.outputs.map(name => ({ name, slot: slotOf(name) }))
  markLastReads(steps, new Set(outputs.map(output => output.slot)))
  const reals = [...graph.initializers].flatMap((
    [name, { dtype }],
  ) => (dtype === 'float32' || dtype === 'float64' ? [slotOf(name)] : []))
  return { steps, constants, reals, placed: undefined, settled: new Map(), inputs, outputs }
}

/** Whether a node's results follow from shapes and constants; if so they are `known` to the nodes behind it. */
function isSettled({ op, inputs, outputs }: Node, known: Set<string>): boolean {
  if (outputs.length === 0 ||
    op !== 'Shape' && op !== 'Size' && !inputs.every(name => name === '' || known.has(name))) {
    return false
  }
  for (const name of outputs) known.add(name)
  return true
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
  { deferred, read }: RunOptions): Map<string, Tensor> {
  pool.beginRun()
  const values = placedValues(plan)
  const examples = bindInputs(plan, given, values, deferred?.name) ?? 0
  const before = plan.settled.get(examples)
  const settled = new Map<number, Tensor>()
  before?.forEach((value, slot) => values[slot] = value)
  let pending = deferred === undefined ? undefined : deferredSlots(plan, deferred)
  const run = ({ node, settled: isSettled, operator, inputs, outputs }: Step): void => {
    const results = operator.run(node, inputs.map(slot => (slot < 0 ? undefined : values[slot])), pool)
    for (let i = 0; i < outputs.length; i++) {
      if (outputs[i] < 0) continue
      values[outputs[i]] = results[i]
      // Before `settle`, which frees what nobody has retained: the next node would write over this result.
      pool.retain(results[i].data)
      if (isSettled && before === undefined && results[i].data.length <= MOST_SETTLED) {
        settled.set(outputs[i], { ...results[i], data: results[i].data.slice() })
      }
    }
    pool.settle()
  }
  for (const step of plan.steps) {
    if (pending !== undefined && deferred !== undefined && step.inputs.includes(pending.input)) {
      values[pending.input] = deferred.compute(computed(deferred.from, values[pending.from]))
      pending = undefined
    }
    if (!(step.settled && before !== undefined && step.outputs.every(slot => slot < 0 || before.has(slot)))) run(step)
    for (const slot of step.last) {
      const value = values[slot]
      if (value !== undefined && plan.constants[slot] === undefined) pool.release(value.data)
      values[slot] = undefined
    }
  }
  if (before === undefined) keepSettled(plan, examples, settled)
  if (read === undefined) return collectOutputs(plan, values, data => pool.handOver(data))
  // Copies of a small batch cost more than its network; what is made of a large one may take the arena's memory again.
  read(collectOutputs(plan, values, data => (pool.peakBytes > LENT_BYTES ? pool.handOver(data) : data)))
  return new Map()
}

/** The constants, where kernels read them without a copy. */
function placedValues(plan: Plan): (Tensor | undefined)[] {
  const values = plan.constants.slice()
  const arrays = plan.reals.flatMap(slot => values[slot]?.data ?? []) as RealArray[]
  plan.placed = placeConstants(arrays, plan.placed)
  const { arrays: own } = plan.placed
  plan.reals.forEach((slot, i) => {
    const value = values[slot]
    if (value !== undefined) values[slot] = { ...value, data: own[i] }
  })
  return values
}

function keepSettled({ settled }: Plan, examples: number, values: ReadonlyMap<number, Tensor>): void {
  const [oldest] = settled.keys()
  if (settled.size >= MOST_BATCHES && oldest !== undefined) settled.delete(oldest)
  settled.set(examples, values)
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

function collectOutputs(plan: Plan, values: readonly (Tensor | undefined)[],
  given: (data: Tensor['data']) => Tensor['data']): Map<string, Tensor> {
  const results = new Map<string, Tensor>()
  for (const { name, slot } of plan.outputs) {
    const value = computed(name, values[slot])
    results.set(name, { ...value, data: given(value.data) })
  }
  return results
}

/** @returns the number of examples, where an input tells it */
function bindInputs(plan: Plan, given: ReadonlyMap<string, Tensor>, values: (Tensor | undefined)[],
  deferred: string | undefined): number | undefined {
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
  return examples
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
