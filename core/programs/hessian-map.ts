/**
 * @file What the Gauss-Newton matrix leaves out of the Hessian, sum_n sum_c u_nc d^2 f_nc / dtheta^2, row by row: the
 * product with v is the derivative of J v by theta for the cotangent u, the backward pass of the program of J v
 * (Pearlmutter 1994, "Fast exact multiplication by the Hessian").
 */
import type { Engine, Program } from '../engine/engine.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { Inputs } from '../network/input-rows.js'
import type { Network } from '../network/network.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import { placesIn, wholeSlots } from '../network/parameters.js'
import { valueSizes } from '../passes/value-sizes.js'
import { type Precision, type Tensor, tensor } from '../tensor/tensor.js'
import { type FactorsProgram, factorsProgram } from './factors-program.js'
import { type JvpProgram, jvpProgram } from './jvp-program.js'
import { addFactors, examplesOf, tangentsOf } from './linear-map.js'
import { release } from './results.js'

/** The second derivatives of the outputs, weighted by a cotangent. */
export interface HessianMap {
  /**
   * Adds sum_n d^2 (u_n' f_n) / dtheta^2 v for a batch and the rows v of a count x P matrix.
   * @param u N x C
   */
  addTimes(u: Float64Array, vectors: Float64Array, x: Inputs, sums: Float64Array): Promise<void>
  /** Calls `visit` with each row of sum_n d^2 (u_n' f_n) / dtheta^2, P x P: nothing of that size is held. */
  eachRow(u: Float64Array, x: Inputs, visit: (i: number, row: Float64Array) => void): Promise<void>
  dispose(): void
}

/**
 * Numbers that the values of a run may hold beside each other: up to there calls take longer than what they compute.
 * All K products meet all K seeds, so that K rows at once are K^2 times the work of one.
 */
const NUMBERS_AT_ONCE = 2 ** 17

/**
 * The map of a network; its programs, of one vector and of several, are compiled once.
 * @throws GraphError NOT_DIFFERENTIABLE where an operator's derivative has no derivative
 */
export function hessianMap({ graph, inputs, output }: Network, slots: readonly ParameterSlot[], engine: Engine,
  precision: Precision): HessianMap {
  const whole = wholeSlots(graph, slots)
  const places = placesIn(whole, slots)
  const total = parameterCount(whole)
  const size = places.length
  const programs = new Map<number, ProductProgram>()
  const programOf = (count: number): ProductProgram => {
    const program = programs.get(count) ?? productProgram(graph, output, slots.map(slot => slot.name), count, precision)
    programs.set(count, program)
    return program
  }
  /** sum_n d^2 (u_n' f_n) / dtheta^2 v for the rows v of a count x P matrix of all parameters. */
  const times = async (count: number, u: Float64Array, vectors: Float64Array, x: Inputs): Promise<Float64Array> => {
    const product = programOf(count)
    const given = new Map([...x, ...tangentsOf(product.forward, whole, graph, vectors, precision),
      [product.program.seed, seedOf(u, count, product.forward.outputs, precision)] as const])
    product.compiled ??= engine.compile(product.program.graph, precision)
    const results = await (await product.compiled).run(given)
    const images = new Float64Array(vectors.length)
    addFactors(product.program, results, whole, images)
    return images
  }
  let atOnce: number | undefined
  return {
    async addTimes(u, vectors, x, sums) {
      for (let at = 0; at < vectors.length; at += size) {
        const v = new Float64Array(total)
        places.forEach((place, i) => {
          v[place] = vectors[at + i]
        })
        const image = await times(1, u, v, x)
        places.forEach((place, i) => {
          sums[at + i] += image[place]
        })
      }
    },
    async eachRow(u, x, visit) {
      const numbers = valueSizes(graph).values * examplesOf(x, inputs)
      const count = (atOnce ??= Math.max(1, Math.min(size, Math.floor(Math.sqrt(NUMBERS_AT_ONCE / numbers)))))
      for (let from = 0; from < size; from += count) {
        const units = new Float64Array(count * total)
        const own = places.slice(from, from + count)
        own.forEach((place, k) => {
          units[k * total + place] = 1
        })
        const images = await times(count, u, units, x)
        own.forEach((_, k) => {
          visit(from + k, Float64Array.from(places, place => images[k * total + place]))
        })
      }
    },
    dispose() {
      for (const { compiled } of programs.values()) release(compiled)
      programs.clear()
    },
  }
}

/** The program of K products: that of J v for K vectors with a backward pass, which has a seed for each. */
interface ProductProgram {
  readonly forward: JvpProgram
  readonly program: FactorsProgram
  compiled?: Promise<Program>
}

function productProgram(graph: Graph, output: string, names: readonly string[], count: number,
  precision: Precision): ProductProgram {
  const forward = jvpProgram(graph, output, names, count)
  const builder = GraphBuilder.from({ ...forward.graph, parameters: graph.parameters }, precision)
  const byExample = builder.node('Transpose', [forward.product], { perm: [1, 0, 2] })
  const product = builder.node('Reshape', [byExample, builder.integers([-1, count * forward.outputs])])
  const moved = { ...builder.build([product]), parameters: graph.parameters }
  return { forward, program: factorsProgram(moved, product, names, count) }
}

/** u at the outputs of one product for each seed: K x N x (K C). */
function seedOf(u: Float64Array, count: number, outputs: number, precision: Precision): Tensor {
  const examples = u.length / outputs
  const seed = new Float64Array(count * count * u.length)
  for (let k = 0; k < count; k++) {
    for (let n = 0; n < examples; n++) {
      seed.set(u.subarray(n * outputs, (n + 1) * outputs), ((k * examples + n) * count + k) * outputs)
    }
  }
  return tensor(precision, [count, examples, count * outputs], seed)
}
