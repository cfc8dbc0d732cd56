/** @file Compares an exported posterior, run by ONNX Runtime, with the posterior's own predictions. */
import type { Test } from 'tap'
import { type OnnxExportOptions, posteriorModel } from '../../../adapters/onnx/index.js'
import type { Prediction } from '../../../core/answer/prediction.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { networkInputs } from '../../../core/network/input-rows.js'
import type { Examples } from '../../../core/tensor/examples.js'
import type { Tensor } from '../../../core/tensor/tensor.js'
import { runInOnnxRuntime } from './onnxruntime.js'

const FIELDS: Readonly<Record<string, keyof Prediction>> = { predictive_mean: 'predictiveMean',
  predictive_variance: 'predictiveVariance', predictive_covariance: 'predictiveCovariance',
  novelty_score: 'noveltyScore' }

/** What the file gives for the rows. */
export async function exportedOutputs(posterior: LaplacePosterior, x: Examples,
  options: OnnxExportOptions = {}): Promise<Map<string, Tensor>> {
  const precision = options.precision ?? options.dtype ?? posterior.state.evaluator.precision
  const inputs = networkInputs(x, posterior.state.evaluator.network, precision, () => undefined)
  return runInOnnxRuntime(posteriorModel(posterior, options), inputs)
}

/** The largest difference of two lists, over 1 and the size of the numbers. */
export function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = a.length === b.length ? 0 : Infinity
  for (let i = 0; i < a.length; i++) {
    const distance = a[i] === b[i] ? 0 : Math.abs(a[i] - b[i]) / Math.max(1, Math.abs(b[i]))
    most = Number.isNaN(distance) ? Infinity : Math.max(most, distance)
  }
  return most
}

/** Asserts that file and prediction agree in shapes and numbers. */
export async function sameAsPrediction(t: Test, posterior: LaplacePosterior, x: Examples,
  options: OnnxExportOptions = {}, tolerance = 1e-9, what = ''): Promise<void> {
  const { link, level, samples, seed } = options
  const theirs = await exportedOutputs(posterior, x, options)
  const ours = await posterior.predict(x, { link, samples, seed,
    covariance: theirs.has('covariance') || theirs.has('predictive_covariance'),
    level: ['lower', 'upper', 'sets'].some(name => theirs.has(name)) ? level ?? 0.9 : undefined })
  for (const [name, { shape, data }] of theirs) {
    const own = ours[FIELDS[name] ?? name as keyof Prediction] as Tensor | undefined
    t.same(shape, own?.shape, `${what} ${name}: shape`)
    const distance = farthest(data, own?.data ?? [])
    t.ok(distance <= tolerance, `${what} ${name}: ${distance}`)
  }
}
