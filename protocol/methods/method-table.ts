/**
 * @file The methods that the compute threads carry out: what they take, and what they make. Plain data: the I/O thread,
 * which reads it too, must load no computing code, or every start of the server would wait for it.
 */
import type { HandleKind } from '../messages/handle-kind.js'

/** What is known of a method. */
export interface MethodEntry {
  /** The names of its parameters; others are refused. */
  readonly takes: readonly string[]
  /** The kind of handle that a successful request leaves behind. */
  readonly creates?: HandleKind
}

/** The forms in which a network arrives, and what may come with each of them. */
export const NETWORK_PARAMETERS = ['bytes', 'path', 'module', 'layers', 'tensors', 'nnet', 'sklearn', 'hints',
  'columns', 'preparation', 'targets', 'expected', 'brief'] as const

const APPROXIMATION = ['model', 'network', 'options'] as const
const DATA = ['x', 'y'] as const
/** How much of a new posterior is answered. */
const ANSWER = ['brief', 'values'] as const
/** One of the two. */
const PREDICTOR = ['posterior', 'mixture'] as const

const TABLE = {
  readNetwork: { takes: NETWORK_PARAMETERS, creates: 'model' },
  filesBeside: { takes: ['bytes'] },
  inspect: { takes: ['model', 'likelihood'] },
  forward: { takes: ['model', 'x', 'options'] },
  forecast: { takes: [...APPROXIMATION, 'rows', 'batch', 'predict', 'samples'] },
  fit: { takes: [...APPROXIMATION, ...DATA, 'sampleWeight', 'validation', ...ANSWER], creates: 'posterior' },
  fitBegin: { takes: [...APPROXIMATION, 'validation'], creates: 'fit' },
  fitBatch: { takes: ['fit', ...DATA, 'sampleWeight'] },
  fitEnd: { takes: ['fit', ...ANSWER], creates: 'posterior' },
  fitPartial: { takes: [...APPROXIMATION, ...DATA, 'sampleWeight', 'chunk'] },
  digestChunk: { takes: [...DATA, 'chunk'] },
  mergePartials: { takes: ['partials', 'repeats'] },
  subtractPartial: { takes: ['partial', 'part'] },
  addRows: { takes: ['posterior', ...DATA, 'sampleWeight', ...ANSWER], creates: 'posterior' },
  forget: { takes: ['posterior', ...DATA, 'sampleWeight', ...ANSWER], creates: 'posterior' },
  fitMerged: { takes: [...APPROXIMATION, ...DATA, 'partial', 'validation', ...ANSWER], creates: 'posterior' },
  tune: { takes: ['posterior', 'options', ...DATA, 'validation', ...ANSWER], creates: 'posterior' },
  withPrior: { takes: ['posterior', 'priorPrecision', 'priorMean', 'sigmaNoise', 'temperature', ...ANSWER],
    creates: 'posterior' },
  conformalize: { takes: ['posterior', ...DATA, 'score', 'randomised', 'seed', ...ANSWER], creates: 'posterior' },
  mix: { takes: ['members', 'weights'], creates: 'mixture' },
  conformalizeMixture: { takes: ['mixture', ...DATA, 'score', 'randomised', 'seed'], creates: 'mixture' },
  predict: { takes: [...PREDICTOR, 'x', 'options', 'parts'] },
  functionalVariance: { takes: [...PREDICTOR, 'x', 'joint'] },
  influence: { takes: ['posterior', ...DATA, 'sampleWeight', 'at'] },
  inputGradients: { takes: [...PREDICTOR, 'x'] },
  sample: { takes: ['posterior', 'samples', 'seed'] },
  predictiveSamples: { takes: [...PREDICTOR, 'x', 'samples', 'seed', 'predictive'] },
  functionalSamples: { takes: [...PREDICTOR, 'x', 'samples', 'seed', 'predictive'] },
  logProb: { takes: ['posterior', 'theta'] },
  logMarginalLikelihood: { takes: ['posterior', 'priorPrecision', 'sigmaNoise'] },
  get: { takes: ['posterior', 'names'] },
  save: { takes: ['posterior', 'network', 'labels'] },
  toOnnx: { takes: ['posterior', 'options', 'stem', 'card', 'mlflow', ...DATA] },
  load: { takes: ['data', 'model', ...ANSWER], creates: 'posterior' },
  compare: { takes: [...PREDICTOR, ...DATA, 'outliers'] },
  figures: { takes: ['posterior', ...DATA, 'outliers'] },
  report: { takes: ['posterior', ...DATA, 'outliers', 'classes', 'title'] },
  metrics: { takes: ['likelihood', 'y', 'mean', 'variance', 'probabilities', 'covariance', 'sigmaNoise'] },
} as const satisfies Record<string, MethodEntry>

/** A method of the compute threads. */
export type MethodName = keyof typeof TABLE

/** By name, in the order of docs/protocol.md. */
export const METHODS: ReadonlyMap<string, MethodEntry> = new Map(Object.entries(TABLE))
