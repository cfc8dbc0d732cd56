/** @file What one example costs: multiplications, and numbers at its widest. */
import type { Evaluator } from './evaluator.js'

/**
 * Multiplications of one example: a forward pass, the backward pass of every seed, and the products with the layers'
 * matrices.
 */
export function multiplicationsPerExample({ linears, subset, network }: Evaluator, seeds: number): number {
  const weights = network.graph.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
  if (subset === 'last_layer') {
    return weights + linears.reduce((sum, { in: inputs, out }) => sum + inputs * inputs + inputs * out, 0)
  }
  return weights * (1 + seeds) +
    linears.reduce((sum, { in: inputs, out }) => sum + inputs * inputs + seeds * out * out, 0)
}

/** What one example needs at its widest, in numbers: its seeds' gradients and its activations. */
export function numbersPerExample({ linears, network, subset }: Evaluator, seeds: number): number {
  const widest = linears.reduce(
    (most, { in: inputs, out }) => Math.max(most, inputs, subset === 'all' ? seeds * out : out),
    network.outputs,
  )
  return 4 * widest
}
