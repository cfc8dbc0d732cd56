import fc from 'fast-check'
import t from 'tap'
import { softmax } from '../../../core/likelihood/softmax.js'
import { metrics } from '../../../core/metrics/index.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { fitTemperature, HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE,
  scaledProbabilities } from '../../../core/tuning/temperature.js'
import { labelsOf, matrix, metricsReference } from '../../support/metrics-reference.js'

const reference = metricsReference()
const classes = (...values: number[]) => tensor('int64', [values.length], values)

for (const likelihood of ['classification', 'binary', 'multilabel'] as const) {
  t.test(`${likelihood}: the temperature of scipy's root of the slope`, async t => {
    const { logits, y, temperature } = reference[likelihood]
    const fit = fitTemperature(likelihood, matrix(logits), labelsOf(y))
    t.ok(Math.abs(fit.temperature / temperature - 1) < 1e-10, `${fit.temperature}`)
    t.notOk('note' in fit)
    const probabilities = scaledProbabilities(likelihood, matrix(logits), fit.temperature)
    const { nll } = metrics(likelihood, labelsOf(y), { probabilities }) as { nll: number }
    t.ok(Math.abs(fit.nll - nll) < 1e-12)
    for (const factor of [0.99, 1.01]) {
      const beside = scaledProbabilities(likelihood, matrix(logits), factor * fit.temperature)
      t.ok(metrics(likelihood, labelsOf(y), { probabilities: beside })['nll'] > nll)
    }
  })
}

t.test('two rows in closed form', async t => {
  // Margins 1 (three rows) and -1 (one): the share right is sigmoid(1/T) = 3/4, so T = 1/log 3.
  const fit = fitTemperature('binary', float64([4, 1], [1, 1, 1, 1]), float64([4, 1], [1, 1, 1, 0]))
  t.ok(Math.abs(fit.temperature - 1 / Math.log(3)) < 1e-11)
  const two = fitTemperature('classification', float64([4, 2], [0, 1, 0, 1, 0, 1, 0, 1]), classes(1, 1, 1, 0))
  t.ok(Math.abs(two.temperature - 1 / Math.log(3)) < 1e-11)
})

t.test('scaled logits scale the temperature, shifted ones leave it', async t => {
  const { logits, y, temperature } = reference.classification
  fc.assert(
    fc.property(fc.double({ min: 0.05, max: 500, noNaN: true }), fc.double({ min: -50, max: 50, noNaN: true }),
      (factor, shift) => {
        const moved = matrix(logits.map(row => row.map(value => factor * value + shift)))
        const fit = fitTemperature('classification', moved, labelsOf(y))
        return Math.abs(fit.temperature / (factor * temperature) - 1) < 1e-9
      }),
    { numRuns: 40 },
  )
  t.pass('nothing failed')
})

t.test('saturated logits with one wrong answer in a hundred', async t => {
  // sigmoid(1000/T) = 0.99.
  const fit = fitTemperature('binary', float64([100, 1], new Float64Array(100).fill(1000)),
    float64([100, 1], Array.from({ length: 100 }, (_, i) => +(i > 0))))
  t.ok(Math.abs(fit.temperature - 1000 / Math.log(99)) < 1e-7)
})

t.test('where no temperature is best', async t => {
  const right = fitTemperature('classification', float64([2, 2], [5, -5, -1, 9]), classes(0, 1))
  t.equal(right.temperature, LOWEST_TEMPERATURE)
  t.match(right.note, /lower bound/)
  const far = fitTemperature('binary', float64([2, 1], [1e200, -1e200]), float64([2, 1], [1, 0]))
  t.equal(far.temperature, LOWEST_TEMPERATURE)
  t.equal(far.nll, 0)
  const wrong = fitTemperature('classification', float64([2, 2], [5, -5, -1, 9]), classes(1, 0))
  t.equal(wrong.temperature, HIGHEST_TEMPERATURE)
  t.match(wrong.note, /upper bound/)
  const flat = fitTemperature('classification', float64([2, 2], [3, 3, -1, -1]), classes(1, 0))
  t.equal(flat.temperature, 1)
  t.ok(Math.abs(flat.nll - Math.log(2)) < 1e-15)
  t.match(flat.note, /stays 1/)
})

t.test('a temperature of 1 changes nothing', async t => {
  const { logits } = reference.classification
  const p = scaledProbabilities('classification', matrix(logits), 1)
  t.same(p.data, softmax(Float64Array.from(logits.flat()), logits.length, logits[0].length))
})

t.test('temperature scaling refuses what it cannot scale', async t => {
  const f = float64([2, 2], [1, 0, 0, 1])
  t.throws(() => fitTemperature('regression', f, f), { code: 'BAD_COMBINATION' })
  t.throws(() => fitTemperature('classification', float64([2, 2], [1, NaN, 0, 1]), classes(0, 1)), {
    code: 'NOT_FINITE',
  })
  t.throws(() => fitTemperature('classification', f, classes(0, 2)), { code: 'BAD_LABELS' })
  t.throws(() => scaledProbabilities('classification', f, 0), { code: 'BAD_OPTION' })
})
