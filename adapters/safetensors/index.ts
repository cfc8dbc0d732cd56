/** @file The public names of `polylaplace/adapters/safetensors`. */
export { looksLikeSafetensors } from './header.js'
export {
  looksLikeSafetensorsIndex, readSafetensors, readSafetensorsMetadata, readSafetensorsTensors, readShardedSafetensors,
  writtenByRTorch,
  type SafetensorsNetworkOptions, type SafetensorsOptions,
} from './read-safetensors.js'
