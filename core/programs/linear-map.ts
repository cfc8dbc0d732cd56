/** @file The Jacobian of a network as a linear map of its parameters: products J v and J'u, without the Jacobian. */
import type { Engine, Program } from '../engine/engine.js'
import { InternalError, ShapeError } from '../errors/errors.js'
import { batchAxis, type Graph, type GraphInput, isBatch } from '../graph/graph.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import type { Inputs } from '../network/input-rows.js'
import type { Network } from '../network/network.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import { exchangeLastAxes } from '../network/parameters.js'
import { type Precision, type Tensor, tensor } from '../tensor/tensor.js'
import type { LinearFactor } from './factored-jacobian.js'
import { factoredJacobian, type FactorsProgram, factorsProgram } from './factors-program.js'
import { type JvpProgram, jvpProgram } from './jvp-program.js'
import { release } from './results.js'

/** J, the derivative of f (N x C) with respect to the P parameters of some slots, at the network's weights. */
export interface LinearMap {
  /** P. */
  readonly parameters: number
  /** C. */
  readonly outputs: number
  /**
   * J v for a batch: N x C.
   * @param v P numbers in the order of the slots, matrices out x in
   * @param x a batch in the shapes of the network's inputs
   * @throws ShapeError when v is not of P numbers, or x does not fit
   */
  times(v: Float64Array, x: Inputs): Promise<Float64Array>
  /**
   * J'u for a batch, summed over its examples: P numbers, in float64.
   * @param u N x C
   * @param sum where it is added to, for sums over several batches
   * @throws ShapeError when u is not of N C numbers, the sum is not of P numbers, or x does not fit
   */
  transposedTimes(u: Float64Array, x: Inputs, sum?: Float64Array): Promise<Float64Array>
  dispose(): void
}

/**
 * The Jacobian of a network as a linear map. Each of its two programs is compiled once, when it is first needed, and
 * runs batches of any size.
 * @throws GraphError NOT_DIFFERENTIABLE, BATCH_AXIS, BAD_GRAPH
 */
export function linearMap({ graph, inputs, output }: Network, slots: readonly ParameterSlot[], engine: Engine,
  precision: Precision): LinearMap {
  const names = slots.map(slot => slot.name)
  const forward = jvpProgram(graph, output, names, 1)
  const backward = factorsProgram(graph, output, names, 1)
  const { outputs } = forward
  const parameters = parameterCount(slots)
  const programs = { forward: compiledOnce(engine, forward.graph, precision),
    backward: compiledOnce(engine, backward.graph, precision) }
  return {
    parameters,
    outputs,
    async times(v, x) {
      checkLength('v', v, parameters)
      const tangents = tangentsOf(forward, slots, graph, v, precision)
      const results = await (await programs.forward.ready()).run(new Map([...x, ...tangents]))
      return Float64Array.from(realResult(results, forward.product))
    },
    async transposedTimes(u, x, sum = new Float64Array(parameters)) {
      checkLength('the sum', sum, parameters)
      checkLength('u', u, examplesOf(x, inputs) * outputs)
      const seed = tensor(precision, [1, u.length / outputs, outputs], u)
      const results = await (await programs.backward.ready()).run(new Map([...x, [backward.seed, seed]]))
      addFactors(backward, results, slots, sum)
      return sum
    },
    dispose() {
      programs.forward.dispose()
      programs.backward.dispose()
    },
  }
}

/** Compiles a program when it is first asked for. */
function compiledOnce(engine: Engine, graph: Graph, precision: Precision) {
  let compiled: Promise<Program> | undefined
  return {
    ready: (): Promise<Program> => (compiled ??= engine.compile(graph, precision)),
    dispose(): void {
      release(compiled)
      compiled = undefined
    },
  }
}

/** K vectors v of P numbers, tensor by tensor, as the program of K products J v takes them. */
export function tangentsOf({ tangents }: JvpProgram, slots: readonly ParameterSlot[], { parameters }: Graph,
  v: Float64Array, precision: Precision): [string, Tensor][] {
  const width = parameterCount(slots)
  return slots.flatMap((slot): [string, Tensor][] => {
    const name = tangents.get(slot.name)
    const transposed = parameters.some(parameter => parameter.name === slot.name && parameter.transposed)
    return name === undefined ? [] : [[name, tangentOf(slot, v, width, transposed, precision)]]
  })
}

/**
 * Adds the gradients of the seeds, each summed over the examples, that a program's results hold in factors.
 * @param sums a row of P numbers for each seed
 */
export function addFactors(program: FactorsProgram, results: ReadonlyMap<string, Tensor>,
  slots: readonly ParameterSlot[], sums: Float64Array): void {
  const { factors, examples, seeds } = factoredJacobian(program, results)
  const size = sums.length / seeds
  for (let seed = 0; seed < seeds; seed++) {
    const sum = sums.subarray(seed * size, (seed + 1) * size)
    for (const factor of factors) {
      if (factor.kind === 'linear') addLinear({ ...factor, g: ofSeed(factor.g, seed, seeds) }, examples, slots, sum)
      else addRows(ofSeed(factor.gradient, seed, seeds), examples, partOf(slots[factor.parameter], sum))
    }
  }
}

/** One seed's part of the numbers of all. */
function ofSeed(values: RealArray, seed: number, seeds: number): RealArray {
  const size = values.length / seeds
  return values.subarray(seed * size, (seed + 1) * size)
}

/** A slot's part of the vectors as the program takes it: K, then the shape in which the parameter is stored. */
function tangentOf({ shape, offset, size }: ParameterSlot, v: Float64Array, width: number, transposed: boolean,
  precision: Precision): Tensor {
  const count = v.length / width
  const all = new Float64Array(count * size)
  for (let k = 0; k < count; k++) {
    const own = v.subarray(k * width + offset, k * width + offset + size)
    all.set(transposed ? exchangeLastAxes(own, shape) : own, k * size)
  }
  const stored = transposed ? [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]] : shape
  return tensor(precision, [count, ...stored], all)
}

/** Adds g'a to the weight's part and the sum of g's rows to the bias' part; rows are all positions of all examples. */
function addLinear({ weight, bias, in: inputs, out, positions, a, g }: LinearFactor, examples: number,
  slots: readonly ParameterSlot[], sum: Float64Array): void {
  const rows = examples * positions
  if (weight >= 0) gemm(true, false, out, inputs, rows, 1, g, a, 1, partOf(slots[weight], sum))
  if (bias >= 0) addRows(g, rows, partOf(slots[bias], sum))
}

/** The part of a vector of P numbers that belongs to a slot, as a view. */
function partOf({ offset, size }: ParameterSlot, vector: Float64Array): Float64Array {
  return vector.subarray(offset, offset + size)
}

/** sum_j += values[r, j] for every row r. */
function addRows(values: RealArray, rows: number, sum: Float64Array): void {
  for (let row = 0, at = 0; row < rows; row++) for (let j = 0; j < sum.length; j++, at++) sum[j] += values[at]
}

function realResult(results: ReadonlyMap<string, Tensor>, name: string): RealArray {
  const data = results.get(name)?.data
  if (data === undefined || data instanceof Uint8Array) {
    throw new InternalError(`The program has no real result '${name}'.`)
  }
  return data
}

/** N, read from the axis of an input that carries the examples. */
export function examplesOf(x: Inputs, inputs: readonly GraphInput[]): number {
  for (const input of inputs) {
    const dim = input.shape.find(isBatch)
    const extent = x.get(input.name)?.shape[batchAxis(input)]
    if (dim !== undefined && extent !== undefined) return extent / (dim.outer * dim.inner)
  }
  throw new InternalError('No input has an axis that carries the examples.')
}

function checkLength(what: string, { length }: Float64Array, expected: number): void {
  if (length === expected) return
  throw new ShapeError(`${what} must hold ${expected} numbers; it holds ${length}.`, { expected, actual: length })
}
