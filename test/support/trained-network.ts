/** @file Networks trained in a test: fixed tanh units under a last layer that gradient descent has fitted. */
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import type { LikelihoodModel } from '../../core/likelihood/likelihood.js'
import { randomGenerator } from '../../core/tensor/random.js'
import { float64 } from '../../core/tensor/tensor.js'

/** Rows with labels as the likelihood takes them. */
export interface Rows {
  /** N x D. */
  readonly x: Float64Array
  readonly y: Float64Array
  readonly examples: number
}

/** Inputs drawn from a standard normal distribution. */
export function normalInputs(examples: number, inputs: number, seed: number): Float64Array {
  const random = randomGenerator(seed)
  return Float64Array.from({ length: examples * inputs }, () => random.normal())
}

const HIDDEN = 12

/** The network after `steps` steps of gradient descent. */
export function trainedNetwork(likelihood: LikelihoodModel, { x, y, examples }: Rows, outputs: number,
  steps: number): Graph {
  const inputs = x.length / examples
  const random = randomGenerator(5)
  const w = Float64Array.from({ length: HIDDEN * inputs }, () => random.normal())
  const b = Float64Array.from({ length: HIDDEN }, () => random.normal())
  const features = Float64Array.from({ length: examples * (HIDDEN + 1) }, (_, i) => {
    const [n, h] = [Math.floor(i / (HIDDEN + 1)), i % (HIDDEN + 1)]
    if (h === HIDDEN) return 1
    let sum = b[h]
    for (let d = 0; d < inputs; d++) sum += w[h * inputs + d] * x[n * inputs + d]
    return Math.tanh(sum)
  })
  const v = Float64Array.from({ length: outputs * (HIDDEN + 1) }, () => 0.1 * random.normal())
  const forward = (): Float64Array =>
    Float64Array.from({ length: examples * outputs }, (_, i) => {
      const [n, c] = [Math.floor(i / outputs), i % outputs]
      let sum = 0
      for (let h = 0; h <= HIDDEN; h++) sum += v[c * (HIDDEN + 1) + h] * features[n * (HIDDEN + 1) + h]
      return sum
    })
  for (let step = 0; step < steps; step++) {
    likelihood.residual(forward(), y, examples, outputs).forEach((value, i) => {
      const [n, c] = [Math.floor(i / outputs), i % outputs]
      for (let h = 0; h <= HIDDEN; h++) {
        v[c * (HIDDEN + 1) + h] -= 0.15 * value * features[n * (HIDDEN + 1) + h] / examples
      }
    })
  }
  return networkOf(w, b, v, inputs, outputs)
}

function networkOf(w: Float64Array, b: Float64Array, v: Float64Array, inputs: number, outputs: number): Graph {
  const builder = new GraphBuilder('float64')
  const rows = Array.from({ length: outputs }, (_, c) => v.subarray(c * (HIDDEN + 1), (c + 1) * (HIDDEN + 1)))
  const hidden = builder.node('Tanh', [
    builder.node('Gemm', [builder.input('x', [BATCH, inputs]), builder.parameter('w', float64([HIDDEN, inputs], w)),
      builder.parameter('b', float64([HIDDEN], b))], { transB: 1 }),
  ])
  return builder.build([
    builder.node('Gemm', [hidden,
      builder.parameter('v', float64([outputs, HIDDEN], rows.flatMap(row => Array.from(row.subarray(0, HIDDEN))))),
      builder.parameter('c', float64([outputs], rows.map(row => row[HIDDEN])))], { transB: 1 }),
  ])
}
