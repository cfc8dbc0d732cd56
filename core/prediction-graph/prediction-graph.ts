/**
 * @file The whole prediction as one graph: the network, the variances of its outputs under the posterior, the link, and
 * what is made of them. The same formulas as prediction/ and posterior/, as nodes.
 */
import type { Calibration } from '../conformal/calibration.js'
import { convertPrecision } from '../engine/precision.js'
import { InternalError, OptionError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { ownShape, termsOf } from '../likelihood/output-layout.js'
import type { Network } from '../network/network.js'
import type { Link, Subset } from '../options/words.js'
import { removeDead, sortNodes } from '../passes/fold.js'
import { once, type StructuredPosterior } from '../posterior/posterior.js'
import type { Answer } from '../prediction/answer.js'
import { linkNeeds } from '../prediction/link.js'
import type { Precision } from '../tensor/tensor.js'
import { type Formulas, formulas } from './formulas.js'
import { asDouble, asNetwork, bothPrecisions, type GraphPrecisions } from './graph-operations.js'
import { intervalValues, noveltyValues, setValues } from './intervals.js'
import { drawnProbabilities, type Draws, entropies, type GaussianValues, inverseLink, linkValues } from './links.js'
import { type NetworkGaussian, networkGaussian } from './network-gaussian.js'
import { type ObservationValues, observationValues } from './observation.js'
import { scaledVariance } from './output-variance.js'
import { shortened } from './shorten.js'

/** What a graph can have as its outputs; names as they are in the file. */
export const GRAPH_OUTPUTS = ['mean', 'variance', 'covariance', 'probabilities', 'aleatoric', 'epistemic',
  'predictive_mean', 'predictive_variance', 'predictive_covariance', 'lower', 'upper', 'sets', 'novelty',
  'novelty_score'] as const

/** One of `GRAPH_OUTPUTS`. */
export type GraphOutput = (typeof GRAPH_OUTPUTS)[number]

/** Outputs that are made in the network's precision, or are truth values. */
const IN_NETWORKS_PRECISION: ReadonlySet<GraphOutput> = new Set(['sets', 'probabilities', 'novelty', 'novelty_score'])

/** What the graph of a prediction is made from. */
export interface PredictionGraphTask {
  readonly network: Network
  readonly subset: Subset
  readonly posterior: StructuredPosterior
  /** w_lin - theta of a last layer whose linear model has a part in the answer, P. */
  readonly change: Float64Array | undefined
  readonly answer: Answer | undefined
  readonly likelihood: LikelihoodModel
  /** Undefined: the answer's own where there is one, else probit. */
  readonly link: Link | undefined
  /** sigma of every output, C. */
  readonly sigmaNoise: Float64Array
  /** The covariance of the noises, C x C, where they are correlated. */
  readonly noiseCovariance: Float64Array | undefined
  readonly trainingVariances: Float64Array | undefined
  readonly calibration: Calibration | undefined
  readonly level: number
  /** Draws of link mc. */
  readonly draws: Draws
  readonly precision: Precision
  readonly outputs: readonly GraphOutput[]
}

/** Draws behind the decomposition. */
const DECOMPOSITION_SAMPLES = 1000

/**
 * A graph from the network's inputs to the named outputs, in the layout and with the numbers of `predict`. Its real
 * inputs and outputs are of the precision; variances are worked out in float64.
 * @throws OptionError BAD_COMBINATION for what the posterior does not have or a graph cannot compute; GraphError
 *   NOT_DIFFERENTIABLE
 */
export function predictionGraph(task: PredictionGraphTask): Graph {
  const { network, precision, outputs } = task
  const graph = withFreeNames(convertPrecision(network.graph, precision), outputs)
  const output = graph.outputs[0]
  const gaussian = networkGaussian({ ...task, graph, output })
  const own = bothPrecisions(formulas(gaussian.builder, precision))
  const made = answers(task, gaussian.values, own)
  // First the probabilities: what they need of a full posterior may be the greater part of the variance.
  if (outputs.includes('probabilities')) made.probabilities()
  for (const name of outputs) {
    const value = made[name]()
    const shaped = laidOut(own.double, value, name, task)
    const cast = IN_NETWORKS_PRECISION.has(name) || value === gaussian.values.f ? shaped : asNetwork(own, shaped)
    gaussian.builder.nodes.push({ op: 'Identity', inputs: [cast], outputs: [name], attributes: {} })
  }
  const kept = new Set(graph.nodes.flatMap(node => node.outputs))
  return shortened(removeDead(sortNodes({ ...gaussian.builder.build(outputs), parameters: [] })), kept)
}

/** What computes each output, once; nodes are written for what is asked for alone. */
function answers(task: PredictionGraphTask, values: NetworkGaussian,
  own: GraphPrecisions): Record<GraphOutput, () => string> {
  const { double } = own
  const { likelihood, link, network, sigmaNoise } = task
  const f = once(() => asDouble(own, values.f))
  const linear = once(() => (values.change === undefined ? undefined : double.add(f(), values.change())))
  const mean = once(() => gaussianMean(double, task, f(), linear()))
  const gaussian = (): GaussianValues => ({ likelihood, outputs: network.outputs, mean: mean(),
    variance: values.variance })
  // Of the likelihoods of numbers a regression alone takes the mean of its linear model: see answer/prediction.ts.
  const observed = once(() =>
    observationValues(double, likelihood.name === 'regression' ? gaussian() : { ...gaussian(), mean: f() }, sigmaNoise)
  )
  const mixed = once(() => (link === undefined ? mixture(own, task, values.f, linear(), gaussian()) : undefined))
  const probabilities = once(() => {
    linkNeeds(link ?? 'probit', likelihood)
    return mixed()?.probabilities ?? linkValues(own, link ?? 'probit', gaussian(), task.draws)
  })
  const parts = once(() => {
    const moments = observed()
    return moments === undefined
      ? mixed()?.parts() ?? decomposition(double, gaussian(), task.draws.seed)
      : { aleatoric: moments.aleatoric(), epistemic: moments.epistemic() }
  })
  const observation = (): ObservationValues => observed() ?? missing('observation')
  const intervals = once(() => intervalValues(double, likelihood, observation(), task.calibration, task.level))
  const novelty = once(() =>
    noveltyValues(own.network, asNetwork(own, values.variance.variance()), task.trainingVariances ?? missing('novelty'),
      likelihood.name === 'regression' ? sigmaNoise : undefined)
  )
  return {
    mean: () => (likelihood.name !== 'regression' || linear() === undefined ? values.f : mean()),
    variance: () => values.variance.variance(),
    covariance: () => values.variance.covariance(),
    probabilities,
    aleatoric: () => parts().aleatoric,
    epistemic: () => parts().epistemic,
    predictive_mean: () => observation().mean(),
    predictive_variance: () => observation().variance(),
    predictive_covariance: () =>
      double.add(values.variance.covariance(),
        double.matrix(task.noiseCovariance ?? missing('correlated noise'), [network.outputs, network.outputs])),
    lower: () => intervals().lower,
    upper: () => intervals().upper,
    sets: () => setValues(double, asDouble(own, probabilities()), network.outputs, setScores(task), task.level),
    novelty: () => novelty().pValue,
    novelty_score: () => novelty().score,
  }
}

function missing(what: string): never {
  throw new InternalError(`The posterior has no ${what}.`)
}

function setScores({ calibration }: PredictionGraphTask) {
  const scores = calibration?.scores
  return scores?.kind === 'adaptive' || scores?.kind === 'threshold' ? scores : missing('sets')
}

/** The graph without values that have the names of outputs; names of inputs stay. */
function withFreeNames(graph: Graph, names: readonly string[]): Graph {
  const inputs = new Set(graph.inputs.map(({ name }) => name))
  const taken = names.find(name => inputs.has(name))
  if (taken !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      `The network has an input '${taken}', and an output cannot have the same ` +
        'name. Leave that output out, or export the network with another name of its input.', { option: 'outputs',
      value: taken })
  }
  const reserved = new Set<string>(names)
  const renamed = (name: string): string => (reserved.has(name) ? `network:${name}` : name)
  return {
    ...graph,
    outputs: graph.outputs.map(renamed),
    nodes: graph.nodes.map(node => ({ ...node, inputs: node.inputs.map(renamed), outputs: node.outputs.map(renamed) })),
    initializers: new Map([...graph.initializers].map(([name, value]) => [renamed(name), value] as const)),
    parameters: graph.parameters.map(parameter => ({ ...parameter, name: renamed(parameter.name) })),
  }
}

/** The mean of the outputs: see answer/output-gaussian.ts. */
function gaussianMean(f: Formulas, { posterior, answer }: PredictionGraphTask, own: string,
  linear: string | undefined): string {
  if (linear === undefined) return own
  if (answer?.link === 'map') {
    return weighted(f, [[answer.networkWeight, () => own], [answer.linearWeight, () => linear]])
  }
  return posterior.curvature.structure === 'lowrank' ? linear : own
}

/** sum_i w_i x_i, without what has no weight. */
function weighted(f: Formulas, terms: readonly (readonly [number, () => string])[]): string {
  const counted = terms.filter(([weight]) => weight !== 0).map(([weight, value]) =>
    weight === 1 ?
      value() :
      f.mul(value(), weight)
  )
  return counted.length === 0 ? f.mul(terms[0][1](), 0) : counted.reduce((a, b) => f.add(a, b))
}

/** Probabilities of a mixture, and the parts of its doubt when they are asked for. */
interface MixtureValues {
  readonly probabilities: string
  readonly parts: () => PartsValues
}

interface PartsValues {
  readonly aleatoric: string
  readonly epistemic: string
}

/** The mixture of network and linear model (see prediction/mixture.ts), where there is such an answer. */
function mixture(precisions: GraphPrecisions, { answer, likelihood, draws }: PredictionGraphTask, own: string,
  linear: string | undefined, gaussian: GaussianValues): MixtureValues | undefined {
  if (answer === undefined || likelihood.name === 'regression') return undefined
  if (linear === undefined && answer.linearWeight !== 0) return undefined
  const { link, networkWeight, networkTemperature = 1 } = answer
  const { network: f, double } = precisions
  const outputs = once(() => (networkTemperature === 1 ? own : f.div(own, networkTemperature)))
  const network = once(() => inverseLink(f, likelihood, outputs()))
  const shares = sharesOf(precisions, answer, outputs, linear, gaussian)
  const probabilities = weighted(f, [[networkWeight, network],
    ...shares.map(({ weight, scale, values }) =>
      [weight, () => linkValues(precisions, scale === 0 ? 'map' : link, values(), draws)] as const
    )])
  return { probabilities, parts: () => {
    const entropyOf = (p: string): string => entropies(double, likelihood, asDouble(precisions, p))
    const drawn = (values: GaussianValues): string =>
      drawnProbabilities(double, values, { seed: draws.seed, samples: DECOMPOSITION_SAMPLES }).expectedEntropy
    const aleatoric = weighted(double, [[networkWeight, () => entropyOf(network())],
      ...shares.map(({ weight, values }) => [weight, () => drawn(values())] as const)])
    return difference(double, entropyOf(probabilities), aleatoric)
  } }
}

/** A Gaussian over the outputs that has a share in the answer, and the factor of its variance. */
interface ShareValues {
  readonly weight: number
  readonly scale: number
  readonly values: () => GaussianValues
}

/** What has a share beside the network: the linear model, and the outputs halfway. */
function sharesOf(precisions: GraphPrecisions,
  { varianceScale, linearWeight, halfwayWeight = 0, halfwayScale = 0 }: Answer, own: () => string,
  linear: string | undefined, gaussian: GaussianValues): ShareValues[] {
  const { double } = precisions
  const mean = linear ?? gaussian.mean
  const share = (weight: number, scale: number, f: () => string): ShareValues => ({ weight, scale,
    values: once(() => ({ ...gaussian, mean: f(), variance: scaledVariance(double, gaussian.variance, scale) })) })
  const halfway = (): string => double.mul(double.add(asDouble(precisions, own()), mean), 0.5)
  return [share(linearWeight, varianceScale, () => mean), share(halfwayWeight, halfwayScale, halfway)]
}

function decomposition(f: Formulas, gaussian: GaussianValues, seed: number): PartsValues {
  const { probabilities, expectedEntropy } = drawnProbabilities(f, gaussian, { seed, samples: DECOMPOSITION_SAMPLES })
  return difference(f, entropies(f, gaussian.likelihood, probabilities), expectedEntropy)
}

function difference(f: Formulas, total: string, aleatoric: string): PartsValues {
  return { aleatoric, epistemic: f.max(f.sub(total, aleatoric), 0) }
}

/** Numbers of terms, (N T) x ..., as the network's outputs lie; numbers of a term N, or N x positions. */
function laidOut(f: Formulas, value: string, name: GraphOutput, { network, likelihood }: PredictionGraphTask): string {
  const { positions, outputs, classAxis } = network
  const ofTerms = name === 'novelty' || name === 'novelty_score' ||
    ((name === 'aleatoric' || name === 'epistemic') && likelihood.name === 'classification')
  if (ofTerms) return f.reshape(value, [-1, ...positions])
  if (positions.length === 0) return name === 'mean' ? f.reshape(value, [-1, outputs]) : value
  if (name === 'covariance' || name === 'predictive_covariance') {
    return f.reshape(value, [-1, ...positions, outputs, outputs])
  }
  const width = name === 'sets' && outputs === 1 ? 2 : outputs
  if (classAxis === undefined && width === 1) return f.reshape(value, [-1, ...ownShape(network)])
  const rows = f.reshape(value, [-1, ...positions, width])
  if (width !== outputs || classAxis === undefined || classAxis > positions.length || termsOf(network) === 1) {
    return width === outputs ? f.reshape(rows, [-1, ...ownShape(network)]) : rows
  }
  const order = positions.map((_, axis) => axis + 1)
  return f.transpose(rows, [0, ...order.slice(0, classAxis - 1), positions.length + 1, ...order.slice(classAxis - 1)])
}
