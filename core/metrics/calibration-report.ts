/**
 * @file Every score of one set of predictions in one plain object: what a network, its temperature-scaled self and its
 * posterior are compared by, side by side, on the same held-out rows.
 */
import { hasNumbers } from '../options/likelihood-kinds.js'
import type { Likelihood, LogitLikelihood, NumberLikelihood } from '../options/words.js'
import { column } from '../tensor/column.js'
import { checkFinite } from '../tensor/finite.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import { accuracy } from './accuracy.js'
import { adaptiveCalibrationError } from './adaptive-ece.js'
import { riskCoverageArea } from './aurc.js'
import { bernoulliBrier, categoricalBrier } from './brier.js'
import { classWiseCalibrationError, oneHot } from './class-wise-ece.js'
import { coverageAtRisk } from './coverage-at-risk.js'
import { bernoulliDecisions, categoricalDecisions } from './decisions.js'
import { type CalibrationBin, calibrationBins, expectedCalibrationError } from './ece.js'
import { kolmogorovDistance } from './kolmogorov-distance.js'
import { scoresOf } from './mixture-scores.js'
import { bernoulliNll, categoricalNll, jointGaussianNll } from './nll.js'
import { type OutlierScores, outlierScores } from './outlier-scores.js'
import { pitHistogram } from './pit.js'
import { rmse } from './rmse.js'
import { checkScored, type ScoredNumbers, scoredNumbers, type ScoredPrediction,
  scoredProbabilities } from './scored-prediction.js'
import { sharpness } from './sharpness.js'
import { smoothCalibrationError } from './smooth-ece.js'

/** Levels of the central intervals in a report. */
const REPORT_LEVELS: readonly number[] = [0.5, 0.8, 0.9, 0.95]

/** Risks at which a report says how much can be answered. */
const REPORT_RISKS: readonly number[] = [0.01, 0.05]

/** What a report may be given beside predictions and labels. */
export interface ReportOptions {
  /** Observation noise of regression: of all outputs, or one each. Default 1. */
  readonly sigmaNoise?: number | ArrayLike<number>
  /** Uncertainties of the rows of data and of rows that are no data; higher means less like data, on any scale. */
  readonly outliers?: { readonly ofData: ArrayLike<number>, readonly ofOthers: ArrayLike<number> }
}

interface CommonReport {
  /** Number of rows. */
  readonly points: number
  /** Mean negative log-likelihood: over points (labels of a point summed), or over all entries for regression. */
  readonly nll: number
  /** Present where `outliers` was given. */
  readonly outliers?: OutlierScores
}

interface ProbabilityReport extends CommonReport {
  readonly brier: number
  readonly accuracy: number
  /** Expected calibration error of the answers, 15 bins of equal width. */
  readonly ece: number
  /** The same with 15 bins of equal mass. */
  readonly adaptiveEce: number
  /** The same of every class or label, 15 bins of equal width, averaged over them. */
  readonly classWiseEce: number
  /** Kernel-smoothed calibration error of the answers. */
  readonly smoothEce: number
  /** Area under the risk-coverage curve. */
  readonly aurc: number
  /** The share of rows that can be answered with at most that share of wrong answers. */
  readonly coverageAtRisk: readonly { readonly risk: number, readonly coverage: number }[]
  /** The bins of `ece`: a reliability diagram. */
  readonly reliability: readonly CalibrationBin[]
}

/** Scores of class probabilities. */
export interface ClassificationReport extends ProbabilityReport {
  readonly likelihood: 'classification'
}

/** Scores of probabilities of labels; answers are counted label by label. */
export interface BernoulliReport extends ProbabilityReport {
  readonly likelihood: 'binary' | 'multilabel'
}

/** Scores of predictions of numbers, over all their entries. */
export interface NumberReport {
  readonly nll: number
  readonly crps: number
  readonly rmse: number
  /** Mean predictive standard deviation. */
  readonly sharpness: number
  /** Share of the truth inside and mean width of central intervals. */
  readonly intervals: readonly { readonly level: number, readonly coverage: number, readonly width: number }[]
  /** Where the truth lies in its prediction: shares of 10 bins, and the distance from the uniform distribution. */
  readonly pit: { readonly histogram: readonly number[], readonly kolmogorov: number }
  /** Of counts: mean of 2 [y log(y / E[y]) - (y - E[y])]. */
  readonly deviance?: number
}

/** Scores of predictions of numbers, N x K together: of outputs on several scales the largest decides them. */
export interface RegressionReport extends CommonReport, NumberReport {
  readonly likelihood: NumberLikelihood
  /** Of several outputs, each alone, in its own units. */
  readonly byOutput?: readonly NumberReport[]
  /** Mean over points, the outputs of a point together; where covariances are known. */
  readonly nllJointOutputs?: number
}

/** Whether a report is one of numbers, whatever their distribution. */
export function isNumberReport(report: CalibrationReport): report is RegressionReport {
  return hasNumbers(report.likelihood)
}

/** Told apart by `likelihood`. */
export type CalibrationReport = ClassificationReport | BernoulliReport | RegressionReport

/** The report of a likelihood. */
export type ReportOf<L extends Likelihood> = L extends NumberLikelihood ? RegressionReport
  : L extends 'classification' ? ClassificationReport
  : BernoulliReport

/**
 * Scores predictions on labels that the fit has not seen, with everything that is known to say whether their
 * uncertainty is honest.
 * @param y labels as in `fit`
 * @throws OptionError, DataError, ShapeError
 */
export function calibrationReport<L extends Likelihood>(likelihood: L, y: Tensor, prediction: ScoredPrediction,
  options?: ReportOptions): ReportOf<L>
/** The same for a likelihood that is known at run time only. */
export function calibrationReport(likelihood: Likelihood, y: Tensor, prediction: ScoredPrediction,
  options: ReportOptions = {}): CalibrationReport {
  const name = checkScored(likelihood)
  const outliers = options.outliers === undefined
    ? {}
    : { outliers: outlierScores(options.outliers.ofData, options.outliers.ofOthers) }
  return hasNumbers(name)
    ? { likelihood: name, ...regressionScores(name, y, prediction, options.sigmaNoise ?? 1), ...outliers }
    : { likelihood: name, ...probabilityScores(name, y, prediction), ...outliers } as CalibrationReport
}

function probabilityScores(likelihood: LogitLikelihood, y: Tensor, prediction: ScoredPrediction): ProbabilityReport {
  const { p, labels, outputs } = scoredProbabilities(likelihood, y, prediction)
  // NaN would fall into no bin and leave a better score behind.
  checkFinite(float64([p.length], p), 'probabilities', outputs)
  const categorical = likelihood === 'classification'
  const decisions = categorical ? categoricalDecisions(p, labels, outputs) : bernoulliDecisions(p, labels)
  const happened = categorical ? oneHot(labels, outputs) : labels
  return {
    points: p.length / outputs,
    nll: categorical ? categoricalNll(p, labels, outputs) : bernoulliNll(p, labels, outputs),
    brier: categorical ? categoricalBrier(p, labels, outputs) : bernoulliBrier(p, labels),
    accuracy: accuracy(decisions),
    ece: expectedCalibrationError(decisions),
    adaptiveEce: adaptiveCalibrationError(decisions),
    classWiseEce: classWiseCalibrationError(p, happened, outputs),
    smoothEce: smoothCalibrationError(decisions),
    aurc: riskCoverageArea(decisions),
    coverageAtRisk: REPORT_RISKS.map(risk => ({ risk, coverage: coverageAtRisk(decisions, risk) })),
    reliability: calibrationBins(decisions),
  }
}

function regressionScores(likelihood: NumberLikelihood, y: Tensor, prediction: ScoredPrediction,
  sigmaNoise: number | ArrayLike<number>): Omit<RegressionReport, 'likelihood'> {
  const scored = scoredNumbers(likelihood, y, prediction, sigmaNoise)
  const { mean, variance, covariance, labels, outputs } = scored
  checkFinite(float64([mean.length], mean), 'mean', outputs)
  checkFinite(float64([variance.length], variance), 'variance', outputs)
  return {
    points: mean.length / outputs,
    ...numberReport(scored),
    ...(outputs === 1
      ? {}
      : { byOutput: Array.from({ length: outputs }, (_, c) => numberReport(outputOf(scored, c))) }),
    ...(covariance === undefined ? {} : { nllJointOutputs: jointGaussianNll(mean, covariance, labels, outputs) }),
  }
}

function numberReport(scored: ScoredNumbers): NumberReport {
  const { mean, variance, labels } = scored
  const { nll, crps, deviance, interval, pit } = scoresOf(scored)
  const transform = pit()
  return {
    nll: nll(),
    crps: crps(),
    rmse: rmse(mean, labels),
    ...(deviance === undefined ? {} : { deviance: deviance() }),
    sharpness: sharpness(variance),
    intervals: REPORT_LEVELS.map(level => ({ level, ...interval(level) })),
    pit: { histogram: pitHistogram(transform), kolmogorov: kolmogorovDistance(transform) },
  }
}

/** One output alone. */
function outputOf({ mean, variance, logRates, members, labels, outputs }: ScoredNumbers, c: number): ScoredNumbers {
  const own = (values: Float64Array): Float64Array => column(values, c, outputs)
  return { mean: own(mean), variance: own(variance), labels: own(labels), outputs: 1, ...(logRates === undefined
    ? {}
    : { logRates: { mean: own(logRates.mean), variance: own(logRates.variance) } }), ...(members === undefined
      ? {}
      : { members: members.map(({ weight, scored }) => ({ weight, scored: outputOf(scored, c) })) }) }
}
