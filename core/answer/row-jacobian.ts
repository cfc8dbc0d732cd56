/** @file Outputs and Jacobian of one example, for what works on rows one at a time. */
import { denseJacobian } from '../curvature/jacobian.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import type { Inputs } from '../network/input-rows.js'
import type { Evaluator } from '../programs/evaluator.js'

/** Outputs of one example, C, and its Jacobian by the posterior's parameters, C x P. */
export async function rowJacobian(evaluator: Evaluator,
  row: Inputs): Promise<{ readonly f: Float64Array, readonly jacobian: Float64Array }> {
  const { slots } = evaluator
  if (evaluator.subset === 'all') {
    const { f, jacobian } = await evaluator.jacobian(row)
    return { f: Float64Array.from(f), jacobian: denseJacobian(slots, jacobian) }
  }
  const { f, features } = await evaluator.features(row)
  return { f: Float64Array.from(f), jacobian: denseJacobian(slots, lastLayerJacobian(slots, features, 1)) }
}
