/** @file The public names of `polylaplace/adapters/flux`. */
export { type FluxOptions, readFlux } from './read-flux.js'
export { readFluxTensors } from './tensors.js'
export { type FluxDescription, type LayerDescription, describeFlux } from './describe.js'
export { readJld2Tensors } from './jld2.js'
export { isJld2 } from './jld2-file.js'
