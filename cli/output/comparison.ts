/** @file The scores of network, temperature scaling and posterior as one table. */
import type { Comparison } from '../../core/laplace/compare.js'
import type { OutlierReport } from '../../core/laplace/outlier-reports.js'
import { formatRows, percent } from '../../report/numbers.js'
import { scoreTable, temperatureText } from '../../report/scores.js'
import { table, wrap } from './table.js'

/** Of text, which is indented by two. */
const WIDTH = 78

/** The table, and where the temperature comes from. */
export function comparisonTable(comparison: Comparison): string {
  const temperature = temperatureText(comparison)
  return `${formatRows(comparison.rows)}\n\n${table(scoreTable(comparison))}\n` +
    (temperature === undefined ? '' : `\n${wrap(temperature, WIDTH).map(line => `  ${line}\n`).join('')}`)
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
