/** @file Variances of a last layer with one output, beside x' P^-1 x. */
import t from 'tap'
import { gemm } from '../../../core/kernels/linear-algebra.js'
import type { ParameterSlot } from '../../../core/network/parameter-slot.js'
import { fullPosterior } from '../../../core/posterior/full.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'

const [ROWS, IN] = [37, 11]
const random = randomGenerator(3)
const normals = (count: number): Float64Array => random.fillNormal(new Float64Array(count))
const weight = (offset: number): ParameterSlot => ({ name: 'w', shape: [1, IN], size: IN, offset })
const bias = (offset: number): ParameterSlot => ({ name: 'b', shape: [1], size: 1, offset })

const LAYERS: readonly (readonly [string, readonly ParameterSlot[], number])[] = [
  ['without a bias', [weight(0)], -1],
  ['the bias last', [weight(0), bias(IN)], IN],
  ['the bias first', [bias(0), weight(1)], 0],
]

for (const [name, slots, ones] of LAYERS) {
  t.test(name, async t => {
    const size = IN + Number(ones >= 0)
    const a = normals(size * size)
    const matrix = new Float64Array(size * size)
    gemm(true, false, size, size, size, 1, a, a, 0, matrix)
    const posterior = fullPosterior({ structure: 'full', size, matrix }, slots, normals(size), { priorPrecision: 0.7,
      priorMean: 0, sigmaNoise: 1.3, temperature: 1 })
    const features = Float32Array.from(normals(ROWS * IN))
    const rows = new Float64Array(ROWS * size)
    for (let n = 0; n < ROWS; n++) {
      const own = Array.from(features.subarray(n * IN, (n + 1) * IN))
      if (ones >= 0) own.splice(ones, 0, 1)
      rows.set(own, n * size)
    }
    const images = posterior.covarianceTimes(rows, ROWS)
    const expected = Float64Array.from({ length: ROWS }, (_, n) => {
      let sum = 0
      for (let i = n * size; i < (n + 1) * size; i++) sum += rows[i]! * images[i]!
      return sum
    })
    const near = (values: ArrayLike<number>): boolean => relativeDifference(values, expected) < 1e-12
    t.ok(near(posterior.lastLayerVariance(features, ROWS, 'diagonal')), 'variances')
    t.ok(near(posterior.lastLayerVariance(features, ROWS, 'covariance')), 'covariances of one output')
    const sums = posterior.lastLayerVariance(features, ROWS, 'sums')
    t.equal(sums.length, 2 * ROWS)
    t.ok(near(sums.filter((_, i) => i % 2 === 0)) && near(sums.filter((_, i) => i % 2 === 1)), 'row sums')
    t.equal(posterior.lastLayerVariance(features.subarray(0, 0), 0, 'diagonal').length, 0, 'no rows')
  })
}
