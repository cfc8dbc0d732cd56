/** @file A posterior's prediction as one graph, from the options of an export. */
import { textsOption } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import type { Graph } from '../graph/graph.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { whole } from '../options/option-values.js'
import { type Likelihood, type Link, LINKS, type Precision, PRECISIONS } from '../options/words.js'
import { GRAPH_OUTPUTS, type GraphOutput, predictionGraph } from '../prediction-graph/prediction-graph.js'
import { noiseOf, type PosteriorState } from './posterior-state.js'
import { openProbability } from './predictive-intervals.js'
import { linearChange } from './programs-by-input.js'

/** The options of an export. */
export interface ExportOptions {
  /**
   * Names among `GRAPH_OUTPUTS`. By default `mean`, `variance`, and what the posterior has without draws:
   * `probabilities` and `sets`, or `predictive_variance`, `epistemic` and (calibrated) `lower` and `upper`; `novelty`.
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

const LINK_SAMPLES = 1000
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
    trainingVariances, calibration: conformal, level, precision, outputs,
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
    ...(likelihood === 'regression'
      ? ['predictive_variance', 'epistemic', ...(conformal === undefined ? [] : ['lower', 'upper'] as const)] as const
      : hasLogits(likelihood)
      ? ['probabilities', ...(setsOf(conformal) ? ['sets'] as const : [])] as const
      : []),
    ...(trainingVariances === undefined ? [] : ['novelty'] as const),
  ]
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

/** @throws OptionError BAD_COMBINATION for an output that the posterior does not have */
function checkOutput({ options: { likelihood }, conformal, trainingVariances, choice }: PosteriorState,
  name: GraphOutput): void {
  if (!hasLogits(likelihood) && likelihood !== 'regression') return checkPlainOutput(likelihood, name)
  const regression = likelihood === 'regression'
  const refuse = (why: string): never => {
    throw new OptionError('BAD_COMBINATION', `This posterior has no output '${name}': ${why}`, { option: 'outputs',
      value: name, likelihood })
  }
  if (regression && (name === 'probabilities' || name === 'sets')) {
    refuse('it is a regression. Ask for mean, variance, predictive_variance, lower or upper.')
  }
  if (!regression && (name === 'predictive_variance' || name === 'lower' || name === 'upper')) {
    refuse(`its likelihood is ${likelihood}. Ask for probabilities, or, calibrated, for sets.`)
  }
  if (name === 'sets' && conformal === undefined) {
    refuse('sets need a calibration. Call conformalize(x, y) with rows that the network has not seen, and export the ' +
      'posterior that it returns.')
  }
  if ((name === 'novelty' || name === 'novelty_score') && trainingVariances === undefined) {
    refuse(
      `only a fit by ${choice === undefined ? 'tune auto or validated' : 'auto or validated'} keeps the training ` +
        "rows' variances that novelty is compared with. Leave it out, or fit with tune 'auto'.",
    )
  }
}

/** Likelihoods of numbers but regression are exported as their outputs, without what follows from them. */
function checkPlainOutput(likelihood: Likelihood, name: GraphOutput): void {
  if (name === 'mean' || name === 'variance' || name === 'covariance') return
  throw new OptionError('BAD_COMBINATION',
    `A posterior of likelihood ${likelihood} is exported as its outputs (mean, variance, covariance), without '${name}'`
      + '. The formulas from them to a new observation are in the documentation.', { option: 'outputs', value: name,
    likelihood })
}

/** Sets are calibrated for the posterior's own answer. @throws OptionError BAD_COMBINATION */
function checkLink({ choice }: PosteriorState, outputs: readonly GraphOutput[], link: Link | undefined): void {
  if (!outputs.includes('sets') || link === undefined || (choice === undefined && link === 'probit')) return
  throw new OptionError('BAD_COMBINATION',
    "The calibration is for the posterior's own predictions; with another link the guarantee of its sets would be " +
      'lost. Leave link out, or sets.', { option: 'link', value: link })
}
