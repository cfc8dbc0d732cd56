import fc from 'fast-check'
import t from 'tap'
import type { RegressionScores } from '../../../core/conformal/conformal-scores.js'
import { conformalIntervals } from '../../../core/conformal/intervals.js'
import { conformalQuantile, conformalRank, shortageNote } from '../../../core/conformal/quantile.js'
import { calibrateSplit } from '../../../core/conformal/split.js'
import { erf } from '../../../core/ops/erf.js'
import { type RandomGenerator, randomGenerator } from '../../../core/tensor/random.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { betaDistances, shareDistance } from '../../support/beta-law.js'
import { matrix, metricsReference } from '../../support/metrics-reference.js'

const reference = metricsReference()
const REPETITIONS = 2000

const column = (values: ArrayLike<number>): Tensor => float64([values.length, 1], values)

t.test("the quantile is numpy's at ceil((n + 1) level) / n", async t => {
  const { scores, cases } = reference.conformalQuantiles
  for (const { level, quantile } of cases) {
    t.equal(conformalQuantile(Float64Array.from(scores).sort(), level), quantile, `level ${level}`)
  }
})

t.test('ranks: whole numbers stay, and too few rows have none', async t => {
  t.equal(conformalRank(99, 0.95), 95)
  t.equal(conformalRank(99, 0.07), 7)
  t.equal(conformalRank(19, 0.95), 19)
  t.equal(conformalRank(18, 0.95), 19)
  t.equal(conformalQuantile(new Float64Array(18), 0.95), Infinity)
  t.equal(conformalQuantile(new Float64Array(19), 0.95), 0)
  t.equal(shortageNote(19, 0.95), undefined)
  t.match(shortageNote(18, 0.95), /19 rows/)
  for (const level of [0, 1, -1, 2, NaN]) t.throws(() => conformalRank(5, level), { code: 'BAD_OPTION' })
  fc.assert(fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 99 }), (n, percent) =>
    // In whole numbers: ceil((n + 1) percent / 100).
    conformalRank(n, percent / 100) === Math.floor(((n + 1) * percent + 99) / 100)))
})

t.test('split intervals in closed form, an output at a time', async t => {
  const mean = matrix([[0, 10], [0, 10], [0, 10]])
  const sd = matrix([[1, 2], [1, 2], [1, 2]])
  const calibrated = calibrateSplit(mean, sd, matrix([[1, 10], [-3, 14], [2, 9]]))
  t.same(calibrated, { kind: 'split', n: 3, scaled: true,
    scores: [Float64Array.of(1, 2, 3), Float64Array.of(0, 0.5, 2)] })
  const { lower, upper, ...rest } = conformalIntervals(calibrated, matrix([[5, 5]]), matrix([[2, 10]]), 0.5)
  t.same(lower.data, Float64Array.of(1, 0))
  t.same(upper.data, Float64Array.of(9, 10))
  t.same(rest, { level: 0.5, guarantee: 0.5, approximate: false })
})

t.test('too few rows: infinite intervals, and that is said', async t => {
  const calibrated = calibrateSplit(column([0, 0]), column([1, 1]), column([1, 2]))
  const { lower, upper, note } = conformalIntervals(calibrated, column([3]), column([0.5]), 0.9)
  t.same([lower.data[0], upper.data[0]], [-Infinity, Infinity])
  t.match(note, /2 rows cannot guarantee the level 0.9: it needs 9 rows/)
})

t.test('what is calibrated survives as plain numbers', async t => {
  const calibrated = calibrateSplit(column([0, 0, 0, 0]), column([1, 1, 2, 1]), column([1, 2, 3, -1]))
  const text = JSON.stringify({ ...calibrated, scores: calibrated.scores.map(list => Array.from(list)) })
  const parsed = JSON.parse(text) as Omit<RegressionScores, 'scores'> & { scores: number[][] }
  const restored = { ...parsed, scores: parsed.scores.map(list => Float64Array.from(list)) }
  t.same(conformalIntervals(restored, column([1]), column([2]), 0.6),
    conformalIntervals(calibrated, column([1]), column([2]), 0.6))
})

t.test('split intervals: order of rows, level, scale', async t => {
  const rows = fc.array(
    fc.record({ mean: fc.integer({ min: -9, max: 9 }), sd: fc.integer({ min: 1, max: 5 }),
      y: fc.integer({ min: -20, max: 20 }) }),
    { minLength: 1, maxLength: 30 },
  )
  const halfWidth = (list: { mean: number, sd: number, y: number }[], level: number, scale = 1): number =>
    conformalIntervals(
      calibrateSplit(column(list.map(r => r.mean)), column(list.map(r => scale * r.sd)), column(list.map(r => r.y))),
      column([0]),
      column([scale]),
      level,
    ).upper.data[0]
  const level = fc.integer({ min: 1, max: 99 }).map(i => i / 100)
  fc.assert(fc.property(rows, level, level, (list, a, b) =>
    halfWidth(list, a) === halfWidth([...list].reverse(), a) &&
    halfWidth(list, Math.min(a, b)) <= halfWidth(list, Math.max(a, b)) &&
    // A factor of all standard deviations changes no interval: only their relative sizes count.
    halfWidth(list, a) === halfWidth(list, a, 4)))
  t.pass('nothing failed')
})

for (const [n, level] of [[19, 0.9], [50, 0.8], [200, 0.95]] as const) {
  t.test(`split intervals cover as Beta(k, n + 1 - k) says, n = ${n}, level ${level}`, async t => {
    const random = randomGenerator(n)
    const mean = new Float64Array(n)
    const coverages = Array.from({ length: REPETITIONS }, () => {
      // The model is wrong: its standard deviation is 3 and not 1. Its intervals are right nevertheless.
      const y = random.fillNormal(new Float64Array(n))
      const calibrated = calibrateSplit(column(mean), column(new Float64Array(n).fill(3)), column(y))
      const upper = conformalIntervals(calibrated, column([0]), column([3]), level).upper.data[0]
      return erf(upper / Math.SQRT2)
    })
    const rank = Math.ceil((n + 1) * level - 1e-9)
    const distance = betaDistances(coverages, rank, n + 1 - rank)
    t.ok(distance.mean < 4 && distance.variance < 4, JSON.stringify(distance))
  })
}

t.test('split intervals cover rows of unequal spread at the level', async t => {
  const random = randomGenerator(8)
  const [n, level] = [39, 0.9]
  let inside = 0
  for (let i = 0; i < REPETITIONS; i++) {
    const x = Array.from({ length: n + 1 }, () => random.uniform())
    const y = x.map(value => Math.sin(6 * value) + (0.1 + value) * random.normal())
    // A line for a sine: wrong everywhere.
    const [mean, sd] = [x.map(value => 1 - 2 * value), x.map(value => 0.2 + value)]
    const calibrated = calibrateSplit(column(mean.slice(0, n)), column(sd.slice(0, n)), column(y.slice(0, n)))
    const { lower, upper } = conformalIntervals(calibrated, column([mean[n]]), column([sd[n]]), level)
    if (lower.data[0] <= y[n] && y[n] <= upper.data[0]) inside++
  }
  t.ok(shareDistance(inside / REPETITIONS, level, REPETITIONS) < 4, `${inside} of ${REPETITIONS}`)
})

/** y = a x + noise, fitted through the origin; the leave-one-out residuals in closed form. */
function line(random: RandomGenerator, n: number): { residuals: number[], mean: number, y: number } {
  const x = Array.from({ length: n + 1 }, () => random.normal())
  const y = x.map(value => 2 * value + random.normal())
  const [xy, xx] = [0, 1].map(k => x.slice(0, n).reduce((sum, value, i) => sum + value * (k === 0 ? y[i] : value), 0))
  const slopes = x.slice(0, n).map((value, i) => (xy - value * y[i]) / (xx - value * value))
  return { residuals: slopes.map((slope, i) => y[i] - slope * x[i]), mean: xy / xx * x[n], y: y[n] }
}

/** Scores of rows predicted without themselves. */
const jackknife = (scores: readonly number[], scaled: boolean): RegressionScores => ({ kind: 'jackknife',
  n: scores.length, scaled, scores: [Float64Array.from(scores, Math.abs).sort()] })

t.test('the jackknife covers at about the level, and promises nothing', async t => {
  const random = randomGenerator(11)
  const [n, level] = [29, 0.9]
  let inside = 0
  for (let i = 0; i < REPETITIONS; i++) {
    const { residuals, mean, y } = line(random, n)
    const plain = conformalIntervals(jackknife(residuals, false), column([mean]), undefined, level)
    if (plain.lower.data[0] <= y && y <= plain.upper.data[0]) inside++
    if (i === 0) t.same([plain.approximate, plain.guarantee], [true, 0])
  }
  t.ok(shareDistance(inside / REPETITIONS, level, REPETITIONS) < 4, `${inside}`)
})

t.test('scores may have a scale', async t => {
  const calibrated = jackknife([1, -2], true)
  t.same(conformalIntervals(calibrated, column([0]), column([3]), 0.5).upper.data, Float64Array.of(6))
  t.throws(() => conformalIntervals(calibrated, column([0]), undefined, 0.5), { code: 'BAD_COMBINATION' })
  t.throws(() => conformalIntervals(jackknife([1], false), column([0]), column([1]), 0.5), {
    code: 'BAD_COMBINATION',
  })
})

t.test('calibration refuses what it cannot use', async t => {
  t.throws(() => calibrateSplit(column([0]), column([0]), column([1])), { code: 'BAD_OPTION' })
  t.throws(() => calibrateSplit(column([0]), column([1, 1]), column([1])), { code: 'SHAPE_MISMATCH' })
  t.throws(() => calibrateSplit(column([0]), column([1]), column([NaN])), { code: 'NOT_FINITE' })
  t.throws(() => calibrateSplit(column([]), column([]), column([])), { code: 'EMPTY_DATA' })
  const calibrated = calibrateSplit(column([0]), column([1]), column([1]))
  t.throws(() => conformalIntervals(calibrated, matrix([[1, 2]]), matrix([[1, 2]]), 0.5), { code: 'SHAPE_MISMATCH' })
})
