/** @file The public names of `polylaplace/adapters/flux`. */
export { describeFlux, type FluxDescription, type LayerDescription } from './describe.js'
export { readJld2Tensors, readJld2TorchTensors } from './jld2/jld2.js'
export { isJld2 } from './jld2/superblock.js'
export { type FluxOptions, readFlux } from './read-flux.js'
export { readFluxTensors, readFluxTorchTensors } from './tensors.js'
