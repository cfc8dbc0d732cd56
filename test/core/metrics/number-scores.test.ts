/** @file Scores of counts and of noise that the network says, against their definitions by plain sums. */
import t, { type Test } from 'tap'
import { countLogProbability, countQuantile, countScore, countShare } from '../../../core/likelihood/poisson-mixture.js'
import { calibrationReport, isNumberReport, metrics } from '../../../core/metrics/index.js'
import { erf } from '../../../core/ops/erf.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

function agrees(a: number, b: number, tolerance: number): boolean {
  return relativeDifference([a], [b]) <= tolerance
}

/** Probabilities of 0 ... last of a count whose log rate is N(mean, variance), by a fine grid. */
function probabilities(mean: number, variance: number, last: number): number[] {
  const grid = variance === 0 ? [0] : Array.from({ length: 4001 }, (_, i) => (i - 2000) / 200)
  const weights = grid.map(z => Math.exp(-z * z / 2))
  const total = weights.reduce((a, b) => a + b)
  const rates = grid.map(z => Math.exp(mean + Math.sqrt(variance) * z))
  const terms = rates.map((rate, i) => weights[i] / total * Math.exp(-rate))
  return Array.from({ length: last + 1 }, (_, k) => {
    const p = terms.reduce((a, b) => a + b)
    terms.forEach((_, i) => terms[i] *= rates[i] / (k + 1))
    return p
  })
}

/** E|Y - y| - 1/2 E|Y - Y'|. */
function energyScore(p: readonly number[], y: number): number {
  let [distance, spread] = [0, 0]
  p.forEach((a, k) => {
    distance += a * Math.abs(k - y)
    p.forEach((b, l) => spread += a * b * Math.abs(k - l))
  })
  return distance - spread / 2
}

t.test('the score of a count is its definition', (t: Test) => {
  for (const [mean, variance] of [[0.3, 0], [1.2, 0.2], [-2, 0.5], [3, 0.04]]) {
    const p = probabilities(mean, variance, 400)
    for (const y of [0, 1, 2.25, 7, 60]) {
      t.ok(agrees(countScore(y, mean, variance), energyScore(p, y), 1e-8), `${mean} ${variance} ${y}`)
    }
  }
  t.end()
})

t.test('large rates are summed in steps, as near as one by one', (t: Test) => {
  // A Gaussian by the central limit: its closed form is off by the skewness alone, which is below 1e-4 here.
  const rate = 4e6
  const s = Math.sqrt(rate)
  for (const z of [-2, 0, 0.5, 3]) {
    const phi = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI)
    const wide = countScore(Math.round(rate + z * s), Math.log(rate), 0)
    const shares: Record<string, number> = { '-2': 0.022750131948, 0: 0.5, 0.5: 0.691462461274, 3: 0.998650101968 }
    const gaussian = s * (z * (2 * shares[String(z)] - 1) + 2 * phi - 1 / Math.sqrt(Math.PI))
    t.ok(Math.abs(wide / gaussian - 1) < 1e-3, `${z}: ${wide} ${gaussian}`)
  }
  t.end()
})

/** mean, variance, y, log p(y): by integrals to 40 digits (mpmath). */
const LOG_PROBABILITIES = [[-3, 8, 0, -0.2420070240622651], [2, 1e-4, 4, -2.56690526877931], [6, 1e-10, 376,
  -4.8382661259430035], [9, 0.3, 10534, -9.694120212233393], [12, 0.3, 211581, -12.694043383286052], [20, 0.3,
  630714754, -20.694041408870756], [30, 8, 102690625114961, -34.5414013177812], [15, 1e-4, 4249723,
  -354.94415228084426], [3, 2, 2.5, -3.3438855262221328], [0, 100, 0.3, -2.1172227497836738]]
/** mean, variance, y, score: by the sum over all counts, of 4,001 nodes each (scipy). */
const SCORES = [[6, 0.01, 300.5, 79.54758884021878], [5.5, 0.3, 100, 100.2128245736145], [5.5, 0.3, 700,
  339.5302792647276], [3, 0.6, 2.25, 13.249885745228118], [7, 1e-3, 1000, 70.75573427998883], [6, 0.05, 30,
  330.42888131484784], [5.5, 1e-8, 250, 4.408030755661164]]

t.test('uncertain rates of any size are integrated where the integrand lies', (t: Test) => {
  for (const [mean, variance, y, expected] of LOG_PROBABILITIES) {
    t.ok(Math.abs(countLogProbability(y, mean, variance) - expected) < 1e-9, `log p ${mean} ${variance} ${y}`)
  }
  for (const [mean, variance, y, expected] of SCORES) {
    t.ok(agrees(countScore(y, mean, variance), expected, 1e-7), `score ${mean} ${variance} ${y}`)
  }
  t.end()
})

t.test('a count of a large and uncertain rate is the log-normal rate itself', (t: Test) => {
  const phi = (z: number): number => (1 + erf(z / Math.SQRT2)) / 2
  for (const [mean, variance] of [[15, 0.3], [15, 2], [30, 0.01], [60, 1], [200, 9]]) {
    const s = Math.sqrt(variance)
    for (const z of [-2, 0, 1.3]) {
      const y = Math.round(Math.exp(mean + s * z))
      // Jordan, Krueger and Lerch 2019: the score of a log-normal distribution.
      const score = y * (2 * phi(z) - 1) - 2 * Math.exp(mean + variance / 2) * (phi(z - s) + phi(s / Math.SQRT2) - 1)
      t.ok(agrees(countScore(y, mean, variance), score, 3e-4), `score ${mean} ${variance} ${z}`)
      const logDensity = -z * z / 2 - Math.log(2 * Math.PI * variance) / 2 - Math.log(y)
      t.ok(Math.abs(countLogProbability(y, mean, variance) - logDensity) < 1e-4, `log p ${mean} ${variance} ${z}`)
      t.ok(Math.abs(countShare(y, mean, variance) - phi(z)) < 1e-4, `share ${mean} ${variance} ${z}`)
      t.ok(agrees(countQuantile(phi(z), mean, variance), y, 1e-4), `quantile ${mean} ${variance} ${z}`)
    }
  }
  t.end()
})

t.test('counts have NLL, deviance, coverage and an even transform', (t: Test) => {
  const f = [0.2, 1, 1.5, 2]
  const v = [0.1, 0, 0.3, 0.2]
  const y = [1, 0, 9, 7]
  const [mean, variance] = [float64([4, 1], f), float64([4, 1], v)]
  const report = calibrationReport('poisson', float64([4, 1], y), { mean, variance })
  if (!isNumberReport(report)) return t.fail('a report of numbers')
  const p = f.map((value, i) => probabilities(value, v[i], 300))
  const average = (of: (i: number) => number): number => y.reduce((sum, _, i) => sum + of(i), 0) / y.length
  const rates = f.map((value, i) => Math.exp(value + v[i] / 2))
  t.ok(agrees(report.nll, average(i => -Math.log(p[i][y[i]])), 1e-9))
  t.ok(agrees(report.crps, average(i => energyScore(p[i], y[i])), 1e-8))
  t.ok(
    agrees(report.deviance ?? NaN,
      average(i => 2 * ((y[i] > 0 ? y[i] * Math.log(y[i] / rates[i]) : 0) - (y[i] - rates[i]))), 1e-12),
  )
  t.ok(agrees(report.sharpness, average(i => Math.sqrt(rates[i] + rates[i] ** 2 * Math.expm1(v[i]))), 1e-12))
  const quantile = (i: number, level: number): number => {
    let [k, sum] = [0, p[i][0]]
    while (sum < level - 1e-12) sum += p[i][++k]
    return k
  }
  for (const { level, coverage, width } of report.intervals) {
    const ends = f.map((_, i) => [quantile(i, (1 - level) / 2), quantile(i, (1 + level) / 2)])
    t.equal(width, average(i => ends[i][1] - ends[i][0]))
    t.equal(coverage, average(i => Number(ends[i][0] <= y[i] && y[i] <= ends[i][1])))
  }
  t.ok(Math.abs(report.pit.histogram.reduce((a, b) => a + b) - 1) < 1e-12)
  const scores = metrics('poisson', float64([4, 1], y), { mean, variance })
  t.same([scores['nll'], scores['crps'], scores['deviance']], [report.nll, report.crps, report.deviance])
  t.end()
})

t.test('noise that the network says scores as the Gaussian of an observation', (t: Test) => {
  const y = float64([3, 1], [0.5, 1.5, -1])
  const mean = float64([3, 2], [0.4, -1, 1, 0, -0.5, 0.5])
  const variance = float64([3, 2], [0.1, 0.2, 0.3, 0, 0.2, 0.1])
  const own = metrics('heteroscedastic', y, { mean, variance })
  const total = [0, 1, 2].map(i => variance.data[2 * i] + Math.exp(mean.data[2 * i + 1] + variance.data[2 * i + 1] / 2))
  // The same Gaussians as a regression whose noise is next to nothing.
  const plain = metrics('regression', y, { mean: float64([3, 1], [0.4, 1, -0.5]), variance: float64([3, 1], total) },
    1e-9)
  for (const name of ['nll', 'crps', 'rmse', 'coverage', 'sharpness']) t.ok(agrees(own[name], plain[name], 1e-12), name)
  t.end()
})
