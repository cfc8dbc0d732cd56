/** @file The report of a posterior: what was fitted, how it does on rows that it has not seen, where it is unsure. */
import type { PosteriorSummary } from '../core/answer/posterior-summary.js'
import type { WorkOptions } from '../core/budget/progress.js'
import { textOption, textsOption } from '../core/errors/demand.js'
import { knownOptions } from '../core/errors/suggest.js'
import type { Comparison } from '../core/laplace/compare.js'
import type { Figures, UncertainRow } from '../core/laplace/figures.js'
import type { LaplacePosterior } from '../core/laplace/laplace-posterior.js'
import { isNumberReport } from '../core/metrics/calibration-report.js'
import type { Examples } from '../core/tensor/examples.js'
import type { Tensor } from '../core/tensor/tensor.js'
import { type Chart, charts } from './charts.js'
import { loadDraw } from './draw.js'
import { formatCount, formatNumber, formatRows, percent } from './numbers.js'
import { htmlTable, notes, page, paragraphs, pictures, type Section } from './page.js'
import { scoreTable, temperatureText } from './scores.js'

/** What a report may be given beside rows and labels. */
export interface ReportOptions {
  /** Rows that are no data, without labels; by default the rows with every column shuffled by itself. */
  readonly outliers?: Examples | undefined
  /** Names of the classes, in the order of the outputs. */
  readonly classes?: readonly string[] | undefined
  readonly title?: string | undefined
}

const REPORT_OPTIONS: readonly (keyof ReportOptions)[] = ['outliers', 'classes', 'title']

/** Standard deviations of more weights than this are left out of the table of tensors. */
const MOST_WEIGHTS = 1e6

/**
 * One self-contained HTML page about a posterior on rows that neither the network nor the fit has seen.
 * @throws ResourceError MISSING_DEPENDENCY without Vega-Lite; ShapeError, DataError, CancelledError
 * @example
 * await writeFile('report.html', await report(posterior, xTest, yTest))
 */
export async function report(posterior: LaplacePosterior, x: Examples, y: Tensor, options: ReportOptions = {},
  work: WorkOptions = {}): Promise<string> {
  knownOptions('report', options, REPORT_OPTIONS)
  textOption('title', options.title)
  textsOption('classes', options.classes)
  const { outliers, classes, title = 'How sure is this network?' } = options
  const draw = await loadDraw()
  const summary = posterior.summary()
  const figures = await posterior.figures(x, y, { outliers }, work)
  const drawn = []
  for (const chart of charts(figures, summary.choice?.leaveOneOut ?? [])) drawn.push(await withSvg(chart, draw))
  return page(title, lead(summary, figures.comparison), sections(posterior, summary, figures, classes, drawn),
    `polylaplace; network ${
      summary.digest.slice(0, 16)
    }, seed ${summary.seed}, ${summary.precision}, ${summary.engine}`)
}

type Drawn = Chart & { readonly svg: string }

const withSvg = async (chart: Chart, draw: Awaited<ReturnType<typeof loadDraw>>): Promise<Drawn> => ({ ...chart,
  svg: await draw(chart.spec) })

function sections(posterior: LaplacePosterior, summary: PosteriorSummary, figures: Figures,
  classes: readonly string[] | undefined, drawn: readonly Drawn[]): Section[] {
  const { choice, notes: said } = summary
  return [
    ...(said.length === 0 ? [] : [{ title: 'Mind', html: notes(said) }]),
    { title: 'On rows that it has not seen', html: comparisonTable(figures.comparison) + outlierText(figures) },
    { title: 'Pictures', html: pictures(drawn) },
    ...(choice === undefined
      ? []
      : [{ title: 'What was chosen, and why', html: paragraphs([choice.reason, choice.explanation]) }]),
    { title: 'What was fitted', html: htmlTable([['', ''], ...facts(summary)]) },
    { title: 'The least certain rows', html: uncertainRows(figures.mostUncertain, classes) },
    { title: 'Weights', html: htmlTable([['tensor', 'shape', 'weights', 'mean sd'], ...tensors(posterior, summary)]) },
  ]
}

/** In one sentence: network beside posterior. */
function lead({ likelihood }: PosteriorSummary, { network, posterior, rows }: Comparison): string {
  const scores = `NLL ${formatNumber(network.nll)} of the network, ${formatNumber(posterior.nll)} of the posterior`
  const more = isNumberReport(network) || isNumberReport(posterior)
    ? ''
    : `; it answers ${percent(posterior.accuracy)} rightly, the network ${percent(network.accuracy)}`
  return `A ${likelihood} network on ${formatRows(rows)} that it has not seen: ${scores}${more}.`
}

function comparisonTable(comparison: Comparison): string {
  const temperature = temperatureText(comparison)
  return htmlTable(scoreTable(comparison)) + (temperature === undefined ? '' : paragraphs([temperature]))
}

function outlierText({ comparison: { outliers = [] }, othersGiven }: Figures): string {
  if (outliers.length === 0) return ''
  const what = othersGiven ? 'the rows that are no data' : 'the same rows with every column shuffled by itself'
  return paragraphs([`How well they are told from ${what}:`]) +
    htmlTable([['', 'AUROC', 'FPR at 95 % TPR'], ...outliers.map((
      { of, auroc, fprAt95Tpr },
    ) => [of === 'novelty' ? of : `doubt of the ${of}`, auroc.toFixed(3), percent(fprAt95Tpr)])])
}

const range = (values: ArrayLike<number>): string => {
  const all = Array.from(values)
  const [low, high] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))]
  return low === high ? formatNumber(low) : `${formatNumber(low)} to ${formatNumber(high)}`
}

function facts(summary: PosteriorSummary): [string, string][] {
  const { sigmaNoise, training } = summary
  return [
    ['likelihood', summary.likelihood],
    ['weights',
      `${formatCount(summary.parameterCount)} (${summary.subset}), ${summary.structure}, ${summary.curvature}`],
    ['examples', formatCount(summary.examples)],
    ['prior precision', `${range(summary.priorPrecision)}, tuned by ${summary.tuned}`],
    ...(summary.likelihood === 'regression'
      ? [['noise', range(typeof sigmaNoise === 'number' ? [sigmaNoise] : sigmaNoise)] as [string, string]]
      : []),
    ['log marginal likelihood', formatNumber(summary.logMarginalLikelihood, 6)],
    ['log likelihood', formatNumber(summary.logLikelihood, 6)],
    ...(training?.leaveOneOutNll === undefined
      ? []
      : [['leave-one-out NLL', formatNumber(training.leaveOneOutNll)] as [string, string]]),
  ]
}

function uncertainRows(rows: readonly UncertainRow[], classes: readonly string[] | undefined): string {
  const name = (value: number | undefined): string => value === undefined ? '' : classes?.[value] ?? String(value)
  const answered = rows.some(({ answer }) => answer !== undefined)
  const novel = rows.some(({ novelty }) => novelty !== undefined)
  const body = rows.map((
    { row, doubt, answer, truth, novelty },
  ) => [formatCount(row + 1), formatNumber(doubt, 3), ...(answered ? [name(answer), name(truth)] : []),
    ...(novel ? [novelty === undefined ? '' : formatNumber(novelty, 3)] : [])]
  )
  return htmlTable([['row', 'doubt', ...(answered ? ['answer', 'truth'] : []), ...(novel ? ['novelty'] : [])],
    ...body]) +
    paragraphs(['Rows are counted from 1. Doubt is one less the confidence; for numbers, the predictive variance.'])
}

function tensors(posterior: LaplacePosterior, { parameters, parameterCount }: PosteriorSummary): string[][] {
  // P, or C P where each output has a posterior of its own: means are over these too.
  const deviations = parameterCount <= MOST_WEIGHTS ? posterior.marginals().variances.map(Math.sqrt) : undefined
  let at = 0
  return parameters.map(({ name, shape, size }) => {
    let sum = 0
    for (let start = at; deviations !== undefined && start < deviations.length; start += parameterCount) {
      for (let i = start; i < start + size; i++) sum += deviations[i] / (size * deviations.length / parameterCount)
    }
    at += size
    const sd = deviations === undefined ? '' : formatNumber(sum, 3)
    return [name, shape.join(' x '), formatCount(size), sd]
  })
}
