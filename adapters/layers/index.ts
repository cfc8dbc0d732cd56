/** @file The public names of `polylaplace/adapters/layers`. */
export { checkArchitecture, type LayerSpec, parseArchitecture } from './layer-spec.js'
export { LAYER_TYPES } from './layers.js'
export { ACTIVATION_WORDS, activationType } from './linear-chain.js'
export { type LayersOptions, networkFromLayers } from './network-from-layers.js'
