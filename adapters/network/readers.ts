/** @file The readers of the formats, each loaded when a file needs it first. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { fromTensor } from '../tensors/convert.js'
import type { FileTensor, NamedTensors } from '../tensors/file-tensor.js'
import type { ZipOptions } from '../zip/index.js'
import { filesOf, type NetworkHints } from './hints.js'
import type { Format } from './recognise.js'

/** What a format can give. */
export interface FormatReader {
  readonly network: (bytes: Uint8Array, hints: NetworkHints) => Graph | Promise<Graph>
  readonly tensors: (bytes: Uint8Array, hints: NetworkHints) => Listing | Promise<Listing>
}

/** The tensors of a file, and what was noticed. */
export interface Listing {
  readonly tensors: NamedTensors
  readonly notes: readonly string[]
  readonly layers?: readonly ListedLayer[]
}

/** A layer of a file for its description; `parameters` counts numbers. */
export interface ListedLayer {
  readonly name: string
  readonly type: string
  readonly parameters: number
}

const zipOptions = ({ inflate, crc32 }: NetworkHints): ZipOptions => ({ ...(inflate === undefined ? {} : { inflate }),
  ...(crc32 === undefined ? {} : { crc32 }) })

/** Fields that are given, under the names of the readers' options. */
const given = <K extends keyof NetworkHints>(hints: NetworkHints,
  ...keys: K[]): { [P in K]?: Exclude<NetworkHints[P], undefined> } =>
  Object.fromEntries(keys.flatMap(key => (hints[key] === undefined ? [] : [[key, hints[key]]]))) as {
    [P in K]?: Exclude<NetworkHints[P], undefined>
  }

const asFileTensors = (tensors: ReadonlyMap<string, Tensor>): NamedTensors =>
  new Map([...tensors].map(([name, value]): [string, FileTensor] => [name, fromTensor(value)]))

/** Loads a reader when its format is met, so that no other reader's code is. */
type LoadReader = () => Promise<FormatReader>

const onnx: LoadReader = async () => {
  const { readOnnx, readOnnxTensors } = await import('../onnx/index.js')
  return {
    network: (bytes, hints) => readOnnx(bytes, { ...given(hints, 'dimensions'), externalData: filesOf(hints) }),
    tensors: (bytes, hints) => ({ tensors: readOnnxTensors(bytes, { externalData: filesOf(hints) }), notes: [] }),
  }
}

const pytorch: LoadReader = async () => {
  const { readPyTorch, readPyTorchTensors } = await import('../pytorch/index.js')
  return {
    network: (bytes, hints) =>
      readPyTorch(bytes, { ...given(hints, 'architecture', 'activation', 'inputSize', 'model'),
        zip: zipOptions(hints) }),
    tensors: (bytes, hints) => readPyTorchTensors(bytes, { ...given(hints, 'model'), zip: zipOptions(hints) }),
  }
}

const safetensors: LoadReader = async () => {
  const { readSafetensors, readSafetensorsTensors, writtenByRTorch } = await import('../safetensors/index.js')
  const tolerance = (
    bytes: Uint8Array,
  ): { tolerate?: 'r-torch' } => (writtenByRTorch(bytes) ? { tolerate: 'r-torch' } : {})
  return {
    network: (bytes, hints) =>
      readSafetensors(bytes, { ...given(hints, 'architecture', 'activation', 'inputSize'), ...tolerance(bytes) }),
    tensors: bytes => ({ tensors: readSafetensorsTensors(bytes, tolerance(bytes)), notes: [] }),
  }
}

const safetensorsIndex: LoadReader = async () => {
  const { readShardedSafetensors } = await import('../safetensors/index.js')
  const { networkFromLayers } = await import('../layers/index.js')
  return {
    network: (bytes, hints) =>
      networkFromLayers(hints.architecture, readShardedSafetensors(bytes, filesOf(hints)),
        given(hints, 'activation', 'inputSize')),
    tensors: (bytes, hints) => ({ tensors: readShardedSafetensors(bytes, filesOf(hints)), notes: [] }),
  }
}

const flux: LoadReader = async () => {
  const { describeFlux, readFlux, readFluxTensors, readFluxTorchTensors } = await import('../flux/index.js')
  const { networkFromLayers } = await import('../layers/index.js')
  return {
    network: (bytes, hints) =>
      hints.architecture === undefined && hints.activation === undefined
        ? readFlux(bytes, given(hints, 'model', 'inputSize'))
        : networkFromLayers(hints.architecture, asFileTensors(readFluxTorchTensors(bytes)),
          given(hints, 'activation', 'inputSize')),
    tensors: bytes => {
      const { networks, missing } = describeFlux(bytes)
      const layers = networks.flatMap(network =>
        network.layers.map(layer => ({ name: [network.path, layer.path].filter(part => part !== '').join('.'),
          type: layer.type, parameters: layer.values })
        )
      )
      return { tensors: asFileTensors(readFluxTensors(bytes)), layers, notes: missing.length === 0
        ? []
        : [`The numbers of ${missing.length} arrays are not in the file: they were on the GPU when it was saved.`] }
    },
  }
}

const jld2: LoadReader = async () => {
  const { readJld2TorchTensors, readJld2Tensors } = await import('../flux/index.js')
  const { networkFromLayers } = await import('../layers/index.js')
  return {
    network: (bytes, hints) =>
      networkFromLayers(hints.architecture, asFileTensors(readJld2TorchTensors(bytes)),
        given(hints, 'activation', 'inputSize')),
    tensors: bytes => ({ tensors: asFileTensors(readJld2Tensors(bytes)), notes: [] }),
  }
}

const keras: LoadReader = async () => {
  const { readKeras, readKerasTensors } = await import('../keras/index.js')
  return {
    network: (bytes, hints) => readKeras(bytes, { ...given(hints, 'inputSize', 'hdf5'), zip: zipOptions(hints) }),
    tensors: async (bytes, hints) => ({
      tensors: asFileTensors(await readKerasTensors(bytes, { ...given(hints, 'hdf5'), zip: zipOptions(hints) })),
      notes: [],
    }),
  }
}

const posterior: LoadReader = async () => {
  const { readPosterior } = await import('../../core/storage/posterior-file.js')
  const network = (bytes: Uint8Array): Graph => {
    const { graph } = readPosterior(bytes)
    if (graph === undefined) {
      throw new UntrustedInputError('The posterior was saved without its network.', { format: 'posterior',
        path: 'network' }, 'UNSUPPORTED_FORMAT')
    }
    return { ...graph, notes: [...graph.notes, 'The network was taken from a saved posterior.'] }
  }
  return { network, tensors: bytes => ({ tensors: asFileTensors(network(bytes).initializers), notes: [] }) }
}

/** The readers by format. */
export const READERS: Readonly<Record<Format, LoadReader>> = {
  onnx,
  pytorch,
  safetensors,
  'safetensors-index': safetensorsIndex,
  flux,
  jld2,
  keras,
  posterior,
}
