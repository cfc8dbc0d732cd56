/** @file The files beside a network's file that hold its weights: what a path alone stands for. */
import type { NetworkHints } from './hints.js'
import { formatOf } from './read-network.js'

/**
 * The paths of the files that a network's file names, from the folder that it lies in and with `/` between folders:
 * external data of ONNX, parts of safetensors. None of them leaves that folder.
 * @throws UntrustedInputError for damaged files and paths that leave the folder
 */
export async function filesBeside(bytes: Uint8Array, hints: NetworkHints = {}): Promise<string[]> {
  switch (formatOf(bytes, hints)) {
    case 'onnx':
      return (await import('../onnx/index.js')).externalLocations(bytes)
    case 'safetensors-index':
      return (await import('../safetensors/index.js')).safetensorsParts(bytes)
    default:
      return []
  }
}
