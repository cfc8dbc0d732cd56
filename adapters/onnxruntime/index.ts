/** @file The public names of `polylaplace/adapters/onnxruntime`. */
export { onnxRuntimeEngine, type OnnxRuntimeOptions } from './engine.js'
