/** @file What the pictures of a report draw: network and posterior on rows that neither has seen, as plain numbers. */
import { labelled, type LabelledTerms } from '../answer/labelled-terms.js'
import { evidenceOf } from '../answer/posterior-evidence.js'
import { COMPARE_OPTIONS, type CompareOptions } from '../answer/posterior-options.js'
import type { PosteriorState } from '../answer/posterior-state.js'
import { type InputPrograms, programsByInput } from '../answer/programs-by-input.js'
import type { WorkOptions } from '../budget/progress.js'
import { OptionError } from '../errors/errors.js'
import { knownOptions } from '../errors/suggest.js'
import { takeExamples } from '../fit/held-out-rows.js'
import { choicesOf } from '../fit/reward-fit.js'
import { bernoulliDecisions, categoricalDecisions, type Decisions } from '../metrics/decisions.js'
import { type Histogram, histogram } from '../metrics/histogram.js'
import { type RiskCoverageCurve, riskCoverageCurve } from '../metrics/risk-coverage-curve.js'
import { checkScored, scoredProbabilities } from '../metrics/scored-prediction.js'
import { hasLogits, hasNumbers } from '../options/likelihood-kinds.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { sampledRows, takeRows } from '../tensor/rows.js'
import { shuffledColumns } from '../tensor/shuffled-columns.js'
import { type Tensor, toFloat64 } from '../tensor/tensor.js'
import { scaledProbabilities } from '../tuning/temperature.js'
import { answersOf, type Comparison, comparisonOf, pairedOutliers } from './compare.js'
import { type Answers, type Doubts, doubts } from './outlier-reports.js'

/** Shares of rows by a kind of certainty, on rows of data and on rows that are no data. */
export interface CertaintyHistograms {
  /**
   * `network` and `posterior`: the confidence of the answer (regression: the standard deviation that is predicted);
   * `novelty`: its p-value.
   */
  readonly of: 'network' | 'posterior' | 'novelty'
  readonly data: Histogram
  readonly others: Histogram
}

/** The evidence by the prior precision, as multiples of the one in use. */
export interface PriorCurve {
  readonly factor: readonly number[]
  readonly logMarginalLikelihood: readonly number[]
}

/** Errors of a regression beside what was predicted of them; a sample where there are many. */
export interface ResidualPoints {
  readonly output: readonly number[]
  /** y - mean. */
  readonly residual: readonly number[]
  /** The standard deviation that is predicted, noise included. */
  readonly deviation: readonly number[]
}

/** A row of which the posterior is least sure. */
export interface UncertainRow {
  /** Counted from 0. */
  readonly row: number
  /** One less the confidence; regression: the predictive variance. Mean over labels, outputs and positions. */
  readonly doubt: number
  /** Class numbers, where each row has one class. */
  readonly answer?: number
  readonly truth?: number
  readonly novelty?: number
}

/** What there is to draw. */
export interface Figures {
  readonly comparison: Comparison
  /** Whether the rows that are no data were given; else they are these rows with every column shuffled by itself. */
  readonly othersGiven: boolean
  readonly certainty: readonly CertaintyHistograms[]
  /** Classes: errors by the share of rows that are answered. */
  readonly riskCoverage?: readonly (RiskCoverageCurve & { readonly of: 'network' | 'posterior' })[]
  /** Regression. */
  readonly residuals?: ResidualPoints
  /** Undefined where the posterior has no evidence under another prior. */
  readonly prior: PriorCurve | undefined
  /** Falling doubt. */
  readonly mostUncertain: readonly UncertainRow[]
}

/** Rows that are no data are shuffled from so many rows at most. */
const MOST_SHUFFLED = 1000
const MOST_POINTS = 2000
const LISTED_ROWS = 10
/** Decimal logarithms of the multiples of the prior precision. */
const PRIOR_EXPONENTS = [-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3]

/**
 * What a report draws of rows that neither the network nor the fit has seen.
 * @param options `outliers`: rows that are no data; by default up to 1,000 of these rows, every column shuffled
 * @throws ShapeError, DataError, OptionError, CancelledError
 */
export async function figures(state: PosteriorState, programs: InputPrograms, x: Examples, y: Tensor,
  options: CompareOptions, work: WorkOptions): Promise<Figures> {
  knownOptions('figures', options, COMPARE_OPTIONS)
  if (state.options.likelihood === 'reward_modeling') {
    const { choices, pairs } = choicesOf(state)
    return figures(choices, programsByInput(choices), pairs(x), y, pairedOutliers(options, pairs), work)
  }
  const { seed } = state.options
  const likelihood = checkScored(state.options.likelihood)
  const terms = labelled(y, likelihood, exampleCount(x), programs(x).evaluator.network)
  const answers = await answersOf(state, programs, x, work)
  const outliers = options.outliers ??
    shuffledColumns(takeExamples(x, sampledRows(exampleCount(x), MOST_SHUFFLED, seed)), seed)
  const others = await answersOf(state, programs, outliers, work)
  const comparison = comparisonOf(state.options.likelihood, terms, answers, others, state.choice?.heldOut?.temperature)
  const ofData = doubts(likelihood, answers, comparison.temperatureValue)
  return {
    comparison,
    othersGiven: options.outliers !== undefined,
    certainty: certainty(state, ofData, doubts(likelihood, others, undefined), [answers, others]),
    ...(hasNumbers(likelihood)
      ? { residuals: residuals(state, terms, answers) }
      : { riskCoverage: riskCoverage(state, terms, answers) }),
    prior: priorCurve(state),
    mostUncertain: mostUncertain(state, terms, answers, ofData),
  }
}

function certainty({ options: { likelihood } }: PosteriorState, ofData: Doubts, ofOthers: Doubts,
  [data, others]: readonly [Answers, Answers]): CertaintyHistograms[] {
  const numbers = hasNumbers(likelihood)
  const certain = (doubt: Float64Array): Float64Array => doubt.map(value => numbers ? Math.sqrt(value) : 1 - value)
  const confidences = (['network', 'posterior'] as const).flatMap(of => {
    const [known, other] = [ofData[of], ofOthers[of]]
    if (known === undefined || other === undefined) return []
    const [a, b] = [certain(known), certain(other)]
    const top = numbers ? a.reduce((most, value) => Math.max(most, value), b.reduce((m, v) => Math.max(m, v), 0)) : 1
    return [{ of, data: histogram(a, 0, top), others: histogram(b, 0, top) }]
  })
  const [known, other] = [data.prediction.novelty, others.prediction.novelty]
  return known === undefined || other === undefined ?
    confidences :
    [...confidences, { of: 'novelty', data: histogram(toFloat64(known), 0, 1),
      others: histogram(toFloat64(other), 0, 1) }]
}

function riskCoverage({ options: { likelihood } }: PosteriorState, terms: LabelledTerms,
  { f, prediction }: Answers): NonNullable<Figures['riskCoverage']> {
  if (!hasLogits(likelihood) || prediction.probabilities === undefined) return []
  const of = (probabilities: Tensor): Decisions => {
    const { p, labels, outputs } = scoredProbabilities(likelihood, terms.y, { probabilities })
    return likelihood === 'classification' ? categoricalDecisions(p, labels, outputs) : bernoulliDecisions(p, labels)
  }
  const network = of(scaledProbabilities(likelihood, terms.rows(f), 1))
  return [{ of: 'network', ...riskCoverageCurve(network) }, { of: 'posterior',
    ...riskCoverageCurve(of(terms.rows(prediction.probabilities))) }]
}

function residuals(state: PosteriorState, terms: LabelledTerms, { prediction }: Answers): ResidualPoints {
  const { mean: f, predictiveMean = f, predictiveVariance } = prediction
  const outputs = predictiveMean.shape[1]
  const rows = sampledRows(terms.count, Math.ceil(MOST_POINTS / outputs), state.options.seed)
  const taken = (values: Tensor): Float64Array => takeRows(toFloat64(terms.rows(values)), rows, outputs)
  const mean = taken(predictiveMean)
  const truth = takeRows(terms.labels, rows, outputs)
  return {
    output: Array.from(truth, (_, i) => i % outputs),
    residual: Array.from(truth, (value, i) => value - mean[i]),
    deviation: predictiveVariance === undefined ? [] : Array.from(taken(predictiveVariance), Math.sqrt),
  }
}

function priorCurve(state: PosteriorState): PriorCurve | undefined {
  const { priorPrecision } = state.structured.settings
  try {
    return {
      factor: PRIOR_EXPONENTS.map(exponent => 10 ** exponent),
      logMarginalLikelihood: PRIOR_EXPONENTS.map(exponent =>
        evidenceOf(state, { priorPrecision: typeof priorPrecision === 'number'
          ? priorPrecision * 10 ** exponent
          : priorPrecision.map(value => value * 10 ** exponent) })
      ),
    }
  } catch (error) {
    if (error instanceof OptionError) return undefined
    throw error
  }
}

function mostUncertain({ options: { likelihood }, evaluator: { network } }: PosteriorState, terms: LabelledTerms,
  { rows, prediction }: Answers, { posterior }: Doubts): UncertainRow[] {
  if (posterior === undefined) return []
  const novelty = prediction.novelty === undefined ? undefined : toFloat64(prediction.novelty)
  const oneClass = likelihood === 'classification' && network.positions.length === 0 && terms.count === rows
  const p = prediction.probabilities
  const answer = (row: number): number => argmax(takeRows(p?.data ?? [], Int32Array.of(row), network.outputs))
  return Array.from({ length: rows }, (_, row) => row)
    .sort((a, b) => posterior[b] - posterior[a])
    .slice(0, LISTED_ROWS)
    .map(row => ({
      row,
      doubt: posterior[row],
      ...(oneClass ? { answer: answer(row), truth: terms.labels[row] } : {}),
      ...(novelty === undefined ? {} : { novelty: novelty[row] }),
    }))
}

function argmax(values: Float64Array): number {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0)
}
