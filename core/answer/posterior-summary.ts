/** @file What is known of a posterior, as plain values. */
import { type CalibrationSummary, summarizeCalibration } from '../conformal/calibration.js'
import { isBatch } from '../graph/graph.js'
import { likelihoodModel } from '../likelihood/registry.js'
import type { Likelihood, Structure, Subset, TuneMethod } from '../options/words.js'
import { describeSlots } from '../posterior/curvature-matrix.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Choice } from '../tuning/choice.js'
import { networkScores, type TrainingSummary } from '../tuning/training-scores.js'
import { evidenceAtMode, evidenceOf, logLikelihoodOf } from './posterior-evidence.js'
import { noiseCovarianceOf, noiseOf, type PosteriorState, sigmaOf } from './posterior-state.js'
import { notesOf } from './regularised.js'

/** An input of the network, with the names of its columns where the network or the data of the fit have them. */
export interface InputSummary {
  readonly name: string
  readonly columns: readonly string[] | undefined
  /** Its lengths, -1 for the axis of the examples. */
  readonly shape: readonly number[]
}

/** What is known of a posterior, as plain values: the members of `LaplacePosterior` of the same names. */
export interface PosteriorSummary {
  readonly likelihood: Likelihood
  readonly subset: Subset
  readonly structure: Structure
  readonly curvature: string
  readonly outputs: number
  readonly parameterCount: number
  readonly examples: number
  readonly loss: number
  readonly logLikelihood: number
  readonly logMarginalLikelihood: number
  /** One number, one for each tensor, or one for each parameter. */
  readonly priorPrecision: Float64Array
  /** One number, or one for each parameter. */
  readonly priorMean: Float64Array
  /** One number, or one an output where they differ. */
  readonly sigmaNoise: number | Float64Array
  /** The covariance of the noises, C x C, where they are correlated. */
  readonly noiseCovariance?: Tensor | undefined
  readonly temperature: number
  readonly tuned: TuneMethod
  readonly effectiveParameters: number | undefined
  /** Of the linear model at its own mode. */
  readonly logEvidenceAtMode: number | undefined
  readonly choice: Choice | undefined
  /** How intervals and sets are calibrated. */
  readonly conformal: CalibrationSummary | undefined
  /** Network and posterior on the rows of the fit; undefined for files of version 0.1.0. */
  readonly training: TrainingSummary | undefined
  readonly precision: string
  readonly engine: string
  readonly seed: number
  readonly notes: readonly string[]
  readonly digest: string
  readonly inputs: readonly InputSummary[]
  /** The names of all inputs that the network declares, in their order; a list of arrays may have one for each. */
  readonly declaredInputs: readonly string[]
  /** The tensors of the subset, in the order of theta. */
  readonly parameters: readonly ParameterSummary[]
}

/** A tensor of the subset. */
export interface ParameterSummary {
  readonly name: string
  readonly shape: readonly number[]
  readonly size: number
  /** Whether the network has this matrix as in x out, by which it multiplies from the right, and theta as out x in. */
  readonly transposed?: true | undefined
}

/** The summary of a posterior over a network of that digest. @throws NumericalError NOT_POSITIVE_DEFINITE */
export function summarizePosterior(state: PosteriorState, digest: string): PosteriorSummary {
  const { options, structured, evaluator, examples, loss, tuned, effectiveParameters } = state
  const { likelihood, subsetName: subset, curvature, seed } = options
  const { priorPrecision, priorMean, temperature } = structured.settings
  return {
    likelihood,
    subset,
    structure: structured.structure,
    curvature,
    seed,
    sigmaNoise: sigmaOf(state),
    noiseCovariance: noiseCovarianceOf(state),
    temperature,
    outputs: evaluator.network.outputs,
    parameterCount: structured.size,
    examples,
    loss,
    logLikelihood: logLikelihoodOf(state, structured.settings),
    logMarginalLikelihood: evidenceOf(state),
    priorPrecision: asArray(priorPrecision),
    priorMean: asArray(priorMean),
    tuned,
    effectiveParameters,
    logEvidenceAtMode: evidenceAtMode(state),
    choice: state.choice,
    conformal: state.conformal === undefined ? undefined : summarizeCalibration(state.conformal),
    training: trainingOf(state),
    precision: evaluator.precision,
    engine: evaluator.engine.name,
    notes: notesOf(state),
    digest,
    inputs: inputsOf(state),
    declaredInputs: evaluator.network.declared,
    parameters: parametersOf(state),
  }
}

/** Network and posterior on the rows of the fit; undefined for posteriors of files of version 0.1.0. */
export function trainingOf(state: PosteriorState): TrainingSummary | undefined {
  const { training, loss, examples, choice } = state
  return training === undefined
    ? undefined
    : { rows: examples,
      network: networkScores(training.agreement, loss, noiseOf(state), likelihoodModel(state.options.likelihood)),
      posterior: training.posterior, leaveOneOutNll: choice?.leaveOneOutNll }
}

/** The tensors that a posterior is over, in the order of theta. */
export function parametersOf({ structured, graph }: PosteriorState): readonly ParameterSummary[] {
  const turned = new Set(graph.parameters.filter(({ transposed }) => transposed).map(({ name }) => name))
  return describeSlots(structured.slots).map(slot => (turned.has(slot.name) ? { ...slot, transposed: true } : slot))
}

/** The inputs of a posterior's network, those that its output depends on. */
export function inputsOf({ graph, evaluator }: PosteriorState): readonly InputSummary[] {
  return evaluator.network.inputs.map(({ name, shape }) => ({ name,
    columns: graph.inputs.find(input => input.name === name)?.columns,
    shape: shape.map(dim => (isBatch(dim) ? -1 : dim)) })
  )
}

function asArray(value: number | Float64Array): Float64Array {
  return typeof value === 'number' ? Float64Array.of(value) : value
}
