/** @file Reads what `torch.save` writes: tensors by name, and networks with the help of an architecture. */
import type { Graph } from '../../core/graph/graph.js'
import { isHdf5 } from '../hdf5/signature.js'
import { type LayerSpec, networkFromLayers } from '../layers/index.js'
import { type Foreign, foreignSignature, foreignText } from '../signatures/foreign-formats.js'
import type { FileTensor, NamedTensors } from '../tensors/file-tensor.js'
import { isZip, type ZipOptions } from '../zip/index.js'
import { gather, gatherBudget } from './gather.js'
import { readPickleFile } from './pickle-file.js'
import { SAVE_A_STATE_DICT, unsupportedTorch } from './refusal.js'
import { findStateDict } from './state-dict.js'
import type { TorchFile } from './storage-id.js'
import { UnreadableTensor } from './tensors.js'
import { readZipFile } from './zip-file.js'

const PROTO = 0x80

/** What can be said beyond the file. */
export interface TensorOptions {
  /** Where in a checkpoint the network is, when it is not found by itself: `ema`, `models.critic`. */
  readonly model?: string | undefined
  /** The runtime's own checksum, and what unpacks compressed entries. */
  readonly zip?: ZipOptions | undefined
}

/** What can be said to `readPyTorch` beyond the file. */
export interface PyTorchOptions extends TensorOptions {
  /** The layers in order, torch's names and arguments; without them a plain chain of Linear layers is recognised. */
  readonly architecture?: readonly LayerSpec[] | undefined
  /** The activation of such a chain. */
  readonly activation?: string | undefined
  /** Shape of one example, where layers leave it open. */
  readonly inputSize?: number | readonly number[] | undefined
}

/** The tensors of a file, in its order, and what was noticed on the way. */
export interface ReadTensors {
  readonly tensors: NamedTensors
  readonly notes: readonly string[]
}

/**
 * Reads the tensors of a PyTorch file: a state dict, a checkpoint that holds one, a pickled module, a TorchScript
 * program.
 *
 * Tensors are views of `bytes` where they are contiguous. Nothing of the file is run.
 * @throws UntrustedInputError UNTRUSTED_INPUT for damaged and hostile files; UNSUPPORTED_FORMAT for other formats and
 * for tensors that are not plain numbers
 * @throws GraphError AMBIGUOUS_NETWORK when a checkpoint holds several networks and `model` is not given
 * @example
 * const { tensors } = readPyTorchTensors(bytes)
 */
export function readPyTorchTensors(bytes: Uint8Array, options: TensorOptions = {}): ReadTensors {
  const file = readFile(bytes, options)
  const { tensors, notes } = findStateDict(file.value, options.model)
  const budget = gatherBudget(bytes.length)
  const read = new Map<string, FileTensor>()
  const names = new Map<FileTensor, string>()
  const tied: string[] = []
  for (const [name, tensor] of tensors) {
    if (tensor instanceof UnreadableTensor) {
      unsupportedTorch(
        `The tensor '${name}' is ${tensor.kind}, which has no plain real numbers that could be read: ` +
          'convert it in Python first',
        { path: name },
      )
    }
    const value = gather(tensor, name, budget)
    const twin = names.get(value)
    if (twin === undefined) names.set(value, name)
    else if (value.bytes.length > 0) tied.push(`'${name}' and '${twin}'`)
    read.set(name, value)
  }
  const ties = tied.length === 0
    ? []
    : [
      `Tied weights: ${tied.slice(0, 5).join('; ')}${
        tied.length > 5 ? `; ${tied.length - 5} more` : ''
      } are the same numbers.`,
    ]
  return { tensors: read, notes: [...file.notes, ...notes, ...ties] }
}

/**
 * Reads a network from a PyTorch file. The file holds no code that could be run here, so that the layers come from
 * `architecture`, or from the tensors when they are a plain chain of Linear layers and `activation` says what is
 * between them.
 * @throws UntrustedInputError as `readPyTorchTensors`, and MISSING_ARCHITECTURE when the layers cannot be told
 * @throws OptionError, ShapeError, GraphError as `networkFromLayers`
 * @example
 * const network = readPyTorch(bytes, {
 *   architecture: [{ type: 'Linear', name: '0' }, { type: 'Tanh' }, { type: 'Linear', name: '2' }],
 * })
 */
export function readPyTorch(bytes: Uint8Array, options: PyTorchOptions = {}): Graph {
  if (readFile(bytes, options).branches === true) {
    unsupportedTorch(
      'The file is a TorchScript program that decides while it runs what it computes (if, for, while), which its ' +
        'weights do not say: load it in Python (torch.jit.load) and export it to ONNX, or ' + SAVE_A_STATE_DICT,
    )
  }
  const { tensors, notes } = readPyTorchTensors(bytes, options)
  const graph = networkFromLayers(options.architecture, tensors, { activation: options.activation,
    inputSize: options.inputSize })
  return { ...graph, notes: [...notes, ...graph.notes] }
}

function readFile(bytes: Uint8Array, options: TensorOptions): TorchFile {
  if (isZip(bytes)) return readZipFile(bytes, options.zip ?? {})
  if (bytes.length === 0) unsupportedTorch('The file is empty', { offset: 0 }, 'unknown')
  const foreign = foreignFile(bytes)
  if (foreign !== undefined) {
    unsupportedTorch(`The file is ${foreign.name}: ${foreign.advice}`, { offset: 0 }, 'unknown')
  }
  if (bytes[0] !== PROTO) {
    unsupportedTorch('The file is not one of PyTorch: it is neither a zip archive nor a pickle', { offset: 0 },
      'unknown')
  }
  return readPickleFile(bytes)
}

/** What the file is instead, among it formats that have readers of their own. */
function foreignFile(bytes: Uint8Array): Foreign | undefined {
  if (isHdf5(bytes)) return { name: 'HDF5', advice: "read Keras networks with readKeras, Julia's JLD2 with readFlux" }
  if (bytes.length >= 9 && bytes[8] === 0x7B && bytes[6] === 0 && bytes[7] === 0) {
    return { name: 'safetensors, whatever its name says', advice: 'read it with readSafetensorsTensors' }
  }
  return foreignSignature(bytes) ?? foreignText(bytes)
}
