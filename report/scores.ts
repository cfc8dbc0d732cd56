/** @file Every score of a report by name, in the order in which they are read. */
import type { CalibrationReport } from '../core/metrics/index.js'
import { formatNumber, percent } from './numbers.js'

/** One line of the table: a score's name, and its text in a report. */
export type ScoreLine = readonly [name: string, text: string]

/** The scores that there are for a likelihood. */
export function scoreLines(report: CalibrationReport): ScoreLine[] {
  if (report.likelihood === 'regression') {
    const { nll, crps, rmse, sharpness, intervals, pit } = report
    return [
      ['NLL', formatNumber(nll)],
      ['CRPS', formatNumber(crps)],
      ['RMSE', formatNumber(rmse)],
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
