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
   * sum_n d^2 (u_n' f_n) / dtheta^2 for a batch, P x P, a product a row.
   * @param u N x C
   */
  matrix(u: Float64Array, x: Inputs): Promise<Float64Array>
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
  return {
    async matrix(u, x) {
      const seed = tensor(precision, [1, u.length / forward.outputs, forward.outputs], u)
      const size = places.length
      const result = new Float64Array(size * size)
      const unit = new Float64Array(total)
      for (let i = 0; i < size; i++) {
        unit[places[i]] = 1
        const row = await times(seed, unit, x)
        unit[places[i]] = 0
        for (let j = 0; j < size; j++) result[i * size + j] = row[places[j]]
      }
      return result
    },
    dispose() {
      void compiled?.then(ready => {
        ready.dispose()
      }, () => undefined)
      compiled = undefined
    },
  }
}
