/**
 * @file What the Gauss-Newton matrix leaves out of the Hessian, sum_n sum_c u_nc d^2 f_nc / dtheta^2, row by row: the
 * product with v is the derivative of J v by theta for the cotangent u, the backward pass of the program of J v
 * (Pearlmutter 1994, "Fast exact multiplication by the Hessian").
 */
import type { Engine, Program } from '../engine/engine.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Inputs } from '../network/input-rows.js'
import type { Network } from '../network/network.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import { placesIn, wholeSlots } from '../network/parameters.js'
import { type Precision, type Tensor, tensor } from '../tensor/tensor.js'
import { factorsProgram } from './factors-program.js'
import { jvpProgram } from './jvp-program.js'
import { addFactors, tangentsOf } from './linear-map.js'

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
 * The map of a network; its program is compiled once.
 * @throws GraphError NOT_DIFFERENTIABLE where an operator's derivative has no derivative
 */
export function hessianMap({ graph, output }: Network, slots: readonly ParameterSlot[], engine: Engine,
  precision: Precision): HessianMap {
  const whole = wholeSlots(graph, slots)
  const places = placesIn(whole, slots)
  const total = parameterCount(whole)
  const names = slots.map(slot => slot.name)
  const forward = jvpProgram(graph, output, names, 1)
  const builder = GraphBuilder.from({ ...forward.graph, parameters: graph.parameters }, precision)
  const product = builder.node('Reshape', [forward.product, builder.integers([-1, forward.outputs])])
  const moved = { ...builder.build([product]), parameters: graph.parameters }
  const program = factorsProgram(moved, product, names, 1)
  let compiled: Promise<Program> | undefined
  /** sum_n d^2 (u_n' f_n) / dtheta^2 v. */
  const times = async (seed: Tensor, v: Float64Array, x: Inputs): Promise<Float64Array> => {
    const inputs = new Map([...x, ...tangentsOf(forward, whole, graph, v, precision), [program.seed, seed] as const])
    const results = await (await (compiled ??= engine.compile(program.graph, precision))).run(inputs)
    const sum = new Float64Array(total)
    addFactors(program, results, whole, sum)
    return sum
  }
  const size = places.length
  const seedOf = (u: Float64Array): Tensor => tensor(precision, [1, u.length / forward.outputs, forward.outputs], u)
  return {
    async addTimes(u, vectors, x, sums) {
      const seed = seedOf(u)
      for (let at = 0; at < vectors.length; at += size) {
        const v = new Float64Array(total)
        places.forEach((place, i) => {
          v[place] = vectors[at + i]
        })
        const image = await times(seed, v, x)
        places.forEach((place, i) => {
          sums[at + i] += image[place]
        })
      }
    },
    async eachRow(u, x, visit) {
      const seed = seedOf(u)
      const unit = new Float64Array(total)
      for (let i = 0; i < size; i++) {
        unit[places[i]] = 1
        const row = await times(seed, unit, x)
        unit[places[i]] = 0
        visit(i, Float64Array.from(places, place => row[place]))
      }
    },
    dispose() {
      void compiled?.then(ready => {
        ready.dispose()
      }, () => undefined)
      compiled = undefined
    },
  }
}
