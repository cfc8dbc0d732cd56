import t from 'tap'
import { calibrationReport, metrics } from '../../../core/metrics/index.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { labelsOf, matrix, metricsReference } from '../../support/metrics-reference.js'

const reference = metricsReference()

/** True where the two numbers agree to a relative (or, below 1, absolute) tolerance. */
function agrees(actual: number, expected: number, tolerance: number): boolean {
  return Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected))
}

for (const likelihood of ['classification', 'binary', 'multilabel'] as const) {
  t.test(`${likelihood}: every score is that of scikit-learn or of its definition`, async t => {
    const { p, y, scores } = reference[likelihood]
    const report = calibrationReport(likelihood, labelsOf(y), { probabilities: matrix(p) })
    t.equal(report.likelihood, likelihood)
    t.equal(report.points, p.length)
    for (const name of ['nll', 'brier', 'accuracy', 'ece', 'adaptiveEce', 'classWiseEce', 'aurc'] as const) {
      t.ok(agrees(report[name], scores[name], 1e-12), `${name} ${report[name]} ${scores[name]}`)
    }
    // The reference integrates on a grid of 20,001 places.
    t.ok(agrees(report.smoothEce, scores['smoothEce'], 1e-7), `smoothEce ${report.smoothEce} ${scores['smoothEce']}`)
    t.same(report.coverageAtRisk.map(({ risk }) => risk), [0.01, 0.05])
    report.coverageAtRisk.forEach(({ coverage }, i) => t.ok(agrees(coverage, scores.coverageAtRisk[i], 1e-12)))
    const answers = report.reliability.reduce((sum, bin) => sum + bin.count, 0)
    t.equal(answers, likelihood === 'classification' ? p.length : p.flat().length)
  })

  t.test(`${likelihood}: what metrics says, the report says`, async t => {
    const { p, y } = reference[likelihood]
    const prediction = { probabilities: matrix(p) }
    t.match(calibrationReport(likelihood, labelsOf(y), prediction), metrics(likelihood, labelsOf(y), prediction))
  })
}

t.test('regression: every score is that of scipy or of its definition', async t => {
  const { mean, variance, y, sigmaNoise, scores } = reference.regression
  const prediction = { mean: matrix(mean), variance: matrix(variance) }
  const report = calibrationReport('regression', matrix(y), prediction, { sigmaNoise })
  for (const name of ['nll', 'rmse', 'sharpness'] as const) t.ok(agrees(report[name], scores[name], 1e-12), name)
  t.ok(agrees(report.crps, scores.crps, 1e-9), 'crps by quadrature')
  t.ok(agrees(report.pit.kolmogorov, scores.kolmogorov, 1e-12))
  report.pit.histogram.forEach((share, i) => t.ok(agrees(share, scores.histogram[i], 1e-12), `bin ${i}`))
  report.intervals.forEach((interval, i) => {
    for (const name of ['level', 'coverage', 'width'] as const) {
      t.ok(agrees(interval[name], scores.intervals[i][name], 1e-12), `${name} at ${interval.level}`)
    }
  })
})

t.test('regression: covariances give the joint likelihood, one noise is that noise for every output', async t => {
  const { mean, y } = reference.regression
  const n = mean.length
  const covariance = float64([n, 2, 2], mean.flatMap(() => [0.4, 0.1, 0.1, 0.3]))
  const prediction = { mean: matrix(mean), covariance }
  const report = calibrationReport('regression', matrix(y), prediction, { sigmaNoise: 0.7 })
  const scores = metrics('regression', matrix(y), prediction, 0.7)
  t.equal(report.nllJointOutputs, scores['nllJointOutputs'])
  t.equal(report.nll, scores['nll'])
  t.same(calibrationReport('regression', matrix(y), prediction, { sigmaNoise: [0.7, 0.7] }), report)
})

t.test('scores of rows that are no data', async t => {
  const { ofData, ofOthers, auroc, fprAt95Tpr } = reference.outliers
  const probabilities = float64([1, 2], [0.5, 0.5])
  const y = tensor('int64', [1], [0])
  const report = calibrationReport('classification', y, { probabilities }, { outliers: { ofData, ofOthers } })
  t.ok(agrees(report.outliers!.auroc, auroc, 1e-12))
  t.ok(agrees(report.outliers!.fprAt95Tpr, fprAt95Tpr, 1e-12))
  t.notOk('outliers' in calibrationReport('classification', y, { probabilities }))
})

t.test('a report is plain data', async t => {
  const { p, y } = reference.classification
  const report = calibrationReport('classification', labelsOf(y), { probabilities: matrix(p) })
  t.strictSame(JSON.parse(JSON.stringify(report)), report)
})

t.test('a report refuses what it cannot score', async t => {
  const y = tensor('int64', [2], [0, 1])
  t.throws(() => calibrationReport('classification', y, { probabilities: float64([2, 2], [NaN, 1, 0, 1]) }), {
    code: 'NOT_FINITE',
  })
  t.throws(() => calibrationReport('classification', y, {}), { code: 'BAD_COMBINATION' })
  const mean = float64([2, 1], [0, 1])
  t.throws(() => calibrationReport('regression', y, { mean }, { sigmaNoise: [1, 2] }), { code: 'SHAPE_MISMATCH' })
  t.throws(() => calibrationReport('regression', y, { mean }, { sigmaNoise: [0] }), { code: 'BAD_OPTION' })
})

t.test('several outputs: each alone as if it were the only one', async t => {
  const { mean, variance, y } = reference.regression
  const noises = [0.7, 0.2]
  const scaled = (rows: readonly (readonly number[])[], power: number): number[][] =>
    rows.map(row => row.map((value, c) => value * 1000 ** (c * power)))
  const { byOutput, rmse } = calibrationReport('regression', matrix(scaled(y, 1)), { mean: matrix(scaled(mean, 1)),
    variance: matrix(scaled(variance, 2)) }, { sigmaNoise: [noises[0], 1000 * noises[1]] })
  noises.forEach((sigmaNoise, c) => {
    const column = (rows: readonly (readonly number[])[]): number[][] => rows.map(row => [row[c]])
    const own = calibrationReport('regression', matrix(column(y)), { mean: matrix(column(mean)),
      variance: matrix(column(variance)) }, { sigmaNoise })
    const unit = 1000 ** c
    t.equal(own.byOutput, undefined)
    t.ok(agrees(byOutput![c].nll, own.nll + Math.log(unit), 1e-9), `output ${c}`)
    for (const name of ['crps', 'rmse', 'sharpness'] as const) {
      t.ok(agrees(byOutput![c][name] / unit, own[name], 1e-9), `output ${c}: ${name}`)
    }
    t.same(byOutput![c].intervals.map(({ coverage }) => coverage), own.intervals.map(({ coverage }) => coverage))
  })
  t.ok(rmse > 100 * byOutput![0].rmse, 'the score over all is that of the largest')
})
