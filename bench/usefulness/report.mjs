/**
 * @file The tables of docs/usefulness.md and the first of the README, between the comments that mark them; all other
 * text is written by hand.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { markdownTable, replaceTable } from '../format.mjs'
import { COLUMNS } from './answers.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = join(root, 'docs/usefulness.md')
const README = join(root, 'README.md')
/** Groups by number of classes and training, with the goal of the NLL over the network's. */
const GROUPS = [
  { name: 'two classes, calm', goal: 0.85, has: ({ classes, calm }) => classes === 2 && calm },
  { name: 'two classes, overfitted', goal: 0.48, has: ({ classes, calm }) => classes === 2 && !calm },
  { name: 'more classes, calm', goal: 0.82, has: ({ classes, calm }) => classes > 2 && calm },
  { name: 'more classes, overfitted', goal: 0.77, has: ({ classes, calm }) => classes > 2 && !calm },
]
const NOTABLY = 1.05
const ALL = ['network', ...COLUMNS]

/**
 * Writes the page and the README's table, a quick run's page beside the results; returns the page's path.
 * @param asked whether laplace-torch itself has answered
 */
export async function writeUsefulness(records, kind, asked) {
  const summary = summaryTable(records)
  const tables = { summary, nll: nllTable(records), peer: peerSentence(asked), scores: scoresTable(records),
    regression: regressionTable(records), goals: goalsTable(records), worst: worstTable(records) }
  let page = await readFile(PAGE, 'utf8')
  for (const [name, table] of Object.entries(tables)) page = replaceTable(page, name, table)
  const target = kind === 'full' ? PAGE : join(root, 'bench/results/usefulness/usefulness.md')
  await writeFile(target, page)
  if (kind === 'full') {
    await writeFile(README, replaceTable(await readFile(README, 'utf8'), 'usefulness', summary))
  }
  return target
}

function peerSentence(asked) {
  const how = asked
    ? 'These are the answers of laplace-torch itself.'
    : 'laplace-torch was not installed in this run: these are the answers of the same posterior, computed here.'
  return `*laplace-torch's default*: last layer, Kronecker factors, prior by the marginal likelihood, probit. ${how}`
}

/** The records of each table and kind of training: a cell, over its splits. */
function cellsOf(records) {
  const cells = new Map()
  for (const record of records) {
    const key = `${record.table}, ${record.kind}`
    cells.set(key, [...cells.get(key) ?? [], record])
  }
  return [...cells.entries()]
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Geometric mean over its splits of a cell's NLL over the network's; undefined where something failed. */
function ratioOf(cell, column) {
  const logs = cell.map(({ answers }) => Math.log(answers[column].nll / Math.max(answers.network.nll, 1e-6)))
  return logs.every(Number.isFinite) ? Math.exp(mean(logs)) : undefined
}

function ratiosOf(records, group, column) {
  return cellsOf(records.filter(group.has)).map(([, cell]) => ratioOf(cell, column)).filter(r => r !== undefined)
}

function geometricMean(values) {
  return Math.exp(mean(values.map(Math.log)))
}

/** A score of every cell: its mean over the splits, of which a small table has more. */
function scoresOf(records, column, score) {
  return cellsOf(records).map(([, cell]) => cell.map(({ answers }) => answers[column][score]).filter(Number.isFinite))
    .filter(values => values.length > 0).map(mean)
}

function meanOf(records, column, score) {
  const values = scoresOf(records, column, score)
  return values.length === 0 ? undefined : mean(values)
}

function medianOf(records, column, score) {
  const values = scoresOf(records, column, score).sort((a, b) => a - b)
  return values[values.length >> 1]
}

function text(value, digits = 2) {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits)
}

/** The README's first table: one row a group, the network beside the posterior with no option set. */
function summaryTable(records) {
  const rows = GROUPS.map(group => {
    const own = records.filter(group.has)
    const pair = (score, digits) =>
      ['network', 'no option'].map(column => text(meanOf(own, column, score), digits)).join(' → ')
    const ratios = ratiosOf(records, group, 'no option')
    return [group.name, pair('nll'), text(geometricMean(ratios)), `${harmedIn(ratios)} of ${ratios.length}`,
      pair('ece'), pair('accuracy', 3), pair('auroc')]
  })
  const regression = records.filter(({ classes }) => classes === 0)
  const covered = ['network', 'no option'].map(column => text(meanOf(regression, column, 'coverage90'))).join(' → ')
  const nll = ['network', 'no option'].map(column => text(medianOf(regression, column, 'nll'))).join(' → ')
  const table = markdownTable(['networks', 'NLL', "NLL over the network's", 'worse by 5 %', 'calibration error',
    'accuracy', 'AUROC, permuted columns'], rows)
  return `${table}\n\nRegression: 90 % intervals cover ${covered}, median NLL ${nll}.`
}

function harmedIn(ratios) {
  return ratios.filter(ratio => ratio > NOTABLY).length
}

function nllTable(records) {
  return markdownTable(["NLL over the network's (cells worse by 5 %)", 'cells', ...COLUMNS], GROUPS.map(group => [
    group.name,
    String(cellsOf(records.filter(group.has)).length),
    ...COLUMNS.map(column => {
      const ratios = ratiosOf(records, group, column)
      return ratios.length === 0 ? '' : `${text(geometricMean(ratios))} (${harmedIn(ratios)})`
    }),
  ]))
}

function scoresTable(records) {
  const scores = [['accuracy', 'accuracy', 3], ['ece', 'calibration error', 3], ['brier', 'Brier', 3], ['auroc',
    'AUROC, confidence', 2], ['novelty', 'AUROC, novelty', 2]]
  return markdownTable(['', '', ...ALL],
    GROUPS.flatMap(group =>
      scores.map(([score, name, digits], i) => [i === 0 ? group.name : '', name, ...ALL.map(column =>
        text(meanOf(records.filter(group.has), column, score), digits)
      )])
    ))
}

function regressionTable(records) {
  const scores = [['coverage50', '50 % intervals cover'], ['coverage90', '90 %'], ['coverage95', '95 %'], ['width90',
    'width of 90 %'], ['nll', 'NLL, median'], ['crps', 'CRPS'], ['rmse', 'RMSE']]
  const regressions = records.filter(({ classes }) => classes === 0)
  const names = ALL.map(column =>
    column === 'network'
      ? 'network, noise of training'
      : column === 'temperature'
      ? 'network, noise of held-out rows'
      : column
  )
  return markdownTable(['', ...names], scores.map((
    [score, name],
  ) => [name, ...ALL.map(column => text((score === 'nll' ? medianOf : meanOf)(regressions, column, score)))]))
}

function goalsTable(records) {
  const word = met => (met ? 'met' : 'not met')
  const rows = GROUPS.map(group => {
    const value = geometricMean(ratiosOf(records, group, 'no option'))
    return [`NLL over the network's, ${group.name}: at most ${text(group.goal)}`, word(value <= group.goal),
      text(value)]
  })
  const bad = harmedIn(GROUPS.flatMap(group => ratiosOf(records, group, 'no option')))
  rows.push(['no cell worse by 5 %', word(bad === 0), String(bad)])
  for (const score of ['accuracy', 'auroc']) {
    const falls = GROUPS.map(group =>
      meanOf(records.filter(group.has), 'no option', score) - meanOf(records.filter(group.has), 'network', score)
    )
    rows.push([`${score === 'auroc' ? 'AUROC of the confidence' : score} not below the network's in any group`,
      word(falls.every(change => change > -5e-4)), falls.map(change =>
        `${change < 0 ? '' : '+'}${text(change, 3)}`
      ).join(' ')])
  }
  const cells = cellsOf(records.filter(({ classes }) => classes === 0)).map(([, cell]) =>
    meanOf(cell, 'no option', 'coverage90')
  )
  const inside = cells.filter(value => value >= 0.85 && value <= 0.95).length
  rows.push(['regression: 90 % intervals cover .87 to .93', word(mean(cells) >= 0.87 && mean(cells) <= 0.93),
    text(mean(cells), 3)], ['.85 to .95 in four cells of five', word(inside >= 0.8 * cells.length),
    `${inside} of ${cells.length}`], ['below .80 in none', word(Math.min(...cells) >= 0.8), text(Math.min(...cells))])
  const failed = records.filter(({ answers }) => answers['no option'].error !== undefined).length
  rows.push(['every fit ends in a posterior', word(failed === 0), String(records.length - failed)])
  return markdownTable(['goal, no option set', '', 'measured'], rows)
}

/** Where it helps least: the cells of classification by their ratio. */
function worstTable(records) {
  const columns = ['no option', 'last layer', 'temperature', 'ensemble of five']
  const rows = cellsOf(records.filter(({ classes }) => classes > 0)).map(([name, cell]) => ({
    name,
    ratios: columns.map(column => ratioOf(cell, column)),
    nll: ['network', 'no option'].map(column => meanOf(cell, column, 'nll')),
  })).filter(({ ratios: [ratio] }) => ratio !== undefined).sort((a, b) => b.ratios[0] - a.ratios[0]).slice(0, 10)
  return markdownTable(['table and training', ...columns, 'NLL of the network', 'with no option'], rows.map((
    { name, ratios, nll },
  ) => [name, ...ratios.map(ratio => text(ratio)), ...nll.map(value => text(value, 3))]))
}
