/** @file The public names of `polylaplace/adapters/onnx`. */
export { externalLocations, type OnnxOptions, readOnnx, readOnnxTensors } from './read-onnx.js'
export type { ExternalData } from './external-data.js'
export { gramBlocks, gramName } from './gram.js'
export { type WriteOptions, writeOnnx } from './write-onnx.js'
