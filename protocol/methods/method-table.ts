/**
 * @file The methods that the compute threads carry out, and what they make. Plain data: the I/O thread, which reads it
 * too, must load no computing code, or every start of the server would wait for it.
 */
import type { HandleKind } from '../messages/handle-kind.js'

/** What the I/O thread knows of a method. */
export interface MethodEntry {
  /** The kind of handle that a successful request leaves behind. */
  readonly creates?: HandleKind
}

const TABLE = {
  readNetwork: { creates: 'model' },
  filesBeside: {},
  inspect: {},
  forward: {},
  fit: { creates: 'posterior' },
  fitBegin: { creates: 'fit' },
  fitBatch: {},
  fitEnd: { creates: 'posterior' },
  fitPartial: {},
  digestChunk: {},
  mergePartials: {},
  subtractPartial: {},
  addRows: { creates: 'posterior' },
  forget: { creates: 'posterior' },
  fitMerged: { creates: 'posterior' },
  tune: { creates: 'posterior' },
  withPrior: { creates: 'posterior' },
  conformalize: { creates: 'posterior' },
  predict: {},
  functionalVariance: {},
  inputGradients: {},
  sample: {},
  predictiveSamples: {},
  functionalSamples: {},
  logProb: {},
  logMarginalLikelihood: {},
  get: {},
  save: {},
  toOnnx: {},
  load: { creates: 'posterior' },
  compare: {},
  figures: {},
  report: {},
  metrics: {},
} as const satisfies Record<string, MethodEntry>

/** A method of the compute threads. */
export type MethodName = keyof typeof TABLE

/** By name, in the order of docs/protocol.md. */
export const METHODS: ReadonlyMap<string, MethodEntry> = new Map(Object.entries(TABLE))
