/** @file Last-layer sums and variances of float32 features, against plain float64 sums of the same features. */
import t from 'tap'
import { zeroCurvature } from '../../../core/curvature/accumulate.js'
import { accumulateLastLayer } from '../../../core/curvature/last-layer.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { structuredPosterior } from '../../../core/posterior/structured.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'

const [examples, inputs, outputs] = [300, 24, 4]
const random = randomGenerator(3)
// Features that are nearly sums of three: most directions of the weights are seen only weakly.
const hidden = random.fillNormal(new Float64Array(examples * 3))
const mix = random.fillNormal(new Float64Array(3 * inputs))
const features = Float32Array.from({ length: examples * inputs }, (_, at) => {
  const [n, i] = [Math.floor(at / inputs), at % inputs]
  return 20 * [0, 1, 2].reduce((sum, k) => sum + hidden[n * 3 + k] * mix[k * inputs + i], 0) + 1e-3 * random.normal()
})
const f = Float32Array.from({ length: examples * outputs }, () => 2 * random.normal())
const slots = [{ name: 'weight', shape: [outputs, inputs], offset: 0, size: outputs * inputs }, { name: 'bias',
  shape: [outputs], offset: outputs * inputs, size: outputs }]
const size = outputs * (inputs + 1)
const settings = { priorPrecision: 1e-2, priorMean: 0, sigmaNoise: 1, temperature: 1 }

/** sum_n J_n' (diag p - p p') J_n, entry by entry. */
function plainSum(): Float64Array {
  const matrix = new Float64Array(size * size)
  for (let n = 0; n < examples; n++) {
    const own = Array.from(f.subarray(n * outputs, (n + 1) * outputs))
    const total = own.reduce((sum, value) => sum + Math.exp(value), 0)
    const p = own.map(value => Math.exp(value) / total)
    const entry = (at: number): [number, number] =>
      at < outputs * inputs
        ? [Math.floor(at / inputs), features[n * inputs + at % inputs]]
        : [at - outputs * inputs, 1]
    for (let i = 0; i < size; i++) {
      const [c, a] = entry(i)
      for (let j = 0; j < size; j++) {
        const [d, b] = entry(j)
        matrix[i * size + j] += (Number(c === d) * p[c] - p[c] * p[d]) * a * b
      }
    }
  }
  return matrix
}

const wanted = plainSum()
const sumOf = (values: Float32Array | Float64Array) =>
  accumulateLastLayer(zeroCurvature({ structure: 'full' }, slots, []), slots, values, f, examples,
    likelihoodModel('classification'))

t.test('the sums are those of float64', t => {
  const sum = sumOf(features)
  t.equal(sum.structure, 'full')
  if (sum.structure === 'full') t.ok(relativeDifference(sum.matrix, wanted) < 1e-13, 'full')
  const diagonal = accumulateLastLayer(zeroCurvature({ structure: 'diag' }, slots, []), slots, features, f, examples,
    likelihoodModel('classification'))
  if (diagonal.structure === 'diag') {
    const own = diagonal.diagonal.map((_, i) => wanted[i * size + i])
    t.ok(relativeDifference(diagonal.diagonal, own) < 1e-13, `diag ${relativeDifference(diagonal.diagonal, own)}`)
  }
  t.end()
})

t.test('so the variances are right in every direction that the data see', t => {
  const own = structuredPosterior(sumOf(features), slots, new Float64Array(size), settings)
  const exact = structuredPosterior({ structure: 'full', size, matrix: wanted }, slots, new Float64Array(size),
    settings)
  for (const kind of ['diagonal', 'covariance'] as const) {
    const difference = relativeDifference(own.lastLayerVariance(features, examples, kind),
      exact.lastLayerVariance(Float64Array.from(features), examples, kind))
    t.ok(difference < 3e-4, `${kind} ${difference.toExponential(1)}`)
  }
  t.end()
})
