/** @file A model card in Markdown: what an exported posterior is, what it was fitted to, how well it is calibrated. */
import { comparedReports, type Comparison } from '../../core/laplace/compare.js'
import type { ExportedGraph } from '../../core/laplace/export-graph.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { type CalibrationReport, isNumberReport } from '../../core/metrics/index.js'
import { LIBRARY_VERSION } from '../../core/options/library-version.js'
import { hasNumbers } from '../../core/options/likelihood-kinds.js'
import type { Subset } from '../../core/options/words.js'
import { MEANINGS } from './output-meanings.js'

/** The subsets in words. */
export const SUBSETS: Readonly<Record<Subset, string>> = { all: 'all weights', last_layer: 'the last layer',
  subnetwork: 'a subnetwork' }

/** What a card is about. */
export interface CardSubject {
  readonly posterior: LaplacePosterior
  readonly exported: ExportedGraph
  /** Scores on rows that neither network nor posterior has seen. */
  readonly comparison: Comparison | undefined
  /** The names of the classes, in the order of the outputs. */
  readonly labels: readonly string[] | undefined
  /** Name of the model's file. */
  readonly file: string
  /** Name of the picture's file. */
  readonly picture: string
}

/** The card's text. */
export function modelCard(subject: CardSubject): string {
  const { posterior, exported, comparison, labels, file, picture } = subject
  const { likelihood, subset, structure, choice, conformal, examples, parameterCount } = posterior
  const coverage = posterior.measuredCoverage(exported.level)
  const facts: [string, string][] = [
    ['likelihood', likelihood],
    ...(labels === undefined ? [] : [['classes', labels.join(', ')] as [string, string]]),
    ['posterior', `${structure} over ${SUBSETS[subset]} (${parameterCount} weights)`],
    ['prior precision', numbers(posterior.priorPrecision)],
    ...(likelihood === 'regression' ? [['noise', numbers(posterior.sigmaNoise)] as [string, string]] : []),
    ['tuned by', posterior.tuned],
    ['training rows', String(examples)],
    ['inputs', posterior.inputs.map(({ name, columns }) => (columns === undefined ?
      `\`${name}\`` :
      `\`${name}\` (${columns.join(', ')})`)
    ).join(', ')],
    ['network', `\`${posterior.digest}\``],
    ['made by', `polylaplace ${LIBRARY_VERSION}`],
  ]
  return [
    `# ${file}`,
    '',
    'A trained neural network with its Laplace approximation, as one ONNX model: any ONNX runtime gives its ' +
    'predictions and how sure they are.',
    '',
    '## Outputs',
    '',
    markdownTable(['name', 'is'], exported.outputs.map(name => [`\`${name}\``, MEANINGS[name](exported.level)])),
    '',
    '## What it is',
    '',
    markdownTable(['', ''], facts),
    '',
    ...(choice === undefined ? [] : [choice.explanation, '']),
    '## How good it is',
    '',
    ...scores(comparison, posterior),
    ...(coverage === undefined ?
      [] :
      [
        `Coverage of the ${percent(coverage.level)} ${
          hasNumbers(likelihood) ? 'intervals' : 'sets'
        } (${coverage.interval}) on ${coverage.rows} rows ${
          coverage.rowsFrom === 'held out' ?
            'held out' :
            'of the training data, each left out'
        }: ${coverage.coverage.map(percent).join(', ')}.`,
        '',
      ]),
    ...(conformal === undefined ?
      [] :
      [`Calibrated by ${conformal.rows} rows (${conformal.kind}, ${conformal.score}).`, '']),
    ...(comparison === undefined ? [] : [`![Calibration](${picture})`, '']),
    ...(posterior.notes.length === 0 ? [] : ['## Notes', '', ...posterior.notes.map(note => `- ${note}`), '']),
  ].join('\n')
}

function scores(comparison: Comparison | undefined, { training, likelihood }: LaplacePosterior): string[] {
  if (comparison === undefined) {
    if (training === undefined) return ['No rows were given to measure it on.', '']
    const { network, posterior } = training
    const names = hasNumbers(likelihood) ? ['nll', 'rmse'] : ['nll', 'accuracy']
    const of = (own: object | undefined, name: string): string =>
      number((own as Record<string, number> | undefined)?.[name])
    return [`On the ${training.rows} rows of the fit (a network has learnt them; rows that it has not seen say more):`,
      '',
      markdownTable(['', 'network', 'posterior'], names.map(name => [name, of(network, name), of(posterior, name)])),
      '']
  }
  const shown = comparedReports(comparison).map(({ name, report }) => ({ name, lines: linesOf(report) }))
  return [`On ${comparison.rows} rows that it was given to be measured on:`, '',
    markdownTable(['', ...shown.map(({ name }) => name)],
      shown[0].lines.map(([name], i) => [name, ...shown.map(({ lines }) => lines[i][1])])), '']
}

function linesOf(report: CalibrationReport): [string, string][] {
  if (isNumberReport(report)) {
    return [['NLL', number(report.nll)], ['CRPS', number(report.crps)], ['RMSE', number(report.rmse)],
      ...report.intervals.map((
        { level, coverage },
      ): [string, string] => [`${percent(level)} intervals cover`, percent(coverage)])]
  }
  return [['NLL', number(report.nll)], ['Brier', number(report.brier)], ['accuracy', percent(report.accuracy)], ['ECE',
    number(report.ece)]]
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`

function number(value: number | undefined): string {
  return value === undefined ? '-' : String(Number(value.toPrecision(4)))
}

function numbers(value: number | Float64Array): string {
  if (typeof value === 'number') return number(value)
  const shown = Array.from(value.subarray(0, 8), number).join(', ')
  return value.length > 8 ? `${shown}, ... (${value.length} numbers)` : shown
}

const SIZE = 320
const EDGE = 40

/** Said against measured: confidence and share of right answers, or levels of intervals and their coverage, as SVG. */
export function calibrationPicture({ network, posterior }: Comparison): string {
  const plot = SIZE - 2 * EDGE
  const place = (said: number, measured: number): string =>
    `${(EDGE + plot * said).toFixed(1)},${(SIZE - EDGE - plot * measured).toFixed(1)}`
  const curve = (report: CalibrationReport, colour: string): string => {
    const points = pointsOf(report)
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${
      points.map(([said, measured]) => place(said, measured)).join(' ')
    }"/>` + points.map(([said, measured]) => {
      const [x, y] = place(said, measured).split(',')
      return `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`
    }).join('')
  }
  const regression = isNumberReport(posterior)
  const label = (x: number, y: number, text: string, more = ''): string =>
    `<text x="${x}" y="${y}" font-family="sans-serif" font-size="12" fill="#777" text-anchor="middle"${more}>` +
    `${text}</text>`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE} ${SIZE}" role="img" aria-label="Calibration">`,
    `<rect x="${EDGE}" y="${EDGE}" width="${plot}" height="${plot}" fill="none" stroke="#999"/>`,
    `<line x1="${EDGE}" y1="${SIZE - EDGE}" x2="${SIZE - EDGE}" y2="${EDGE}" stroke="#999" stroke-dasharray="4 4"/>`,
    curve(network, '#999999'),
    curve(posterior, '#1f77b4'),
    label(SIZE / 2, SIZE - 10, regression ? 'level of the interval' : 'confidence'),
    label(14, SIZE / 2, regression ? 'coverage' : 'share of right answers', ` transform="rotate(-90 14 ${SIZE / 2})"`),
    label(SIZE / 2, 24, 'grey: network, blue: posterior; on the diagonal: calibrated'),
    '</svg>',
    '',
  ].join('\n')
}

function pointsOf(report: CalibrationReport): (readonly [said: number, measured: number])[] {
  return isNumberReport(report)
    ? report.intervals.map(({ level, coverage }) => [level, coverage] as const)
    : report.reliability.map(({ confidence, accuracy }) => [confidence, accuracy] as const)
}
