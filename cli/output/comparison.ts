/** @file The scores of network, temperature scaling and posterior as one table. */
import type { Comparison } from '../../core/laplace/compare.js'
import type { OutlierReport } from '../../core/laplace/outlier-reports.js'
import type { CalibrationReport } from '../../core/metrics/index.js'
import { formatCount, formatNumber, table } from './table.js'

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

/** One line of the table: a score's name, and its text in a report. */
type Line = readonly [name: string, text: string]

/** Every score of a report by name, in the order in which they are read. */
function lines(report: CalibrationReport): Line[] {
  if (report.likelihood === 'regression') {
    const { nll, crps, rmse, sharpness, intervals, pit } = report
    return [
      ['NLL', formatNumber(nll)],
      ['CRPS', formatNumber(crps)],
      ['RMSE', formatNumber(rmse)],
      ...intervals.flatMap(({ level, coverage, width }): Line[] => [
        [`${formatNumber(100 * level)} % intervals cover`, percent(coverage)],
        [`${formatNumber(100 * level)} % intervals, width`, formatNumber(width)],
      ]),
      ['sharpness (mean sd)', formatNumber(sharpness)],
      ['PIT, distance from uniform', formatNumber(pit.kolmogorov)],
    ]
  }
  const { nll, brier, ece, adaptiveEce, classWiseEce, smoothEce, accuracy, aurc, coverageAtRisk } = report
  return [
    ['NLL', formatNumber(nll)],
    ['Brier', formatNumber(brier)],
    ['accuracy', percent(accuracy)],
    ['ECE', formatNumber(ece)],
    ['ECE, adaptive', formatNumber(adaptiveEce)],
    ['ECE, class-wise', formatNumber(classWiseEce)],
    ['ECE, smooth', formatNumber(smoothEce)],
    ['risk-coverage area', formatNumber(aurc)],
    ...coverageAtRisk.map((
      { risk, coverage },
    ): Line => [`answered at ${formatNumber(100 * risk)} % risk`, percent(coverage)]),
  ]
}

/** The table, and where the temperature comes from. */
export function comparisonTable(
  { network, temperature, posterior, temperatureFrom, temperatureValue, rows }: Comparison,
): string {
  const reports = [['network', network], ['temperature scaling', temperature], ['posterior', posterior]] as const
  const shown = reports.flatMap(([name, report]) => (report === undefined ? [] : [{ name, lines: lines(report) }]))
  const body = shown[0].lines.map(([name], i) => [name, ...shown.map(column => column.lines[i][1])])
  return `${formatCount(rows)} rows\n\n${table([['', ...shown.map(({ name }) => name)], ...body])}\n` +
    (temperatureFrom === undefined || temperatureValue === undefined
      ? ''
      : `\n  T = ${formatNumber(temperatureValue)}, ${
        temperatureFrom === 'validation'
          ? 'fitted to the held-out rows of the fit.'
          : 'fitted to half of these rows and scored on the other half.'
      }\n`)
}

const DOUBTS: Readonly<Record<OutlierReport['of'], string>> = {
  network: 'confidence of the network',
  temperature: 'confidence by temperature scaling',
  posterior: 'confidence (or variance) of the posterior',
  novelty: 'novelty',
}

/** How well rows that are no data are told from data. */
export function outlierTable(reports: readonly OutlierReport[]): string {
  return `\nRows that are no data, told by\n\n${
    table([['', 'AUROC', 'FPR at 95 % TPR'],
      ...reports.map(({ of, auroc, fprAt95Tpr }) => [DOUBTS[of], auroc.toFixed(3), percent(fprAt95Tpr)])])
  }\n`
}
