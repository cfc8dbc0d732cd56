/** @file The scores of network, temperature scaling and posterior as one table. */
import type { Comparison } from '../../core/laplace/compare.js'
import type { OutlierReport } from '../../core/laplace/outlier-reports.js'
import { formatCount, formatNumber, percent } from '../../report/numbers.js'
import { scoreLines } from '../../report/scores.js'
import { table } from './table.js'

/** The table, and where the temperature comes from. */
export function comparisonTable(
  { network, temperature, posterior, temperatureFrom, temperatureValue, rows }: Comparison,
): string {
  const reports = [['network', network], ['temperature scaling', temperature], ['posterior', posterior]] as const
  const shown = reports.flatMap(([name, report]) => (report === undefined ? [] : [{ name, lines: scoreLines(report) }]))
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
