/**
 * @file Examples of several positions, each predicted by the last layer's linear model of all the others. Positions of
 * one example share their inputs, so that they are left out together: H loses the example's sum, and the mode moves by
 * f + J P_-n^-1 J' (p - y).
 */
import { withoutCurvature, zeroLike } from '../curvature/accumulate.js'
import type { Curvature } from '../curvature/curvature.js'
import { accumulateLastLayer, lastLayerIndices, lastLayerTimes, withOnes } from '../curvature/last-layer.js'
import { asFloat64 } from '../curvature/real.js'
import { gemm } from '../kernels/linear-algebra.js'
import { type LikelihoodForm, likelihoodModel } from '../likelihood/registry.js'
import type { LeftOut } from '../linear-model/leave-one-out.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import { lastLayerShape } from '../network/linear-shape.js'
import { hessianFactor } from '../options/hyperparameters.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import { structuredPosterior } from '../posterior/structured.js'
import type { LinearData } from '../sums/linear-data.js'
import { sampledRows } from '../tensor/rows.js'

/** Rows with their features, example by example. */
export interface ExampleRows extends LabelledRows {
  readonly features: Float64Array
  /** Rows of each example. */
  readonly sizes: Int32Array
}

/**
 * Outputs and covariances of every row without its example.
 * @param curvature the sum over all rows, at the mode
 * @param linear outputs at the mode, N x C
 * @throws NumericalError NOT_POSITIVE_DEFINITE
 */
export function withoutEachExample({ slots, mean, settings }: StructuredPosterior, curvature: Curvature,
  { features, labels, sizes, outputs, likelihood }: ExampleRows, linear: Float64Array, form: LikelihoodForm): LeftOut {
  const layer = lastLayerShape(slots)
  const own = likelihoodModel(likelihood.name, form)
  const indices = lastLayerIndices(slots)
  const width = own.targetWidth(outputs)
  const f = linear.slice()
  const covariance = new Float64Array(linear.length * outputs)
  let at = 0
  for (const rows of sizes) {
    const phi = features.subarray(at * layer.in, (at + rows) * layer.in)
    const here = linear.subarray(at * outputs, (at + rows) * outputs)
    const part = accumulateLastLayer(zeroLike(curvature), slots, asFloat64(phi), here, rows, own)
    const others = structuredPosterior(withoutCurvature(curvature, part), slots, mean, settings)
    const residual = own.residual(here, labels.subarray(at * width, (at + rows) * width), rows, outputs)
    const gradient = gradientOf(residual, withOnes(phi, rows, layer.in, layer.bias >= 0), rows, outputs, indices)
    const step = others.covarianceTimes(gradient, 1).map(value => value * hessianFactor(settings))
    lastLayerTimes(slots, phi, rows, step).forEach((value, i) => {
      f[at * outputs + i] += value
    })
    covariance.set(others.lastLayerVariance(phi, rows, 'covariance'), at * outputs * outputs)
    at += rows
  }
  return { f, covariance }
}

/** J' r in the order of theta. */
function gradientOf(residual: Float64Array, phi: Float64Array, rows: number, outputs: number,
  indices: Int32Array): Float64Array {
  const width = indices.length / outputs
  const matrix = new Float64Array(indices.length)
  gemm(true, false, outputs, width, rows, 1, residual, phi, 0, matrix)
  const gradient = new Float64Array(indices.length)
  indices.forEach((to, i) => {
    gradient[to] = matrix[i]
  })
  return gradient
}

/** Multiplications that leaving examples out may take, and the fewest of them that say anything. */
const MOST_MULTIPLICATIONS = 3e10
const FEWEST_EXAMPLES = 20

/** The rows of all examples, or of a seeded sample of them that is affordable. @param most rows */
export function exampleRows({ features, labels, sizes = new Int32Array(0), examples }: LinearData, size: number,
  width: number, most: number, seed: number): Pick<ExampleRows, 'features' | 'labels' | 'sizes'> {
  const byCost = Math.max(FEWEST_EXAMPLES, Math.floor(MOST_MULTIPLICATIONS / size ** 3))
  const byRows = Math.max(1, Math.floor(most / Math.max(1, examples / sizes.length)))
  const chosen = sampledRows(sizes.length, Math.min(sizes.length, byCost, byRows), seed)
  const starts = new Int32Array(sizes.length)
  for (let n = 1; n < sizes.length; n++) starts[n] = starts[n - 1] + sizes[n - 1]
  const joined = (values: ArrayLike<number>, columns: number): Float64Array => {
    const parts = Array.from(chosen,
      n => Float64Array.from({ length: sizes[n] * columns }, (_, i) => values[starts[n] * columns + i]))
    const result = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
    parts.reduce((at, part) => {
      result.set(part, at)
      return at + part.length
    }, 0)
    return result
  }
  return { features: joined(features, features.length / Math.max(1, examples)), labels: joined(labels, width),
    sizes: Int32Array.from(chosen, n => sizes[n]) }
}
