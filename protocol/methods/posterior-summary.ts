/** @file A posterior's summary on the wire. */
import type { ParameterSummary, PosteriorSummary } from '../../core/answer/posterior-summary.js'
import type { CalibrationSummary } from '../../core/conformal/calibration.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { type Choice, plainScores } from '../../core/tuning/choice.js'
import type { TrainingScores, TrainingSummary } from '../../core/tuning/training-scores.js'
import { doublesToWire, tensorToWire } from '../frames/arrays.js'
import type { WireMap } from '../frames/encode.js'
import { MAX_ITEMS } from '../frames/limits.js'

/** The summary in the order of docs/protocol.md; what does not exist is nil. */
export function summaryToWire(summary: PosteriorSummary): WireMap {
  const { likelihood, subset, structure, curvature, outputs, parameterCount, examples, loss, logLikelihood,
    logMarginalLikelihood } = summary
  const { priorPrecision, priorMean, sigmaNoise, noiseCovariance, temperature, tuned, effectiveParameters, precision,
    engine, seed, notes, digest, logEvidenceAtMode, choice, conformal, training, parameters, inputs, declaredInputs } =
      summary
  return {
    likelihood,
    subset,
    structure,
    curvature,
    outputs,
    parameterCount,
    examples,
    loss,
    logLikelihood,
    logMarginalLikelihood,
    priorPrecision: priorToWire(priorPrecision),
    priorMean: priorToWire(priorMean),
    sigmaNoise: noiseToWire(sigmaNoise, noiseCovariance),
    temperature,
    tuned,
    effectiveParameters: effectiveParameters ?? null,
    precision,
    engine,
    seed,
    notes,
    digest,
    logEvidenceAtMode: logEvidenceAtMode ?? null,
    choice: choiceToWire(choice),
    conformal: conformalToWire(conformal),
    training: trainingToWire(training),
    inputs: inputsToWire(inputs),
    declaredInputs: declaredToWire(declaredInputs),
    parameters: parametersToWire(parameters),
  }
}

/** The tensors of a posterior; `transposed` stands where it is so. */
export function parametersToWire(parameters: readonly ParameterSummary[]): WireMap[] {
  return parameters.map(({ name, shape, size, transposed }) => ({ name, shape, size,
    ...(transposed === true ? { transposed } : {}) })
  )
}

/** The entries of the summary that are at hand: no determinant of the evidence, no digest of the network. */
export function briefSummary(
  { examples, priorPrecision, sigmaNoise, noiseCovariance, temperature, tuned, notes, choice, training, inputs,
    declaredInputs }: LaplacePosterior,
): WireMap {
  return { examples, priorPrecision: priorToWire(priorPrecision), sigmaNoise: noiseToWire(sigmaNoise, noiseCovariance),
    temperature, tuned, notes, inputs: inputsToWire(inputs), declaredInputs: declaredToWire(declaredInputs),
    choice: choiceToWire(choice), training: trainingToWire(training) }
}

/** The inputs; of very wide tables without the names of their columns. */
function inputsToWire(inputs: PosteriorSummary['inputs']): WireMap[] {
  return inputs.map(({ name, columns }) => ({ name,
    columns: columns === undefined || columns.length > MAX_ITEMS ? null : columns })
  )
}

/** The names of all declared inputs; nil where they are too many for a message. */
function declaredToWire(names: readonly string[]): readonly string[] | null {
  return names.length > MAX_ITEMS ? null : names
}

/** sigma as a number, or an array where the outputs differ; their covariance, C x C, where they are correlated. */
export function noiseToWire(value: number | Float64Array, covariance?: Tensor): number | WireMap {
  if (covariance !== undefined) return tensorToWire(covariance)
  return typeof value === 'number' ? value : doublesToWire([value.length], value)
}

/** How intervals and sets are calibrated; nil where they are not. */
export function conformalToWire(conformal: CalibrationSummary | undefined): WireMap | null {
  return conformal === undefined ? null : { ...conformal }
}

/** What was chosen, as plain values; nil where everything was given. */
export function choiceToWire(choice: Choice | undefined): WireMap | null {
  if (choice === undefined) return null
  const { delta, sigmaNoise, leaveOneOut, r, networkTemperature, halfwayWeight, halfwayScale, heldOut, ...rest } =
    choice
  return { ...rest, delta: [...delta], sigmaNoise: sigmaNoise === undefined ? null : [...sigmaNoise], r: r ?? null,
    leaveOneOut: leaveOneOut.map(({ scale, nll }) => ({ scale, nll })), networkTemperature: networkTemperature ?? null,
    halfwayWeight: halfwayWeight ?? 0, halfwayScale: halfwayScale ?? 0,
    heldOut: heldOut === undefined ? null : plainScores(heldOut) }
}

/** Network and posterior on the rows of the fit; nil for posteriors of files of version 0.1.0. */
function trainingToWire(training: TrainingSummary | undefined): WireMap | null {
  if (training === undefined) return null
  const { rows, network, posterior, leaveOneOutNll } = training
  return { rows, network: scoresToWire(network), posterior: posterior === undefined ? null : scoresToWire(posterior),
    leaveOneOutNll: leaveOneOutNll ?? null }
}

function scoresToWire(scores: TrainingScores): WireMap {
  if ('accuracy' in scores) return { ...scores }
  const { rmseByOutput, ...all } = scores
  return { ...all, ...(rmseByOutput === undefined ? {} : { rmseByOutput: [...rmseByOutput] }) }
}

/** Prior precisions, or means, always as an array. */
export function priorToWire(value: number | Float64Array): WireMap {
  const values = typeof value === 'number' ? Float64Array.of(value) : value
  return doublesToWire([values.length], values)
}
