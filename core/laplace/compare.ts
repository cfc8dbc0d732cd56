/** @file Network, temperature scaling and posterior side by side, on rows that none of them has seen. */
import { networkOutputs } from '../answer/functional-variance.js'
import { labelled, type LabelledTerms } from '../answer/labelled-terms.js'
import { COMPARE_OPTIONS, type CompareOptions } from '../answer/posterior-options.js'
import { noiseOf, type PosteriorState } from '../answer/posterior-state.js'
import { predictTerms } from '../answer/predict.js'
import { type InputPrograms, programsByInput } from '../answer/programs-by-input.js'
import type { WorkOptions } from '../budget/progress.js'
import { knownOptions } from '../errors/suggest.js'
import { selectRows } from '../fit/held-out-rows.js'
import { choicesOf } from '../fit/reward-fit.js'
import { type CalibrationReport, calibrationReport } from '../metrics/calibration-report.js'
import { checkScored, type ScoredPrediction } from '../metrics/scored-prediction.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Likelihood } from '../options/words.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import { fitTemperature, scaledProbabilities } from '../tuning/temperature.js'
import { type Answers, type OutlierReport, outlierReports } from './outlier-reports.js'

/** Where the temperature of a comparison comes from: held-out rows of the fit, or these rows by cross-validation. */
export type TemperatureSource = 'validation' | 'cross-validation'

/** The scores of three predictions of the same rows. */
export interface Comparison {
  /** Of the network alone; regression: its means with the posterior's noise; others: as if it were certain. */
  readonly network: CalibrationReport
  /** Of the network with one temperature (Guo et al. 2017); undefined for numbers and for fewer than ten rows. */
  readonly temperature: CalibrationReport | undefined
  /** Of the posterior's answer. */
  readonly posterior: CalibrationReport
  readonly temperatureFrom: TemperatureSource | undefined
  /** T itself; where there were no held-out rows, that of all of these rows. */
  readonly temperatureValue: number | undefined
  /** Present where a temperature is at a bound, which makes the baseline a poor one. */
  readonly temperatureNote?: string
  readonly rows: number
  /**
   * Present where `outliers` were given: how well each kind of doubt tells them from all rows (by the temperature
   * above). Regression has none of network and temperature; `novelty` is there where predictions have it.
   */
  readonly outliers?: readonly OutlierReport[]
}

/** One of the three, by the name of its field and in words. */
export interface ComparedReport {
  readonly of: 'network' | 'temperature' | 'posterior'
  readonly name: string
  readonly report: CalibrationReport
}

/** Those that there are, in the order in which tables show them. */
export function comparedReports({ network, temperature, posterior }: Comparison): ComparedReport[] {
  return [{ of: 'network', name: 'network', report: network }, ...(temperature === undefined
    ? []
    : [{ of: 'temperature' as const, name: 'temperature scaling', report: temperature }]), { of: 'posterior',
    name: 'posterior', report: posterior }]
}

/** Parts of a cross-validated temperature, and the fewest rows that have one. */
const FOLDS = 10

/**
 * The reports of network, temperature scaling and posterior on rows with labels. The temperature is that of the held-
 * out rows of the fit; where there were none, each tenth of the given rows is scored with that of the other nine. Of
 * rewards the choices are scored: x are pairs, y which one was preferred.
 * @throws ShapeError, DataError, OptionError, CancelledError
 */
export async function compare(state: PosteriorState, programs: InputPrograms, x: Examples, y: Tensor,
  options: CompareOptions, work: WorkOptions): Promise<Comparison> {
  knownOptions('compare', options, COMPARE_OPTIONS)
  if (state.options.likelihood === 'reward_modeling') {
    const { choices, pairs } = choicesOf(state)
    return compare(choices, programsByInput(choices), pairs(x), y, pairedOutliers(options, pairs), work)
  }
  const likelihood = checkScored(state.options.likelihood)
  const terms = labelled(y, likelihood, exampleCount(x), programs(x).evaluator.network)
  const answers = await answersOf(state, programs, x, work)
  const others = options.outliers === undefined ? undefined : await answersOf(state, programs, options.outliers, work)
  return comparisonOf(likelihood, terms, answers, others, state.choice?.heldOut?.temperature)
}

/** Options whose rows that are no data are pairs too. */
export function pairedOutliers(options: CompareOptions, pairs: (x: Examples) => Examples): CompareOptions {
  return options.outliers === undefined ? options : { ...options, outliers: pairs(options.outliers) }
}

/**
 * The reports of answers that are known already.
 * @param temperature that of held-out rows of the fit; undefined: by cross-validation
 */
export function comparisonOf(likelihood: Likelihood, terms: LabelledTerms, answers: Answers,
  others: Answers | undefined, temperature: number | undefined): Comparison {
  const comparison = scoresOf(likelihood, terms, answers, temperature)
  if (others === undefined) return comparison
  return { ...comparison, outliers: outlierReports(likelihood, answers, others, comparison.temperatureValue) }
}

/** Outputs of the network and the posterior's answer, term by term. */
export async function answersOf(state: PosteriorState, programs: InputPrograms, x: Examples,
  work: WorkOptions): Promise<Answers> {
  const f = await networkOutputs(state, programs, x, work)
  return { rows: exampleCount(x), f, prediction: await predictTerms(state, programs, x, { uncertainty: false }, work),
    sigmaNoise: noiseOf(state) }
}

function scoresOf(likelihood: Likelihood, terms: LabelledTerms, answers: Answers,
  temperature: number | undefined): Comparison {
  const { rows, prediction } = answers
  if (!hasLogits(likelihood)) {
    return { ...numberReports(likelihood, terms, answers), temperature: undefined, temperatureFrom: undefined,
      temperatureValue: undefined, rows }
  }
  const f = terms.rows(answers.f)
  const scored: ScoredPrediction = prediction.probabilities === undefined
    ? {}
    : { probabilities: terms.rows(prediction.probabilities) }
  return {
    network: calibrationReport(likelihood, terms.y, { probabilities: scaledProbabilities(likelihood, f, 1) }),
    ...byTemperature(likelihood, f, terms.y, temperature),
    posterior: calibrationReport(likelihood, terms.y, scored),
    rows,
  }
}

/** Of numbers: a mixture is scored by the distributions of its members, each by its own noise. */
function numberReports(likelihood: Likelihood, terms: LabelledTerms,
  answers: Answers): Pick<Comparison, 'network' | 'posterior'> {
  const { members, sigmaNoise } = answers
  const certain = ({ f }: Answers): ScoredPrediction => ({ mean: terms.rows(f) })
  const uncertain = ({ prediction: { mean, variance } }: Answers): ScoredPrediction => ({ mean: terms.rows(mean),
    variance: terms.rows(variance) })
  const report = (of: (one: Answers) => ScoredPrediction): CalibrationReport =>
    calibrationReport(likelihood, terms.y, members === undefined
      ? of(answers)
      : { members: members.map(({ weight, ...own }) => ({ ...of(own), weight, sigmaNoise: own.sigmaNoise })) }, {
      sigmaNoise,
    })
  return { network: report(certain), posterior: report(uncertain) }
}

function byTemperature(likelihood: Likelihood, f: Tensor, y: Tensor,
  known: number | undefined
): Pick<Comparison, 'temperature' | 'temperatureFrom' | 'temperatureValue' | 'temperatureNote'> {
  const reportOf = (probabilities: Tensor): CalibrationReport => calibrationReport(likelihood, y, { probabilities })
  if (known !== undefined) {
    return { temperature: reportOf(scaledProbabilities(likelihood, f, known)), temperatureFrom: 'validation',
      temperatureValue: known }
  }
  if (f.shape[0] < FOLDS) {
    return { temperature: undefined, temperatureFrom: undefined, temperatureValue: undefined }
  }
  const { logits, note } = crossScaled(likelihood, f, y)
  return {
    temperature: reportOf(scaledProbabilities(likelihood, logits, 1)),
    temperatureFrom: 'cross-validation',
    temperatureValue: fitTemperature(likelihood, f, y).temperature,
    ...(note === undefined ? {} : { temperatureNote: note }),
  }
}

/** Each row's logits over a temperature of the other rows: none is scored by what it was fitted to. */
function crossScaled(likelihood: Likelihood, f: Tensor, y: Tensor): { logits: Tensor, note: string | undefined } {
  const [rows, outputs = 1] = f.shape
  const fits = Array.from({ length: FOLDS }, (_, fold) => {
    const left = Uint8Array.from({ length: rows }, (_, row) => Number(row % FOLDS === fold))
    return fitTemperature(likelihood, selectRows(f, left, false), selectRows(y, left, false))
  })
  const scaled = Float64Array.from(f.data, (value, i) => value / fits[Math.floor(i / outputs) % FOLDS].temperature)
  const note = fits.find(fit => fit.note !== undefined)?.note
  return { logits: float64(f.shape, scaled), note: note === undefined ? undefined : `For a tenth of the rows: ${note}` }
}
