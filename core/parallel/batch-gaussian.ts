/** @file The Gaussian over a batch's outputs, under a posterior over all weights. */
import { seedRange } from '../curvature/jacobian.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { termsOf } from '../likelihood/output-layout.js'
import type { Inputs } from '../network/input-rows.js'
import { type OutputMoments, outputMoments, type PosteriorParts } from '../posterior/posterior-parts.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { positionsAtOnce } from '../programs/cost.js'
import type { Evaluator } from '../programs/evaluator.js'

/** Outputs f (N x T x C) of a batch and their variances (N x T x C) or covariances (N x T x C x C). */
export interface BatchGaussian {
  readonly f: RealArray
  readonly variance: Float64Array
  /** f_lin - f of a linear model. */
  readonly change?: Float64Array
}

/** Outputs of a batch and their variances. */
export async function batchGaussian(evaluator: Evaluator, parts: PosteriorParts, x: Inputs,
  kind: VarianceKind): Promise<BatchGaussian> {
  if (termsOf(evaluator.network) > 1) return gaussianAtPositions(evaluator, parts, x, kind)
  const { f, jacobian } = await evaluator.jacobian(x)
  return { f, ...outputMoments(parts, evaluator.slots, jacobian, kind) }
}

/** Outputs and variances of networks with positions: some positions at once, each with the Jacobian of its outputs. */
async function gaussianAtPositions(evaluator: Evaluator, parts: PosteriorParts, x: Inputs,
  kind: VarianceKind): Promise<BatchGaussian> {
  const { slots, network } = evaluator
  const { outputs } = network
  const terms = termsOf(network)
  const count = positionsAtOnce(evaluator, outputs)
  const moments: OutputMoments[] = []
  let f: RealArray = new Float64Array(0)
  for (let from = 0; from < terms; from += count) {
    const linearisation = await evaluator.jacobian(x, { terms, from, count })
    f = linearisation.f
    for (let t = 0; t < Math.min(count, terms - from); t++) {
      moments.push(outputMoments(parts, slots, seedRange(linearisation.jacobian, t * outputs, outputs), kind))
    }
  }
  const change = moments.flatMap(({ change: own }) => (own === undefined ? [] : [own]))
  return { f, variance: interleaved(moments.map(({ variance }) => variance), f.length / (terms * outputs)),
    ...(change.length === 0 ? {} : { change: interleaved(change, f.length / (terms * outputs)) }) }
}

/** One array a position, N x width each, as N x T x width. */
function interleaved(parts: readonly Float64Array[], examples: number): Float64Array {
  const width = parts[0].length / examples
  const result = new Float64Array(parts.length * parts[0].length)
  parts.forEach((part, t) => {
    for (let n = 0; n < examples; n++) {
      result.set(part.subarray(n * width, (n + 1) * width), (n * parts.length + t) * width)
    }
  })
  return result
}
