/**
 * @file The package's entry for browsers: the Node entry's functions without threads and files. One file without
 * imports is made of it (`npm run build:browser`); it needs no `unsafe-eval`, only `wasm-unsafe-eval` for the kernels.
 */
import { type NetworkHints, readNetwork as readBytes } from '../adapters/network/index.js'
import type { Graph } from '../core/graph/graph.js'

export { auroc, type CalibrationSummary, type Comparison, type ConformalOptions, type CurvatureMatrix, ERROR_CODES,
  type ErrorCode, type Graph, LaplaceError, memoryTable, mergePartialFits, type PartialFit, type PosteriorSummary,
  type PredictOptions, type PriorChanges, type Progress, readPartialFit, summarizeNetwork, type TrainingScores,
  type TrainingSummary, type TuneOptions, writePartialFit } from '../core/index.js'
export { type ArrayInput, type ExamplesInput, toNdArray, toTensor } from '../node/arrays.js'
export { type Batches, laplace, type LaplaceFit, loadPosterior, metrics } from '../node/laplace.js'
export { type ArrayBatch, type LaplaceOptions, type WorkOptions } from '../node/options.js'
export { Posterior } from '../node/posterior.js'
export { type Prediction } from '../node/prediction.js'

/**
 * Reads a network from the bytes of its file; the format is recognised by content.
 * @throws UntrustedInputError, GraphError, OptionError as the format's reader
 * @example
 * const network = await readNetwork(new Uint8Array(await file.arrayBuffer()))
 */
export function readNetwork(bytes: Uint8Array, hints: NetworkHints = {}): Promise<Graph> {
  return readBytes(bytes, hints)
}
