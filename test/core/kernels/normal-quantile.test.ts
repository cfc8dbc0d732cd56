import fc from 'fast-check'
import t from 'tap'
import { centralHalfWidth, normalQuantile } from '../../../core/kernels/normal-quantile.js'
import { erf } from '../../../core/ops/erf.js'
import { metricsReference } from '../../support/metrics-reference.js'

t.test('normal quantiles are those of scipy', async t => {
  for (const [p, z] of metricsReference().normalQuantiles) {
    const distance = Math.abs(normalQuantile(p) - z)
    t.ok(distance <= 1e-14 * Math.max(1, Math.abs(z)), `p = ${p}: ${normalQuantile(p)}, ${z}`)
  }
  t.equal(centralHalfWidth(0.95).toFixed(14), '1.95996398454005')
})

t.test('at the ends and outside', async t => {
  t.equal(normalQuantile(0), -Infinity)
  t.equal(normalQuantile(1), Infinity)
  t.equal(normalQuantile(0.5), 0)
  for (const p of [-0.1, 1.1, NaN]) t.ok(Number.isNaN(normalQuantile(p)))
})

t.test('the normal distribution function undoes the quantile', async t => {
  fc.assert(fc.property(fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }), p => {
    const back = (1 + erf(normalQuantile(p) / Math.SQRT2)) / 2
    return Math.abs(back - p) < 1e-15
  }))
  t.pass('nothing failed')
})

t.test('quantiles rise, and are odd about 1/2', async t => {
  const probability = fc.integer({ min: 1, max: 2 ** 30 - 1 }).map(i => i / 2 ** 30)
  fc.assert(
    fc.property(probability, probability,
      (p, q) => normalQuantile(p) === -normalQuantile(1 - p) && (p < q) === (normalQuantile(p) < normalQuantile(q))),
  )
  t.pass('nothing failed')
})
