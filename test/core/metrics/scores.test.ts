/** @file What each score must be, without another program: closed forms and properties. */
import fc from 'fast-check'
import t from 'tap'
import { adaptiveCalibrationError } from '../../../core/metrics/adaptive-ece.js'
import { riskCoverageArea } from '../../../core/metrics/aurc.js'
import { classWiseCalibrationError } from '../../../core/metrics/class-wise-ece.js'
import { coverageAtRisk } from '../../../core/metrics/coverage-at-risk.js'
import { centralCoverage } from '../../../core/metrics/coverage.js'
import type { Decisions } from '../../../core/metrics/decisions.js'
import { expectedCalibrationError } from '../../../core/metrics/ece.js'
import { falsePositiveRateAt95 } from '../../../core/metrics/fpr-at-95-tpr.js'
import { meanIntervalWidth } from '../../../core/metrics/interval-width.js'
import { kolmogorovDistance } from '../../../core/metrics/kolmogorov-distance.js'
import { outlierScores } from '../../../core/metrics/outlier-scores.js'
import { gaussianPit, pitHistogram } from '../../../core/metrics/pit.js'
import { smoothCalibrationError } from '../../../core/metrics/smooth-ece.js'
import { randomGenerator } from '../../../core/tensor/random.js'

/** Many answers of the same confidences, that share of each right. */
function answers(groups: { confidence: number, right: number, count: number }[]): Decisions {
  return {
    confidence: Float64Array.from(groups.flatMap(({ confidence, count }) => new Array<number>(count).fill(confidence))),
    correct: Uint8Array.from(
      groups.flatMap(({ right, count }) => Array.from({ length: count }, (_, i) => +(i < right))),
    ),
  }
}

const decisions = fc.array(fc.record({ confidence: fc.integer({ min: 1, max: 40 }), correct: fc.boolean() }), {
  minLength: 1,
  maxLength: 60,
}).map(list => list.map(({ confidence, correct }) => ({ confidence: confidence / 40, correct: +correct })))

function asDecisions(list: { confidence: number, correct: number }[]): Decisions {
  return { confidence: Float64Array.from(list, d => d.confidence), correct: Uint8Array.from(list, d => d.correct) }
}

const DECISION_SCORES = {
  adaptiveCalibrationError,
  smoothCalibrationError,
  riskCoverageArea,
  coverageAtRisk: (d: Decisions) => coverageAtRisk(d, 0.2),
}

t.test('smooth calibration error in closed form', async t => {
  // One confidence: the kernel has mass 1, so the smoothed error is |share right - confidence| at any bandwidth.
  t.ok(Math.abs(smoothCalibrationError(answers([{ confidence: 0.9, right: 80, count: 100 }])) - 0.1) < 1e-10)
  t.ok(Math.abs(smoothCalibrationError(answers([{ confidence: 1, right: 70, count: 100 }])) - 0.3) < 1e-10)
  // Two confidences too far apart to touch at the bandwidth found, with errors of both signs.
  const apart = answers([{ confidence: 0.2, right: 22, count: 100 }, { confidence: 0.8, right: 78, count: 100 }])
  t.ok(Math.abs(smoothCalibrationError(apart) - 0.02) < 1e-10)
  // Errors of both signs at neighbouring confidences cancel, where bins may part them.
  const close = answers([{ confidence: 0.7999, right: 100, count: 100 }, { confidence: 0.8001, right: 60, count: 100 }])
  t.ok(smoothCalibrationError(close) < 0.01)
  t.ok(expectedCalibrationError(close) > 0.19)
})

t.test('smooth calibration error of what is calibrated', async t => {
  t.equal(smoothCalibrationError(answers([{ confidence: 1, right: 9, count: 9 }])), 0)
  t.ok(smoothCalibrationError(answers([{ confidence: 0.75, right: 75, count: 100 }])) < 1e-12)
  const random = randomGenerator(1)
  const list = Array.from({ length: 20000 }, () => {
    const confidence = 0.5 + random.uniform() / 2
    return { confidence, correct: +(random.uniform() < confidence) }
  })
  const score = smoothCalibrationError(asDecisions(list))
  t.ok(score > 0 && score < 0.015, `${score}`)
})

t.test('adaptive error with one answer a bin is the mean distance, with one bin the distance of the means', async t => {
  const d = asDecisions([{ confidence: 0.6, correct: 1 }, { confidence: 0.9, correct: 0 }, { confidence: 0.7,
    correct: 1 }])
  t.ok(Math.abs(adaptiveCalibrationError(d, 3) - (0.4 + 0.9 + 0.3) / 3) < 1e-15)
  t.ok(Math.abs(adaptiveCalibrationError(d, 1) - Math.abs(2 - 2.2) / 3) < 1e-15)
})

t.test('class-wise error counts probabilities of 0 that happened', async t => {
  t.equal(classWiseCalibrationError(Float64Array.of(1, 0), [0, 1], 2), 1)
  t.equal(classWiseCalibrationError(Float64Array.of(1, 0, 0, 1), [1, 0, 0, 1], 2), 0)
})

t.test('risk and coverage in closed form', async t => {
  // The two least confident of four are wrong: risks 0, 0, 1/3, 1/2.
  const ordered = asDecisions(
    [[0.9, 1], [0.8, 1], [0.7, 0], [0.6, 0]].map(([confidence, correct]) => ({ confidence, correct })),
  )
  t.ok(Math.abs(riskCoverageArea(ordered) - (1 / 3 + 1 / 2) / 4) < 1e-15)
  t.equal(coverageAtRisk(ordered, 0.01), 0.5)
  t.equal(coverageAtRisk(ordered, 1 / 3), 0.75)
  t.equal(coverageAtRisk(ordered, 0.5), 1)
  // Equal confidences say nothing: the risk is the error rate wherever it is cut, and nothing can be cut.
  const flat = answers([{ confidence: 0.8, right: 3, count: 4 }])
  t.ok(Math.abs(riskCoverageArea(flat) - 0.25) < 1e-15)
  t.equal(coverageAtRisk(flat, 0.24), 0)
  t.equal(coverageAtRisk(flat, 0.25), 1)
})

t.test('tied answers count as the mean over their orders', async t => {
  const orders = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
  const mean = orders.reduce(
    (sum, correct) =>
      sum + riskCoverageArea(asDecisions(correct.map((value, i) => ({ confidence: 1 - i / 10, correct: value })))),
    0,
  ) / 3
  t.ok(Math.abs(riskCoverageArea(answers([{ confidence: 0.5, right: 1, count: 3 }])) - mean) < 1e-15)
})

t.test('the order of the rows changes no score', async t => {
  for (const [name, score] of Object.entries(DECISION_SCORES)) {
    fc.assert(fc.property(decisions, fc.nat(), (list, seed) => {
      const random = randomGenerator(seed)
      const mixed = list.map(row => ({ row, key: random.uniform() })).sort((a, b) => a.key - b.key).map(({ row }) =>
        row
      )
      return Math.abs(score(asDecisions(list)) - score(asDecisions(mixed))) < 1e-12
    }), { numRuns: 30 })
    t.pass(name)
  }
})

t.test('perfect answers have no error, and every one can be given', async t => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), count => {
    const d = answers([{ confidence: 1, right: count, count }])
    return adaptiveCalibrationError(d) === 0 && smoothCalibrationError(d) === 0 && riskCoverageArea(d) === 0 &&
      coverageAtRisk(d, 0) === 1
  }))
  t.pass('nothing failed')
})

t.test('what can be answered rises with the risk', async t => {
  fc.assert(
    fc.property(decisions, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }),
      (list, a, b) =>
        coverageAtRisk(asDecisions(list), Math.min(a, b)) <= coverageAtRisk(asDecisions(list), Math.max(a, b))),
  )
  t.pass('nothing failed')
})

t.test('adaptive and smooth errors stay between 0 and 1', async t => {
  fc.assert(fc.property(decisions, list => {
    const d = asDecisions(list)
    return [adaptiveCalibrationError(d), smoothCalibrationError(d)].every(value => value >= 0 && value <= 1)
  }), { numRuns: 50 })
  t.pass('nothing failed')
})

t.test('false positives at 95 % in closed form', async t => {
  // 20 rows of data, 0 to 19: 95 % of them are 19 rows, so the threshold is 18.
  const ofData = Array.from({ length: 20 }, (_, i) => i)
  t.equal(falsePositiveRateAt95(ofData, [17, 18, 18.5, 40]), 0.5)
  t.same(outlierScores(ofData, [20, 30]), { auroc: 1, fprAt95Tpr: 0 })
  t.same(outlierScores([1, 1], [1, 1, 1]), { auroc: 0.5, fprAt95Tpr: 1 })
  t.throws(() => falsePositiveRateAt95([], [1]), { code: 'BAD_LABELS' })
  t.throws(() => falsePositiveRateAt95([1], [NaN]), { code: 'NOT_FINITE' })
})

t.test('intervals of a calibrated Gaussian cover their level', async t => {
  const random = randomGenerator(3)
  const n = 40000
  const mean = random.fillNormal(new Float64Array(n))
  const variance = Float64Array.from({ length: n }, (_, i) => 0.5 + i % 4)
  const y = mean.map((value, i) => value + Math.sqrt(variance[i]) * random.normal())
  for (const level of [0.5, 0.8, 0.9, 0.95]) {
    const error = 4 * Math.sqrt(level * (1 - level) / n)
    t.ok(Math.abs(centralCoverage(mean, variance, y, level) - level) < error, `level ${level}`)
  }
  // sqrt(n) D exceeds 1.95 with probability 0.001.
  const pit = gaussianPit(mean, variance, y)
  t.ok(kolmogorovDistance(pit) * Math.sqrt(n) < 1.95)
  t.ok(pitHistogram(pit).every(share => Math.abs(share - 0.1) < 4 * Math.sqrt(0.09 / n)))
  t.ok(kolmogorovDistance(gaussianPit(mean, variance.map(v => v / 4), y)) > 0.1)
})

t.test('widths: twice 1.96 standard deviations at 95 %, and wider at higher levels', async t => {
  t.ok(Math.abs(meanIntervalWidth(Float64Array.of(4, 16), 0.95) - 2 * 1.959963984540054 * 3) < 1e-13)
  const level = fc.integer({ min: 1, max: 999 }).map(i => i / 1000)
  fc.assert(
    fc.property(level, level,
      (a, b) => (a < b) === (meanIntervalWidth(Float64Array.of(1), a) < meanIntervalWidth(Float64Array.of(1), b))),
  )
})

t.test('PIT of the mean is a half, its histogram has every value once', async t => {
  t.same(gaussianPit(Float64Array.of(3, -1), Float64Array.of(2, 9), Float64Array.of(3, -1)), Float64Array.of(0.5, 0.5))
  t.same(pitHistogram(Float64Array.of(0, 0.05, 0.1, 0.95, 1)), [0.4, 0.2, 0, 0, 0, 0, 0, 0, 0, 0.4])
  t.equal(kolmogorovDistance(Float64Array.of(0.25, 0.75)), 0.25)
  t.equal(kolmogorovDistance(Float64Array.of(1, 1)), 1)
})
