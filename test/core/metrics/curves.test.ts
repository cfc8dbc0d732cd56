/** @file Risk by coverage, and histograms, against their definitions. */
import fc from 'fast-check'
import t from 'tap'
import { riskCoverageArea } from '../../../core/metrics/aurc.js'
import { histogram } from '../../../core/metrics/histogram.js'
import { riskCoverageCurve } from '../../../core/metrics/risk-coverage-curve.js'

t.test('risk by coverage: its mean is the area, its end the error rate', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ confidence: fc.double({ min: 0.5, max: 1, noNaN: true }), correct: fc.boolean() }), {
        minLength: 1,
        maxLength: 60,
      }),
      answers => {
        const decisions = { confidence: Float64Array.from(answers, ({ confidence }) => confidence),
          correct: Uint8Array.from(answers, ({ correct }) => Number(correct)) }
        const { coverage, risk } = riskCoverageCurve(decisions)
        const mean = risk.reduce((sum, value) => sum + value, 0) / risk.length
        const errors = answers.filter(({ correct }) => !correct).length / answers.length
        return Math.abs(mean - riskCoverageArea(decisions)) < 1e-12 && coverage.at(-1) === 1 &&
          Math.abs((risk.at(-1) ?? -1) - errors) < 1e-12
      },
    ),
  )
  const many = riskCoverageCurve({ confidence: Float64Array.from({ length: 1000 }, (_, i) => i),
    correct: Uint8Array.from({ length: 1000 }, (_, i) => Number(i >= 300)) })
  t.equal(many.coverage.length, 100)
  t.same([many.coverage[69], many.risk[69]], [0.7, 0], 'the 700 most confident are right')
  t.ok(Math.abs((many.risk[84] ?? 0) - 150 / 850) < 1e-12, 'and then each is wrong')
})

t.test('histograms', async t => {
  t.same(histogram(Float64Array.of(0, 0.24, 0.25, 1, -3, 9), 0, 1, 4), { from: 0, to: 1,
    shares: [3, 1, 0, 2].map(count => count / 6) }, 'ends and what lies outside')
  t.same(histogram(Float64Array.of(2, 2), 2, 2, 2).shares, [1, 0], 'all numbers equal')
})
