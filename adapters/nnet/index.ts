/** @file The public names of `polylaplace/adapters/nnet`. */
export { type BruleeFields, type NeuralnetFields, readBrulee, readNeuralnet } from './other-fits.js'
export { type NnetFields, readNnet } from './read-nnet.js'
