/** @file The package's Node entry: ndarrays, typed and nested arrays in, ndarrays out. */
export { auroc, type CalibrationSummary, type Comparison, type ConformalOptions, type CurvatureMatrix, ERROR_CODES,
  type ErrorCode, type Graph, LaplaceError, memoryTable, mergePartialFits, mergePartials, type PartialFit,
  type PosteriorSummary, type PredictOptions, type PriorChanges, type Progress, readPartialFit, subtractPartialFit,
  summarizeNetwork, type TrainingScores, type TrainingSummary, type TuneOptions,
  writePartialFit } from './core/index.js'
export { type ArrayInput, type ExamplesInput, type NamedRows, toNdArray, toTensor } from './node/arrays.js'
export { type ArrowBatch, arrowBatches, type ArrowColumn, type ArrowColumns, type ArrowRows, predictBatches,
  type PredictedBatch } from './node/arrow.js'
export { writeWhole } from './node/files/write-file.js'
export { type Batches, laplace, type LaplaceFit, loadPosterior, metrics } from './node/laplace.js'
export { Mixture } from './node/mixture.js'
export { type ArrayBatch, type LaplaceOptions, type WorkOptions } from './node/options.js'
export { type OwnLikelihood } from './node/own-likelihood.js'
export { Posterior } from './node/posterior.js'
export { type Prediction } from './node/prediction.js'
export { readNetwork, type ReadOptions } from './node/read-network.js'
