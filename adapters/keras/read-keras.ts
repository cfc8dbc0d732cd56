/** @file Reads Keras networks: `.h5` of Keras 2 and 3, `.keras` of Keras 3. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { type Hdf5Reader, withHdf5 } from '../hdf5/read-hdf5.js'
import { isHdf5 } from '../hdf5/signature.js'
import type { Hdf5Group } from '../hdf5/tree.js'
import { isZip, openZip, type ZipArchive, type ZipOptions } from '../zip/index.js'
import { parseConfig, refuse, text } from './config.js'
import { readModel } from './model.js'
import { allArrays, legacyWeights, numberedWeights } from './weights.js'
import { writeModel } from './write-model.js'

/** What can be said to `readKeras` beyond the file. */
export interface KerasOptions {
  /**
   * Shape of one example in Keras' order, where the file leaves it open: `[28, 28, 1]`, or a number of times for a
   * sequence of features.
   */
  readonly inputSize?: number | readonly number[]
  /** For `.keras` archives: the runtime's own checksum, and what unpacks compressed entries (Keras writes none). */
  readonly zip?: ZipOptions
  /**
   * What reads HDF5, where a host can do it in a thread that it can end: files can make the library run for ever. Where
   * it is absent the library runs in the thread of the caller: files of strangers are for `readNetwork`.
   */
  readonly hdf5?: Hdf5Reader
}

/** Bytes of the description of a network; large ones have a few hundred thousand. */
const MOST_JSON_BYTES = 64 * 2 ** 20

/**
 * Reads a Sequential or functional Keras network from a `.h5` or `.keras` file.
 *
 * The graph takes what the network takes: images are N x H x W x C, channels last; where its operators want channels
 * first it transposes inside. Parameters are in the order of the layers; Dense kernels, stored in x out, count as
 * out x in.
 * @throws UntrustedInputError UNTRUSTED_INPUT for damaged files; UNSUPPORTED_FORMAT for models made of Python code;
 * MISSING_ARCHITECTURE for weights alone
 * @throws GraphError UNSUPPORTED_OPERATOR for layers and activations that are not known
 * @throws ResourceError MISSING_DEPENDENCY without the optional package h5wasm
 * @example
 * const network = await readKeras(bytes)
 */
export async function readKeras(bytes: Uint8Array, options: KerasOptions = {}): Promise<Graph> {
  return isHdf5(bytes) ? await readLegacy(bytes, options) : await readArchive(bytes, options)
}

/**
 * Reads the arrays of a Keras file without a network around them (`save_weights`, or a whole network's).
 * @returns tensors by their path in the file, as Keras stores them: kernels in x out, H x W x in x out
 * @throws UntrustedInputError UNTRUSTED_INPUT for damaged files; ResourceError MISSING_DEPENDENCY without h5wasm
 */
export async function readKerasTensors(bytes: Uint8Array,
  options: Pick<KerasOptions, 'zip' | 'hdf5'> = {}): Promise<Map<string, Tensor>> {
  return withHdf5(isHdf5(bytes) ? bytes : archiveParts(bytes, options.zip ?? {}).weights, allArrays, options.hdf5)
}

/** `.h5`: the description is an attribute, the weights are in `model_weights`. */
function readLegacy(bytes: Uint8Array, options: KerasOptions): Promise<Graph> {
  return withHdf5(bytes, root => {
    const description = root.text('model_config')
    if (typeof description !== 'string') throw noDescription(root)
    const version = root.text('keras_version')
    const model = readModel(parseConfig(description))
    return writeModel(model, legacyWeights(root, model), typeof version === 'string' && /^[012]\./.test(version),
      options)
  }, options.hdf5)
}

function noDescription(root: Hdf5Group): UntrustedInputError {
  const keras = root.keys().includes('model_weights') || root.text('layer_names') !== undefined ||
    root.keys().includes('layers')
  return keras
    ? new UntrustedInputError(
      'The file holds only the weights of a Keras network (save_weights): ' +
        'save the network with model.save(...) instead.',
      { format: 'Keras' },
      'MISSING_ARCHITECTURE',
    )
    : new UntrustedInputError('The file is HDF5, but not a Keras network: it has no attribute model_config.', {
      format: 'HDF5',
    }, 'UNSUPPORTED_FORMAT')
}

/** `.keras`: a zip archive with config.json and model.weights.h5. */
async function readArchive(bytes: Uint8Array, options: KerasOptions): Promise<Graph> {
  const { description, metadata, weights } = archiveParts(bytes, options.zip ?? {})
  const model = readModel(parseConfig(description))
  const version = metadata === undefined ? undefined : text(parseConfig(metadata), 'keras_version')
  return withHdf5(weights,
    root => writeModel(model, numberedWeights(root, model), version?.startsWith('2.') === true, options), options.hdf5)
}

interface ArchiveParts {
  readonly description: string
  readonly metadata: string | undefined
  readonly weights: Uint8Array
}

function archiveParts(bytes: Uint8Array, options: ZipOptions): ArchiveParts {
  if (!isZip(bytes)) {
    throw new UntrustedInputError('The file is neither HDF5 (.h5) nor a zip archive (.keras), as Keras writes them.', {
      format: 'Keras',
      offset: 0,
    }, 'UNSUPPORTED_FORMAT')
  }
  const archive = openZip(bytes, options)
  if (!archive.has('config.json')) {
    throw new UntrustedInputError('The zip archive is not a Keras network: it has no config.json.', { format: 'Keras' },
      'UNSUPPORTED_FORMAT')
  }
  return {
    description: jsonText(archive, 'config.json'),
    metadata: archive.has('metadata.json') ? jsonText(archive, 'metadata.json') : undefined,
    weights: archive.read('model.weights.h5'),
  }
}

function jsonText(archive: ZipArchive, name: string): string {
  if (archive.sizeOf(name) > MOST_JSON_BYTES) {
    throw refuse(`The entry ${name} has ${archive.sizeOf(name)} bytes, more than the ${MOST_JSON_BYTES} allowed.`, name)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(archive.read(name))
  } catch (cause) {
    if (cause instanceof UntrustedInputError) throw cause
    throw refuse(`The entry ${name} is not UTF-8.`, name)
  }
}
