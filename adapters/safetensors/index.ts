/** @file The public names of `polylaplace/adapters/safetensors`. */
export { looksLikeSafetensors } from './header.js'
export { looksLikeSafetensorsIndex, readSafetensors, readSafetensorsMetadata, readSafetensorsTensors,
  readShardedSafetensors, type SafetensorsNetworkOptions, type SafetensorsOptions, safetensorsParts,
  writtenByRTorch } from './read-safetensors.js'
