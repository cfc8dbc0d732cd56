/** @file Every score of a report by name, in the order in which they are read. */
import { comparedReports, type Comparison } from '../core/laplace/compare.js'
import { type CalibrationReport, isNumberReport } from '../core/metrics/index.js'
import { formatNumber, percent } from './numbers.js'

/** One line of the table: a score's name, and its text in a report. */
export type ScoreLine = readonly [name: string, text: string]

/** The scores that there are for a likelihood. */
function scoreLines(report: CalibrationReport): ScoreLine[] {
  if (isNumberReport(report)) {
    const { nll, crps, rmse, deviance, sharpness, intervals, pit } = report
    return [
      ['NLL', formatNumber(nll)],
      ['CRPS', formatNumber(crps)],
      ['RMSE', formatNumber(rmse)],
      ...(deviance === undefined ? [] : [['deviance', formatNumber(deviance)] as const]),
      ...intervals.flatMap(({ level, coverage, width }): ScoreLine[] => [
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
    ): ScoreLine => [`answered at ${formatNumber(100 * risk)} % risk`, percent(coverage)]),
  ]
}

/** All scores of a comparison as cells, a column each; the first row is the heading. */
export function scoreTable(comparison: Comparison): string[][] {
  const columns = comparedReports(comparison).map(({ name, report }) => ({ name, lines: scoreLines(report) }))
  return [['', ...columns.map(({ name }) => name)],
    ...columns[0].lines.map(([name], i) => [name, ...columns.map(({ lines }) => lines[i][1])])]
}

/** What the temperature is, and what it was fitted to; undefined where there is none. */
export function temperatureText(
  { temperatureFrom, temperatureValue, temperatureNote }: Comparison,
): string | undefined {
  if (temperatureFrom === undefined || temperatureValue === undefined) return undefined
  const source = temperatureFrom === 'validation'
    ? 'fitted to the held-out rows of the fit.'
    : 'fitted to these rows; each tenth is scored with the temperature of the others.'
  return [`T = ${formatNumber(temperatureValue)}, ${source}`, temperatureNote ?? ''].join(' ').trim()
}
