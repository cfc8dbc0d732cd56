/** @file Predictions as the command line shows and writes them. */
import type { Prediction } from '../../core/answer/prediction.js'
import { hasNumbers } from '../../core/options/likelihood-kinds.js'
import type { Likelihood } from '../../core/options/words.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { bestClass, type NumberedPrediction, predictionColumns, quantileColumns,
  roots } from '../../node/prediction-columns.js'
import { formatNumber } from '../../report/numbers.js'
import { nested } from './json.js'
import { fittingTable } from './table.js'

/** Rows of numbers, the first row the names of the columns. */
export function predictionRows(prediction: NumberedPrediction,
  likelihood: Likelihood): { readonly names: readonly string[], readonly values: Float64Array } {
  const all = predictionColumns(prediction, likelihood)
  const [n] = prediction.mean.shape
  return { names: all.map(column => column.name),
    values: Float64Array.from({ length: n * all.length },
      (_, i) => all[i % all.length].at(Math.floor(i / all.length))) }
}

/** The names of the classes that a prediction answers, a row each; undefined where there are none. */
export function labelsOfRows(prediction: NumberedPrediction, likelihood: Likelihood,
  labels: readonly string[] | undefined): readonly string[] | undefined {
  const own = predictionColumns(prediction, likelihood).find(({ name }) => name === 'class')
  if (labels === undefined || own === undefined) return undefined
  return Array.from({ length: prediction.mean.shape[0] }, (_, row) => labels[own.at(row)])
}

/** A CSV file of a prediction; the names of the classes are the last column. */
export function predictionCsv(prediction: NumberedPrediction, likelihood: Likelihood,
  labels?: readonly string[]): string {
  const { names, values } = predictionRows(prediction, likelihood)
  const words = labelsOfRows(prediction, likelihood, labels)
  const lines = Array.from({ length: values.length / names.length },
    (_, row) =>
      [...values.subarray(row * names.length, (row + 1) * names.length),
        ...(words === undefined ? [] : [quoted(words[row])])]
        .join(','))
  return [[...names, ...(words === undefined ? [] : ['label'])].join(','), ...lines, ''].join('\n')
}

/** A text as a cell of CSV. */
function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A prediction as plain values: arrays of rows. */
export function predictionJson(prediction: NumberedPrediction): Readonly<Record<string, unknown>> {
  const { mean, variance, probabilities, predictiveMean, predictiveVariance, aleatoric, epistemic, covariance, novelty,
    noveltyScore, lower, upper, sets, quantiles, quantileProbabilities, level, interval, seed, notes } = prediction
  const parts: Record<string, Tensor | undefined> = {
    mean,
    standardDeviation: roots(variance),
    probabilities,
    predictiveMean,
    predictiveStandardDeviation: predictiveVariance === undefined ? undefined : roots(predictiveVariance),
    aleatoric,
    epistemic,
    covariance,
    novelty,
    noveltyScore,
    lower,
    upper,
    sets,
    quantiles,
  }
  const present = Object.entries(parts).flatMap(([name, value]) => (value === undefined ? [] : [[name, nested(value)]]))
  const words = Object.entries({ level, interval, quantileProbabilities, seed }).filter(([, value]) =>
    value !== undefined
  )
  return { ...Object.fromEntries([...present, ...words]) as Record<string, unknown>, notes }
}

/** Columns of probabilities that a terminal's width carries. */
const MOST_SHOWN = 6

/** A table for people: the answer, how sure it is, and of what kind the doubt is. */
export function predictionTable(prediction: NumberedPrediction, likelihood: Likelihood, rows: number,
  labels: readonly string[] | undefined, width: number): string {
  const shown = hasNumbers(likelihood)
    ? numberColumns(prediction)
    : probabilityColumns(prediction, likelihood, labels)
  const more = [...intervalColumns(prediction, labels),
    ...(prediction.novelty === undefined ? [] : numbered('novelty', prediction.novelty))]
  return fittingTable([['row', ...[...shown, ...more].map(column => column.name)],
    ...Array.from({ length: rows }, (_, row) => [String(row), ...[...shown, ...more].map(column => column.text(row))])],
    width)
}

interface TextColumn {
  readonly name: string
  readonly text: (row: number) => string
}

function numbered(name: string, value: Tensor): TextColumn[] {
  const width = value.shape.length === 1 ? 1 : value.shape[1]
  return Array.from({ length: Math.min(width, MOST_SHOWN) },
    (_, c) => ({ name: width === 1 ? name : `${name} ${c}`, text: row => formatNumber(value.data[row * width + c]) }))
}

function intervalColumns(prediction: NumberedPrediction, labels: readonly string[] | undefined): TextColumn[] {
  const { lower, upper, sets } = prediction
  const quantiles = quantileColumns(prediction).slice(0, MOST_SHOWN).map(({ name, at }) => ({
    name: name.replaceAll('_', ' '),
    text: (row: number) => formatNumber(at(row)),
  }))
  return [...(lower === undefined ? [] : numbered('lower', lower)),
    ...(upper === undefined ? [] : numbered('upper', upper)), ...quantiles,
    ...(sets === undefined ? [] : [{ name: 'set', text: setText(sets, labels) }])]
}

/** The classes of a row's set. */
function setText({ shape, data }: Tensor, labels: readonly string[] | undefined): (row: number) => string {
  const classes = shape[1]
  return row =>
    `{${
      Array.from({ length: classes }, (_, c) => c).filter(c => data[row * classes + c] === 1).map(c => labels?.[c] ?? c)
        .join(', ')
    }}`
}

/** The mean with the standard deviation of what the network does not know of it, and with noise. */
function numberColumns({ mean, variance, predictiveMean, epistemic, predictiveVariance }: Prediction): TextColumn[] {
  const sd = roots(predictiveMean === undefined ? variance : epistemic ?? variance)
  const predictive = predictiveVariance === undefined ? undefined : roots(predictiveVariance)
  return [...numbered('mean', predictiveMean ?? mean), ...numbered('sd', sd),
    ...(predictive === undefined ? [] : numbered('sd with noise', predictive))]
}

function probabilityColumns({ probabilities, mean, variance, aleatoric, epistemic }: Prediction, likelihood: Likelihood,
  labels: readonly string[] | undefined): TextColumn[] {
  if (probabilities === undefined) return [...numbered('mean', mean), ...numbered('sd', roots(variance))]
  const doubt = [...(aleatoric === undefined ? [] : numbered('aleatoric', aleatoric)),
    ...(epistemic === undefined ? [] : numbered('epistemic', epistemic))]
  if (likelihood !== 'classification') {
    return [...numbered('probability', probabilities), ...numbered('mean', mean), ...numbered('sd', roots(variance)),
      ...doubt]
  }
  const outputs = probabilities.shape[1]
  const of = (value: Tensor) => (row: number): string =>
    formatNumber(value.data[row * outputs + bestClass(probabilities, row)])
  const answer = [{ name: 'class',
    text: (row: number) => labels?.[bestClass(probabilities, row)] ?? String(bestClass(probabilities, row)) }, {
    name: 'probability',
    text: of(probabilities),
  }]
  const others = outputs <= MOST_SHOWN ? numbered('p', probabilities) : []
  return [...answer, ...others, { name: 'logit', text: of(mean) }, { name: 'sd', text: of(roots(variance)) }, ...doubt]
}
