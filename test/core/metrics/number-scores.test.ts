/** @file Scores of counts and of noise that the network says, against their definitions by plain sums. */
import t, { type Test } from 'tap'
import { countScore } from '../../../core/likelihood/poisson-mixture.js'
import { calibrationReport, isNumberReport, metrics } from '../../../core/metrics/index.js'
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
