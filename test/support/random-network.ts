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

/** Networks in which parameters are used once, at several positions, several times, and outside of products. */
export const mixedNetworks: Record<string,
  (draw: Draw) => { readonly graph: Graph, readonly x: Tensor, readonly outputs: number }> = {
    'layers': draw => ({ graph: perceptron(draw, 4, 5, 3, 'Tanh'), x: draw(5, 4), outputs: 3 }),
    'positions': draw => {
      const b = new GraphBuilder('float64')
      const z = b.node('Add', [b.node('MatMul', [b.input('x', [BATCH, 6, 4]), b.parameter('w', draw(4, 3), true)]),
        b.parameter('b', draw(3))])
      const pooled = b.node('ReduceMean', [b.node('Tanh', [z]), b.integers([1])], { keepdims: 0 })
      const f = b.node('Gemm', [pooled, b.parameter('v', draw(2, 3)), b.parameter('c', draw(2))], { transB: 1 })
      return { graph: b.build([f]), x: draw(5, 6, 4), outputs: 2 }
    },
    'shared weight, bias and a scale': draw => {
      const b = new GraphBuilder('float64')
      const [w, c] = [b.parameter('w', draw(4, 4)), b.parameter('b', draw(4))]
      const first = b.node('Tanh', [b.node('Gemm', [b.input('x', [BATCH, 4]), w, c], { transB: 1 })])
      const second = b.node('Tanh', [b.node('Gemm', [first, w, c], { transB: 1 })])
      const scaled = b.node('Mul', [second, b.parameter('scale', draw(4))])
      return { graph: b.build([b.node('Gemm', [scaled, b.parameter('v', draw(3, 4))], { transB: 1 })]), x: draw(5, 4),
        outputs: 3 }
    },
  }
