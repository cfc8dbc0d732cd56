/** @file Every score of a report by name, in the order in which they are read. */
import { comparedReports, type Comparison } from '../core/laplace/compare.js'
import { type CalibrationReport, isNumberReport, type NumberReport } from '../core/metrics/index.js'
import { formatNumber, percent } from './numbers.js'

/** One line of the table: a score's name, and its text in a report. */
export type ScoreLine = readonly [name: string, text: string]

/** Outputs that the table has lines for; the scores of more are in JSON and in every language. */
const MOST_OUTPUTS = 10
/** The level of the intervals that the lines of an output have. */
const OUTPUT_LEVEL = 0.9

function numberLines({ nll, crps, rmse, deviance, sharpness, intervals, pit }: NumberReport): ScoreLine[] {
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

/** The lines of one of several outputs, counted from 0. */
function outputLines({ intervals, ...report }: NumberReport, output: number): ScoreLine[] {
  const chosen = { ...report, intervals: intervals.filter(({ level }) => level === OUTPUT_LEVEL) }
  return numberLines(chosen).map(([name, text]) => [`output ${output}: ${name}`, text])
}

/** The scores that there are for a likelihood. */
function scoreLines(report: CalibrationReport): ScoreLine[] {
  if (isNumberReport(report)) {
    return [...numberLines(report), ...(report.byOutput ?? []).slice(0, MOST_OUTPUTS).flatMap(outputLines)]
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
