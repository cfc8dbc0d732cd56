/** @file Reads Keras networks: `.h5` of Keras 2 and 3, `.keras` of Keras 3. */
import { GraphError, OptionError, UntrustedInputError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import type { Precision, Tensor } from '../../core/tensor/tensor.js'
import { type Hdf5Group, withHdf5 } from '../hdf5/read-hdf5.js'
import { isHdf5 } from '../hdf5/signature.js'
import { isZip, openZip, type ZipArchive, type ZipOptions } from '../zip/index.js'
import { field, parseConfig, refuse, text } from './config.js'
import { channelsLast, type Emission, type Value } from './emission.js'
import { writeLayer } from './layers.js'
import { type KerasLayer, type KerasModel, readModel } from './model.js'
import { allArrays, type LayerWeights, legacyWeights, numberedWeights } from './weights.js'

/** What can be said to `readKeras` beyond the file. */
export interface KerasOptions {
  /**
   * Shape of one example in Keras' order, where the file leaves it open: `[28, 28, 1]`, or a number of times for a
   * sequence of features.
   */
  readonly inputSize?: number | readonly number[]
  /** For `.keras` archives: the runtime's own checksum, and what unpacks compressed entries (Keras writes none). */
  readonly zip?: ZipOptions
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
  options: Pick<KerasOptions, 'zip'> = {}): Promise<Map<string, Tensor>> {
  return withHdf5(isHdf5(bytes) ? bytes : archiveParts(bytes, options.zip ?? {}).weights, allArrays)
}

/** `.h5`: the description is an attribute, the weights are in `model_weights`. */
function readLegacy(bytes: Uint8Array, options: KerasOptions): Promise<Graph> {
  return withHdf5(bytes, root => {
    const description = root.text('model_config')
    if (typeof description !== 'string') throw noDescription(root)
    const version = root.text('keras_version')
    const model = readModel(parseConfig(description))
    return writeModel(model, legacyWeights(root, model.layers), typeof version === 'string' && /^[012]\./.test(version),
      options)
  })
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
    root => writeModel(model, numberedWeights(root, model.layers), version?.startsWith('2.') === true, options))
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

/** Writes the graph of a network. */
function writeModel(model: KerasModel, weights: LayerWeights, keras2: boolean, options: KerasOptions): Graph {
  const builder = new GraphBuilder(precisionOf(weights))
  builder.notes.push(...model.notes)
  const emission: Emission = { builder }
  const values = new Map<string, Value>()
  for (const layer of model.layers) {
    const inputs = layer.inputs.map(name => values.get(name) ?? missing(layer, name))
    const isInput = model.inputs.includes(layer.name)
    const given = inputs.length > 0
      ? inputs
      : isInput || layer.className === 'InputLayer'
      ? [declareInput(emission, model, layer, options)]
      : []
    values.set(layer.name, writeLayer({ builder, layer, weights: weights.get(layer.name), inputs: given, keras2 }))
  }
  return builder.build(model.outputs.map(name => {
    const value = values.get(name)
    if (value === undefined) throw refuse(`The output '${name.slice(0, 100)}' is not in the network.`)
    const last = channelsLast(emission, value)
    return builder.inputs.some(input => input.name === last.name) ? builder.node('Identity', [last.name]) : last.name
  }))
}

function missing(layer: KerasLayer, name: string): never {
  throw refuse(
    `The layer '${layer.name.slice(0, 100)}' takes its input from '${
      name.slice(0, 100)
    }', which comes later or is not in the network.`,
    layer.name,
  )
}

function precisionOf(weights: LayerWeights): Precision {
  for (const list of weights.values()) for (const value of list) if (value.dtype === 'float64') return 'float64'
  return 'float32'
}

/** The input of the network, from the shape that its first layer holds. */
function declareInput(emission: Emission, model: KerasModel, layer: KerasLayer, options: KerasOptions): Value {
  const shape = inputShape(layer, options)
  // An embedding takes numbers of words.
  const tokens = layer.className === 'Embedding' ||
    model.layers.some(each => each.className === 'Embedding' && each.inputs.includes(layer.name))
  const name = emission.builder.fresh(layer.name)
  emission.builder.inputs.push({ name, shape: [BATCH, ...shape], dtype: tokens ? 'int64' : emission.builder.precision })
  return { name, shape, channelsFirst: false }
}

function inputShape(layer: KerasLayer, options: KerasOptions): number[] {
  const { config } = layer
  const stored = field(config, 'batch_shape') ?? field(config, 'batch_input_shape')
  if (!Array.isArray(stored) || stored.length < 1 || stored.length > 8) {
    if (Array.isArray(options.inputSize)) return checkedSize(options.inputSize)
    throw new GraphError('AMBIGUOUS_NETWORK', `The layer '${layer.name}' does not say what shape the input has; ` +
      'give the option inputSize, for example [28, 28, 1].', { layer: layer.name })
  }
  const example: unknown[] = stored.slice(1)
  if (example.every(extent => typeof extent === 'number' && Number.isInteger(extent) && extent > 0)) {
    return example as number[]
  }
  const { inputSize } = options
  if (Array.isArray(inputSize) && inputSize.length === example.length) return checkedSize(inputSize)
  if (typeof inputSize === 'number') {
    return checkedSize(example.map(extent => (typeof extent === 'number' ? extent : inputSize)))
  }
  throw new GraphError('AMBIGUOUS_NETWORK',
    `The input '${layer.name}' has the shape ${
      example.map(extent => (typeof extent === 'number' ? extent : '?')).join(' x ')
    }, which leaves sizes open; give the option inputSize, for example [${
      example.map(extent => (typeof extent === 'number' ? extent : 32)).join(', ')
    }].`, { layer: layer.name })
}

function checkedSize(sizes: readonly number[]): number[] {
  if (!sizes.every(size => Number.isInteger(size) && size > 0 && size < 2 ** 31)) {
    throw new OptionError('BAD_OPTION', 'Option inputSize must hold positive integers.', { option: 'inputSize' })
  }
  return [...sizes]
}
