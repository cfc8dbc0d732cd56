/** @file The outputs of a batch under a low-rank posterior: the change of their mean, and J P^-1 J'. */
import type { LowRankModel } from '../curvature/curvature.js'
import { ownGram } from '../curvature/jacobian-gram.js'
import { jacobianTimes } from '../curvature/jacobian-products.js'
import { outputJacobian } from '../curvature/jacobian.js'
import { type ParameterVectors, splitVectors } from '../curvature/parameter-vectors.js'
import { scaledJacobian } from '../curvature/scaled-jacobian.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import type { VarianceKind } from './variance-kind.js'

/** What predictions need of one model: U and w_lin - theta, tensor by tensor, as rows of one matrix. */
export interface LowRankPart {
  /** The outputs that it explains; all of them where they are not said. */
  readonly outputs: readonly number[] | undefined
  readonly delta: number
  readonly rank: number
  /** rank + 1 vectors: the rows of U, then w_lin - theta, over the prior's scales. */
  readonly vectors: ParameterVectors
  /** The prior's scales, P, by which the Jacobian is multiplied. */
  readonly scale?: Float64Array | undefined
}

/** What a low-rank posterior says of a batch. */
export interface LowRankOutputs {
  /** f_lin - f, N x C. */
  readonly change: Float64Array
  /** N x C, or N x C x C. */
  readonly variance: Float64Array
}

/** What predictions need of a model. @param theta the network's weights, P @param scale the prior's scales, P */
export function lowRankPart({ outputs, delta, rank, rows, weights }: LowRankModel, slots: readonly ParameterSlot[],
  theta: Float64Array, scale?: Float64Array): LowRankPart {
  const all = new Float64Array((rank + 1) * theta.length)
  all.set(rows)
  all.set(weights.map((value, i) => (value - theta[i]) / (scale?.[i] ?? 1)), rank * theta.length)
  return { outputs, delta, rank, vectors: splitVectors(slots, all, rank + 1), scale }
}

/** f_lin - f = J (w_lin - theta) and J P^-1 J' = (J J' - (J U')(J U')') / delta of a batch. */
export function lowRankOutputs(parts: readonly LowRankPart[], slots: readonly ParameterSlot[],
  jacobian: FactoredJacobian, kind: Exclude<VarianceKind, 'sums'>): LowRankOutputs {
  const { examples, seeds } = jacobian
  const result = { change: new Float64Array(examples * seeds),
    variance: new Float64Array(examples * seeds * (kind === 'covariance' ? seeds : 1)) }
  for (const part of parts) {
    const { outputs, scale } = part
    const own = outputs === undefined || outputs.length === seeds ? jacobian : outputJacobian(jacobian, outputs[0])
    addPart(result, part, slots, scale === undefined ? own : scaledJacobian(slots, own, scale), seeds, kind)
  }
  return result
}

function addPart({ change, variance }: LowRankOutputs, { outputs: named, delta, rank, vectors }: LowRankPart,
  slots: readonly ParameterSlot[], jacobian: FactoredJacobian, total: number,
  kind: Exclude<VarianceKind, 'sums'>): void {
  const { examples, seeds } = jacobian
  const images = jacobianTimes(jacobian, vectors)
  const gram = ownGram(slots, jacobian)
  const width = rank + 1
  const outputs = named ?? Array.from({ length: seeds }, (_, c) => c)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < seeds; c++) {
      const at = (n * seeds + c) * width
      change[n * total + outputs[c]] = images[at + rank]
      for (let d = kind === 'covariance' ? 0 : c; d <= c; d++) {
        const other = (n * seeds + d) * width
        let value = gram[(n * seeds + c) * seeds + d]
        for (let k = 0; k < rank; k++) value -= images[at + k] * images[other + k]
        // What the data determine completely is left with rounding errors of either sign.
        if (c === d) value = Math.max(0, value)
        if (kind === 'diagonal') variance[n * total + outputs[c]] = value / delta
        else {
          variance[(n * total + outputs[c]) * total + outputs[d]] = value / delta
          variance[(n * total + outputs[d]) * total + outputs[c]] = value / delta
        }
      }
    }
  }
}
