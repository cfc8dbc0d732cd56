/** @file A posterior's prediction as one graph, from the options of an export. */
import { noiseOf, type PosteriorState } from '../answer/posterior-state.js'
import { openProbability } from '../answer/predictive-intervals.js'
import { linearChange } from '../answer/programs-by-input.js'
import { textsOption } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import type { Graph } from '../graph/graph.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { hasLinearModel, withoutLinearModel } from '../options/combinations.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { whole } from '../options/option-values.js'
import { type Likelihood, type Link, LINKS, type Precision, PRECISIONS } from '../options/words.js'
import { GRAPH_OUTPUTS, type GraphOutput, predictionGraph } from '../prediction-graph/prediction-graph.js'
import { LINK_SAMPLES } from '../prediction/link.js'

/** The options of an export. */
export interface ExportOptions {
  /**
   * Names among `GRAPH_OUTPUTS`. By default `mean`, `variance`, and what the posterior has without draws:
   * `probabilities` and `sets`, or `predictive_mean` (where it is not `mean`), `predictive_variance`, `epistemic` and
   * (calibrated) `lower` and `upper`; `novelty`.
   */
  readonly outputs?: string | readonly string[] | undefined
  /** Of the file's real inputs and outputs, by default the fit's. */
  readonly precision?: Precision | undefined
  /** Another name of `precision`. */
  readonly dtype?: Precision | undefined
  /** By default the posterior's own answer. */
  readonly link?: Link | undefined
  /** The probability of `lower`, `upper` and `sets`; default 0.9. */
  readonly level?: number | undefined
  /** Draws of link mc, kept in the file; default 1,000. */
  readonly samples?: number | undefined
  /** Of the draws, by default the posterior's. */
  readonly seed?: number | undefined
}

/** The names of the options of an export. */
export const EXPORT_OPTIONS: readonly (keyof ExportOptions)[] = ['outputs', 'precision', 'dtype', 'link', 'level',
  'samples', 'seed']

/** A prediction as a graph, and what was settled for it. */
export interface ExportedGraph {
  readonly graph: Graph
  readonly outputs: readonly GraphOutput[]
  readonly precision: Precision
  readonly level: number
  readonly link: Link | undefined
  /** Of the draws in the file; undefined where it has none. */
  readonly seed: number | undefined
}

const LEVEL = 0.9

/** The prediction of a posterior as a graph. @throws OptionError BAD_OPTION, BAD_COMBINATION */
export function exportGraph(state: PosteriorState, options: ExportOptions): ExportedGraph {
  knownOptions('toOnnx', options, EXPORT_OPTIONS)
  const { evaluator, structured, trainingVariances, conformal, choice } = state
  const { network } = evaluator
  const precision = precisionOf(options) ?? evaluator.precision
  const link = options.link === undefined ? undefined : oneOf('link', options.link, LINKS)
  const outputs = options.outputs === undefined ? usualOutputs(state) : namedOutputs(state, options.outputs)
  const level = options.level === undefined ? LEVEL : openProbability('level', options.level)
  const seed = whole('seed', options.seed ?? state.options.seed, 0)
  checkLink(state, outputs, link)
  const graph = predictionGraph({ network, subset: evaluator.subset, posterior: structured, change: linearChange(state),
    answer: choice, likelihood: likelihoodModel(state.options.likelihood), link, sigmaNoise: noiseOf(state),
    noiseCovariance: state.options.noiseCovariance, trainingVariances, calibration: conformal, level, precision,
    outputs,
    draws: { seed, samples: options.samples === undefined ? LINK_SAMPLES : whole('samples', options.samples, 1) } })
  const drawn = link === 'mc' || (hasLogits(state.options.likelihood) &&
    outputs.some(name => name === 'aleatoric' || name === 'epistemic'))
  return { graph, outputs, precision, level, link, seed: drawn ? seed : undefined }
}

function precisionOf({ precision, dtype }: ExportOptions): Precision | undefined {
  if (precision !== undefined && dtype !== undefined && precision !== dtype) {
    throw new OptionError('BAD_COMBINATION',
      `Options precision and dtype mean the same, and are '${precision}' and '${dtype}'. Give one of them.`, {
      option: 'dtype',
      value: dtype,
    })
  }
  const given = precision ?? dtype
  return given === undefined ? undefined : oneOf(precision === undefined ? 'dtype' : 'precision', given, PRECISIONS)
}

/** What is there without draws. */
function usualOutputs({ options: { likelihood }, conformal, trainingVariances }: PosteriorState): GraphOutput[] {
  return [
    'mean',
    'variance',
    ...(likelihood === 'regression' || hasObservation(likelihood)
      ? [...(likelihood === 'regression' ? [] : ['predictive_mean'] as const), 'predictive_variance', 'epistemic',
        ...(conformal === undefined ? [] : ['lower', 'upper'] as const)] as const
      : hasLogits(likelihood)
      ? ['probabilities', ...(setsOf(conformal) ? ['sets'] as const : [])] as const
      : []),
    ...(trainingVariances === undefined ? [] : ['novelty'] as const),
  ]
}

/** Whether what a new observation is follows from the outputs by formulas of the likelihood. */
function hasObservation(likelihood: Likelihood): boolean {
  return likelihoodModel(likelihood).observation !== undefined
}

/** Whether sets of classes can be made, one row at a time. */
function setsOf(conformal: PosteriorState['conformal']): boolean {
  const scores = conformal?.scores
  return scores?.kind === 'threshold' || (scores?.kind === 'adaptive' && !scores.randomised)
}

function namedOutputs(state: PosteriorState, given: string | readonly string[]): GraphOutput[] {
  const words = (typeof given === 'string' ? given.split(',') : textsOption('outputs', given ?? null) ?? []).map(word =>
    String(word).trim().replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
  )
  if (words.length === 0) {
    throw new OptionError('BAD_OPTION', 'Option outputs must name at least one output, for example mean.', {
      option: 'outputs',
    })
  }
  const names = [...new Set(words.map(word => oneOf('outputs', word, GRAPH_OUTPUTS)))]
  for (const name of names) checkOutput(state, name)
  return names
}

/** What every posterior has, whatever its likelihood. */
const OF_OUTPUTS: readonly GraphOutput[] = ['mean', 'variance', 'covariance', 'novelty', 'novelty_score']
const OF_CLASSES: readonly GraphOutput[] = ['probabilities', 'sets']

/** @throws OptionError BAD_COMBINATION for an output that the posterior does not have */
function checkOutput({ options, conformal, trainingVariances }: PosteriorState, name: GraphOutput): void {
  const { likelihood, noiseCovariance } = options
  const refuse = (why: string): never => {
    throw new OptionError('BAD_COMBINATION', `This posterior has no output '${name}': ${why}`, { option: 'outputs',
      value: name, likelihood })
  }
  if (!OF_OUTPUTS.includes(name)) checkKind(likelihood, name, refuse)
  if (name === 'sets' && conformal === undefined) {
    refuse('sets need a calibration by rows that the network has not seen: conformalize(x, y). Export the ' +
      'posterior that it returns.')
  }
  if ((name === 'lower' || name === 'upper') && likelihood === 'poisson' && conformal === undefined) {
    refuse('the interval of a count has no closed form. Call conformalize(x, y) with rows that the network has not ' +
      'seen, and export the posterior that it returns; or ask for predictive_mean and predictive_variance.')
  }
  if (name === 'predictive_covariance' && noiseCovariance === undefined) {
    refuse('the noises of its outputs are independent. Ask for covariance and predictive_variance.')
  }
  if ((name === 'novelty' || name === 'novelty_score') && trainingVariances === undefined) {
    refuse(hasLinearModel(options)
      ? "only a fit by tune 'auto' or 'validated' keeps the training rows' variances that novelty is compared with. " +
        "Leave it out, or fit with tune 'auto'."
      : `novelty is that of a linear model, which ${withoutLinearModel(options)} does not have. Leave it out.`)
  }
}

/** Whether the likelihood has such an output: classes have probabilities, numbers a new observation. */
function checkKind(likelihood: Likelihood, name: GraphOutput, refuse: (why: string) => never): void {
  const regression = likelihood === 'regression'
  if (!hasLogits(likelihood) && !regression && !hasObservation(likelihood)) {
    refuse(`likelihood ${likelihood} is exported as its outputs. Ask for mean, variance or covariance.`)
  }
  if (!hasLogits(likelihood) && OF_CLASSES.includes(name)) {
    refuse(`${regression ? 'it is a regression' : `its likelihood is ${likelihood}`}. Ask for mean, variance, ` +
      'predictive_variance, lower or upper.')
  }
  if (hasLogits(likelihood) && !OF_CLASSES.includes(name) && name !== 'aleatoric' && name !== 'epistemic') {
    refuse(`its likelihood is ${likelihood}. Ask for probabilities, or, calibrated, for sets.`)
  }
  if (regression && name === 'predictive_mean') refuse('the mean of a new observation of a regression is mean.')
}

/** Sets are calibrated for the posterior's own answer. @throws OptionError BAD_COMBINATION */
function checkLink({ choice }: PosteriorState, outputs: readonly GraphOutput[], link: Link | undefined): void {
  if (!outputs.includes('sets') || link === undefined || (choice === undefined && link === 'probit')) return
  throw new OptionError('BAD_COMBINATION',
    "The calibration is for the posterior's own predictions; with another link the guarantee of its sets would be " +
      'lost. Leave link out, or sets.', { option: 'link', value: link })
}
