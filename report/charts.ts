/** @file The pictures of a report as Vega-Lite specifications; colours are variables of the page, light and dark. */
import type { TopLevelSpec } from 'vega-lite'
import { type ComparedReport, comparedReports } from '../core/laplace/compare.js'
import type { CertaintyHistograms, Figures, PriorCurve, ResidualPoints } from '../core/laplace/figures.js'
import { type CalibrationReport, isNumberReport } from '../core/metrics/calibration-report.js'
import type { Histogram } from '../core/metrics/histogram.js'
import type { LeaveOneOutScore } from '../core/tuning/choice.js'

/** A picture with its words. */
export interface Chart {
  readonly title: string
  /** What it shows, and how it looks where all is well. */
  readonly caption: string
  readonly spec: TopLevelSpec
}

type Row = Readonly<Record<string, number | string>>

const COLOURS: Readonly<Record<string, string>> = { network: 'var(--network)', temperature: 'var(--temperature)',
  posterior: 'var(--posterior)' }

const CONFIG = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  view: { stroke: 'transparent' },
  axis: { labelColor: 'var(--soft)', titleColor: 'var(--soft)', gridColor: 'var(--line)', domainColor: 'var(--line)',
    tickColor: 'var(--line)', titleFontWeight: 'normal', labelFontSize: 11, titleFontSize: 11 },
  legend: { labelColor: 'var(--ink)', orient: 'top', title: null, labelFontSize: 11, symbolStrokeWidth: 3 },
} as const

/** Every picture that there is something for. */
export function charts(figures: Figures, leaveOneOut: readonly LeaveOneOutScore[]): Chart[] {
  return [...calibration(figures), ...figures.certainty.map(item => certainty(item, figures)),
    ...(figures.riskCoverage === undefined ? [] : [riskCoverage(figures.riskCoverage)]),
    ...(figures.residuals === undefined ? [] : [residuals(figures.residuals)]),
    ...(figures.prior === undefined ? [] : [evidence(figures.prior)]),
    ...(leaveOneOut.length < 2 ? [] : [leftOut(leaveOneOut)])]
}

/** All histograms of certainty side by side, with words of their own for the two kinds of rows. */
export function certaintyStrip(figures: Figures, words: RowWords): TopLevelSpec {
  const hconcat = figures.certainty.map(item => {
    const { title, spec } = certainty(item, figures, words)
    return { ...spec, config: undefined, width: 220, height: 150,
      title: { text: title, color: 'var(--ink)', anchor: 'start' } }
  })
  return { config: CONFIG, hconcat } as unknown as TopLevelSpec
}

/** What the rows of data and the others are called in a legend. */
interface RowWords {
  readonly data: string
  readonly others: string
}

type Layers = readonly Record<string, unknown>[]

/** One picture of layers over the same data. */
function layered(values: readonly Row[], layer: Layers): TopLevelSpec {
  // The layers are plain JSON; the library's types of them take longer to check than they save.
  return { data: { values }, width: 300, height: 190, config: CONFIG, layer } as unknown as TopLevelSpec
}

const axis = (field: string, title: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({ field,
  type: 'quantitative', title, ...more })

/** One colour a name, in the order in which they come. */
function colour(field: string, names: readonly string[],
  range = names.map(name => COLOURS[name] ?? 'var(--ink)')): Record<string, unknown> {
  return { field, type: 'nominal', scale: { domain: names, range } }
}

const unit = { scale: { domain: [0, 1] }, axis: { format: '.0%', tickCount: 5 } }
const diagonal = {
  data: { values: [{ x: 0, y: 0 }, { x: 1, y: 1 }] },
  mark: { type: 'line', strokeDash: [4, 4], color: 'var(--soft)', strokeWidth: 1 },
  encoding: { x: { field: 'x', type: 'quantitative' }, y: { field: 'y', type: 'quantitative' } },
}

function calibration({ comparison }: Figures): Chart[] {
  const reports = comparedReports(comparison)
  const [{ report }] = reports
  return isNumberReport(report) ? [intervals(reports), pit(comparison.posterior)] : [reliability(reports)]
}

type Reports = readonly ComparedReport[]

function reliability(reports: Reports): Chart {
  const values = reports.flatMap(({ of, report }) =>
    isNumberReport(report)
      ? []
      : report.reliability.map(({ confidence, accuracy, count }) => ({ of, confidence, accuracy, count }))
  )
  const encoding = { x: axis('confidence', 'confidence', unit), y: axis('accuracy', 'share of right answers', unit),
    color: colour('of', reports.map(({ of }) => of)) }
  return {
    title: 'Reliability',
    caption: 'Answers in bins of their confidence. On the dashed line confidence is what it says; below it the answers '
      + 'are less often right than they claim.',
    spec: layered(values, [diagonal, { mark: { type: 'line', strokeWidth: 2 }, encoding }, {
      mark: { type: 'point', filled: true, opacity: 0.8 },
      encoding: { ...encoding, size: axis('count', '', { legend: null, scale: { range: [20, 220] } }) },
    }]),
  }
}

function intervals(reports: Reports): Chart {
  const values = reports.flatMap(({ of, report }) =>
    isNumberReport(report) ? report.intervals.map(({ level, coverage }) => ({ of, level, coverage })) : []
  )
  const encoding = { x: axis('level', 'level of the intervals', unit),
    y: axis('coverage', 'share of the truth inside', unit), color: colour('of', reports.map(({ of }) => of)) }
  return {
    title: 'Coverage of the intervals',
    caption: 'On the dashed line intervals hold as much of the truth as they promise; below it they are too narrow.',
    spec: layered(values, [diagonal, { mark: { type: 'line', strokeWidth: 2, point: true }, encoding }]),
  }
}

function pit(report: CalibrationReport): Chart {
  const shares = isNumberReport(report) ? report.pit.histogram : []
  return {
    title: 'Where the truth lies in its prediction (PIT)',
    caption: 'Even bars are right; a U tells of intervals too narrow, a hump of too wide ones, a slope of a bias.',
    spec: layered(bars({ from: 0, to: 1, shares }, 'posterior'), [
      { mark: { type: 'bar', color: 'var(--posterior)', opacity: 0.8 },
        encoding: { x: axis('from', 'PIT', { ...unit, bin: 'binned' }), x2: { field: 'to' },
          y: axis('share', 'share of rows', { axis: { format: '.0%' } }) } },
      { mark: { type: 'rule', strokeDash: [4, 4], color: 'var(--soft)' },
        encoding: { y: { datum: 1 / shares.length } } },
    ]),
  }
}

const bars = ({ from, to, shares }: Histogram, rows: string): Row[] =>
  shares.map((share, i) => ({ rows, share, from: from + (to - from) * i / shares.length,
    to: from + (to - from) * (i + 1) / shares.length })
  )

function certainty({ of, data, others }: CertaintyHistograms, { comparison, othersGiven }: Figures,
  words: RowWords = { data: 'data', others: 'others' }): Chart {
  const regression = isNumberReport(comparison.posterior)
  const measure = of === 'novelty' ? 'novelty (p-value)' : regression ? 'predicted standard deviation' : 'confidence'
  const kinds = othersGiven ? 'the rows that are no data' : 'the same rows with every column shuffled by itself'
  const captions = {
    network: `Confidence of the network on data and on ${kinds}: it should be lower there.`,
    posterior:
      `${regression ? 'Standard deviation' : 'Confidence'} of the posterior on data and on ${kinds}: it should `
      + `be ${regression ? 'larger' : 'lower'} there.`,
    novelty: `The p-value of each row among the training rows, for data and for ${kinds}: even for rows like the `
      + 'training rows, near 0 for rows unlike them.',
  }
  return {
    title: of === 'novelty' ? 'Novelty' : `${regression ? 'Uncertainty' : 'Confidence'} of the ${of}`,
    caption: captions[of],
    spec: layered([...bars(data, words.data), ...bars(others, words.others)], [{
      mark: { type: 'bar', opacity: 0.55 },
      encoding: { x: axis('from', measure, { ...(data.to === 1 ? unit : {}), bin: 'binned' }), x2: { field: 'to' },
        y: axis('share', 'share of rows', { stack: null, axis: { format: '.0%' } }),
        color: colour('rows', [words.data, words.others], ['var(--posterior)', 'var(--others)']) },
    }]),
  }
}

function riskCoverage(curves: NonNullable<Figures['riskCoverage']>): Chart {
  const values = curves.flatMap(({ of, coverage, risk }) =>
    coverage.map((share, i) => ({ of, coverage: share, risk: risk[i] }))
  )
  return {
    title: 'Risk by coverage',
    caption:
      'Errors among the answers where the least confident rows are left to someone else. Low and rising is good.',
    spec: layered(values, [{
      mark: { type: 'line', strokeWidth: 2 },
      encoding: { x: axis('coverage', 'share of rows answered', unit),
        y: axis('risk', 'share of wrong answers', { axis: { format: '.0%' } }),
        color: colour('of', curves.map(({ of }) => of)) },
    }]),
  }
}

/** Half the width of a central interval of 90 %, in standard deviations. */
const Z90 = 1.6448536269514722

function residuals({ residual, deviation, output }: ResidualPoints): Chart {
  const values = residual.map((value, i) => ({ residual: value, deviation: deviation[i], output: output[i] }))
  const [low, high] = [Math.min(...deviation), Math.max(...deviation)]
  const lines = [-1, 1].flatMap(side => [low, high].map(at => ({ side, deviation: at, residual: side * Z90 * at })))
  return {
    title: 'Errors and what was predicted of them',
    caption: 'Nine of ten points should lie between the lines, at every predicted standard deviation.',
    spec: layered(values, [
      { mark: { type: 'point', filled: true, size: 12, opacity: 0.5, color: 'var(--posterior)' },
        encoding: { x: axis('deviation', 'predicted standard deviation', { scale: { zero: false } }),
          y: axis('residual', 'truth - mean') } },
      { data: { values: lines }, mark: { type: 'line', strokeDash: [4, 4], color: 'var(--soft)' },
        encoding: { x: axis('deviation', ''), y: axis('residual', ''), detail: { field: 'side' } } },
    ]),
  }
}

function evidence({ factor, logMarginalLikelihood }: PriorCurve): Chart {
  const values = factor.map((multiple, i) => ({ multiple, evidence: logMarginalLikelihood[i] }))
  const best = Math.max(...logMarginalLikelihood)
  const own = logMarginalLikelihood[factor.indexOf(1)]
  // Far from its top the evidence falls by so much that nothing else would be seen.
  const scale = { domain: [best - Math.max(20, 4 * (best - own)), best], nice: true }
  return {
    title: 'Evidence by the prior precision',
    caption: "The log marginal likelihood at the network's weights, were the prior precision a multiple of the one in "
      + "use (dashed). A prior that other rows or the linear model's mode chose need not lie at its top.",
    spec: layered(values, [
      { mark: { type: 'line', strokeWidth: 2, color: 'var(--posterior)', interpolate: 'monotone', clip: true },
        encoding: {
          x: axis('multiple', 'multiple of the prior precision', { scale: { type: 'log' },
            axis: { format: '~g', tickCount: 7 } }),
          y: axis('evidence', 'log marginal likelihood', { scale }),
        } },
      { mark: { type: 'rule', strokeDash: [4, 4], color: 'var(--soft)' }, encoding: { x: { datum: 1 } } },
    ]),
  }
}

function leftOut(scores: readonly LeaveOneOutScore[]): Chart {
  const values = scores.filter(({ scale }) => scale > 0).map(({ scale, nll }) => ({ scale, nll }))
  return {
    title: 'Training rows, each predicted without itself',
    caption:
      'Leave-one-out NLL of the linear model by the factor s of its variance: the answer takes a factor at the bottom.',
    spec: layered(values, [{
      mark: { type: 'line', strokeWidth: 2, point: true, color: 'var(--posterior)' },
      encoding: { x: axis('scale', 's', { scale: { type: 'log' }, axis: { format: '~g' } }),
        y: axis('nll', 'leave-one-out NLL', { scale: { zero: false } }) },
    }]),
  }
}
