/** @file The public names of `polylaplace/adapters/pytorch`. */
export { type PyTorchOptions, readPyTorch, readPyTorchTensors, type ReadTensors,
  type TensorOptions } from './read-pytorch.js'
