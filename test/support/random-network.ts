/** @file Small networks of random weights. */
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import { randomGenerator } from '../../core/tensor/random.js'
import { float64, type Tensor } from '../../core/tensor/tensor.js'

/** Draws a tensor of standard normal numbers. */
export interface Draw {
  (...shape: number[]): Tensor
}

export function drawer(seed: number): Draw {
  const random = randomGenerator(seed)
  return (...shape) => float64(shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()))
}

/** inputs-hidden-outputs; `activation` undefined: a deep linear network. */
export function perceptron(draw: Draw, inputs: number, hidden: number, outputs: number,
  activation: string | undefined): Graph {
  const b = new GraphBuilder('float64')
  const z = b.node('Gemm', [b.input('x', [BATCH, inputs]), b.parameter('0.weight', draw(hidden, inputs)),
    b.parameter('0.bias', draw(hidden))], { transB: 1 })
  const a = activation === undefined ? z : b.node(activation, [z])
  return b.build([
    b.node('Gemm', [a, b.parameter('2.weight', draw(outputs, hidden)), b.parameter('2.bias', draw(outputs))], {
      transB: 1,
    }),
  ])
}
