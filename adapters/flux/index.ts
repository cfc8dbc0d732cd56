/** @file The public names of `polylaplace/adapters/flux`. */
export { describeFlux, type FluxDescription, type LayerDescription } from './describe.js'
export { isJld2 } from './jld2-file.js'
export { readJld2Tensors, readJld2TorchTensors } from './jld2.js'
export { type FluxOptions, readFlux } from './read-flux.js'
export { readFluxTensors } from './tensors.js'
export { readFluxTorchTensors } from './torch-layout.js'
