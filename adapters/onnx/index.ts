/** @file The public names of `polylaplace/adapters/onnx`. */
export { onnxClasses } from './class-names.js'
export type { ExternalData } from './external-data.js'
export { gramBlocks, gramName } from './gram.js'
export { type BesideOptions, modelFiles, ONNX_EXPORT_OPTIONS, type OnnxExportOptions,
  posteriorModel } from './posterior-model.js'
export { externalLocations, type OnnxOptions, readOnnx, readOnnxTensors } from './read-onnx.js'
export { writeOnnx, type WriteOptions } from './write-onnx.js'
