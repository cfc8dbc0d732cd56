import fc from 'fast-check'
import t from 'tap'
import { auroc, calibrationBins, metrics } from '../../../core/metrics/index.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'

const labels = (values: number[]) => tensor('int64', [values.length], values)

t.test('auroc is the share of pairs in the right order', async t => {
  t.equal(auroc([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]), 0.75)
  t.equal(auroc([3, 2, 1], [true, true, false]), 1)
  t.equal(auroc([1, 1, 1, 1], [1, 0, 1, 0]), 0.5)
  fc.assert(
    fc.property(
      fc.array(fc.record({ score: fc.integer({ min: 0, max: 6 }), positive: fc.boolean() }), { minLength: 2,
        maxLength: 40 }),
      points => {
        const [ups, downs] = [points.filter(p => p.positive), points.filter(p => !p.positive)]
        if (ups.length === 0 || downs.length === 0) return
        const pairs = ups.flatMap(up =>
          downs.map(down => (up.score > down.score ? 1 : up.score === down.score ? 0.5 : 0))
        )
        const share = pairs.reduce<number>((sum, value) => sum + value, 0) / pairs.length
        return Math.abs(auroc(points.map(p => p.score), points.map(p => p.positive)) - share) < 1e-12
      },
    ),
  )
})

t.test('auroc refuses what it cannot score', async t => {
  t.throws(() => auroc([1, 2], [1]), { code: 'BAD_LABELS' })
  t.throws(() => auroc([1, 2], [1, 1]), { code: 'BAD_LABELS' })
  t.throws(() => auroc([1, NaN], [1, 0]), { code: 'NOT_FINITE' })
})

t.test('metrics refuse what they cannot score', async t => {
  const probabilities = float64([2, 2], [0.7, 0.3, 0.4, 0.6])
  t.throws(() => metrics('classification', labels([0, 2]), { probabilities }), { code: 'BAD_LABELS' })
  t.throws(() => metrics('classification', labels([0]), { probabilities }), { code: 'SHAPE_MISMATCH' })
  t.throws(() => metrics('classification', labels([0, 1]), {}), { code: 'BAD_COMBINATION' })
  t.throws(() => metrics('regression', labels([0, 1]), { probabilities }), { code: 'BAD_COMBINATION' })
  t.throws(
    () => metrics('regression', labels([0, 1]), { mean: float64([2, 1], [0, 1]), variance: float64([1, 1], [0]) }),
    { code: 'SHAPE_MISMATCH' },
  )
  t.throws(() => metrics('regression', labels([0, 1]), { mean: float64([2, 1], [0, 1]) }, 0), { code: 'BAD_OPTION' })
  t.throws(
    () =>
      metrics('regression', labels([0, 1]), { mean: float64([1, 2], [0, 1]),
        covariance: float64([1, 2, 2], [0, 9, 9, 0]) }),
    { code: 'SHAPE_MISMATCH' },
  )
  t.throws(
    () =>
      metrics('regression', float64([1, 2], [0, 1]), { mean: float64([1, 2], [0, 1]),
        covariance: float64([1, 2, 2], [0, 9, 9, 0]) }),
    { code: 'NOT_POSITIVE_DEFINITE' },
  )
})

t.test('bins are open below and closed above', async t => {
  const bins = calibrationBins({ confidence: Float64Array.of(0.5, 0.5, 0.6, 1), correct: Uint8Array.of(1, 0, 1, 1) }, 2)
  t.same(bins, [
    { from: 0, to: 0.5, count: 2, accuracy: 0.5, confidence: 0.5 },
    { from: 0.5, to: 1, count: 2, accuracy: 1, confidence: 0.8 },
  ])
})

t.test('a calibrated Gaussian is covered at its level, and its CRPS is the integral of the definition', async t => {
  const random = randomGenerator(3)
  const n = 4000
  const mean = float64([n, 1], Float64Array.from({ length: n }, (_, i) => Math.sin(i)))
  const variance = float64([n, 1], Float64Array.from({ length: n }, (_, i) => 0.5 + i % 3))
  const y = float64([n, 1],
    Float64Array.from({ length: n }, (_, i) => mean.data[i] + Math.sqrt(variance.data[i] + 0.25) * random.normal()))
  const scores = metrics('regression', y, { mean, variance }, 0.5)
  t.ok(Math.abs(scores['coverage'] - 0.95) < 0.012, `coverage ${scores['coverage']}`)
  t.ok(Math.abs(scores['sharpness'] - (Math.sqrt(0.75) + Math.sqrt(1.75) + Math.sqrt(2.75)) / 3) < 1e-3)

  // CRPS = E|X - y| - E|X - X'| / 2 for X, X' from the forecast.
  const point = metrics('regression', float64([1, 1], [0.7]), { mean: float64([1, 1], [0]),
    variance: float64([1, 1], [0]) }, 1)
  let [toTruth, apart] = [0, 0]
  for (let i = 0; i < 200000; i++) {
    const x = random.normal()
    toTruth += Math.abs(x - 0.7)
    apart += Math.abs(x - random.normal())
  }
  t.ok(Math.abs(point['crps'] - (toTruth - apart / 2) / 200000) < 0.006)
})
