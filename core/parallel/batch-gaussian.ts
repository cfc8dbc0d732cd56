/** @file The Gaussian over a batch's outputs, under a posterior over all weights. */
import { seedRange } from '../curvature/jacobian.js'
import { type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import { termsOf } from '../likelihood/output-layout.js'
import type { Inputs } from '../network/input-rows.js'
import { type OutputMoments, outputMoments, type PartsByOutput, type PosteriorParts,
  someVariances } from '../posterior/posterior-parts.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { positionsAtOnce } from '../programs/batch-size.js'
import type { Evaluator } from '../programs/evaluator.js'

/** Outputs f (N x T x C) of a batch and their variances (N x T x C) or covariances (N x T x C x C). */
export interface BatchGaussian {
  readonly f: RealArray
  readonly variance: Float64Array
  /** f_lin - f of a linear model. */
  readonly change?: Float64Array
}

/** What is wanted of a batch. */
export interface GaussianRequest {
  readonly kind: VarianceKind
  /** Outputs of a row whose Jacobians are there at once, where they have no positions. */
  readonly outputsAtOnce: number
}

/** Outputs of a batch and their variances. */
export async function batchGaussian(evaluator: Evaluator, parts: PosteriorParts, x: Inputs,
  { kind, outputsAtOnce }: GaussianRequest): Promise<BatchGaussian> {
  if (termsOf(evaluator.network) > 1) return gaussianAtPositions(evaluator, parts, x, kind)
  if (outputsAtOnce < evaluator.network.outputs && cutsOutputs(parts) && kind !== 'covariance') {
    return gaussianInTurns(evaluator, parts, x, kind, outputsAtOnce)
  }
  const { f, jacobian } = await evaluator.jacobian(x)
  return { f, ...outputMoments(parts, evaluator.slots, jacobian, kind) }
}

/** Whether a posterior says the variances of some outputs without the others. */
export function cutsOutputs(parts: PosteriorParts): parts is PartsByOutput {
  return parts.kind === 'blocks' || parts.kind === 'factors'
}

/** Outputs and variances, some outputs at a time, each turn with the sum of all of them where row sums are wanted. */
async function gaussianInTurns(evaluator: Evaluator, parts: PartsByOutput, x: Inputs, kind: 'diagonal' | 'sums',
  count: number): Promise<BatchGaussian> {
  const { slots, network: { outputs } } = evaluator
  const [seeds, kinds] = kind === 'sums' ? [count + 1, 2] : [count, 1]
  let [f, variance]: [RealArray, Float64Array] = [new Float64Array(0), new Float64Array(0)]
  for (let from = 0; from < outputs; from += count) {
    const own = await evaluator.seeded(x, { count: seeds, from: (values, examples) =>
      outputSeeds(values, { outputs, from, count, seeds, examples }) })
    f = own.f
    if (from === 0) variance = new Float64Array(kinds * f.length)
    const part = someVariances(parts, slots, own.jacobian, kind)
    for (let row = 0; row * outputs < variance.length; row++) {
      variance.set(part.subarray(row * seeds, row * seeds + Math.min(count, outputs - from)), row * outputs + from)
    }
  }
  return { f, variance }
}

/** One-hot seeds of some outputs, zero beyond the last one; and behind them, where there is one more, their sum's. */
function outputSeeds(values: RealArray, { outputs, from, count, seeds, examples }: {
  readonly outputs: number
  readonly from: number
  readonly count: number
  readonly seeds: number
  readonly examples: number
}): RealArray {
  const result = zerosLike(values, seeds * examples * outputs)
  for (let k = 0; k < Math.min(count, outputs - from); k++) {
    for (let n = 0; n < examples; n++) result[(k * examples + n) * outputs + from + k] = 1
  }
  if (seeds > count) result.fill(1, count * examples * outputs)
  return result
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
