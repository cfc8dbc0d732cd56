/** @file What a caller can say about a file beside its bytes. */
import { demand, isList, tensorsOption, textOption } from '../../core/errors/demand.js'
import { UntrustedInputError } from '../../core/errors/errors.js'
import type { ParameterChoice } from '../../core/options/parameter-choice.js'
import type { Hdf5Reader } from '../hdf5/read-hdf5.js'
import type { LayerSpec } from '../layers/index.js'
import type { OnnxOptions } from '../onnx/index.js'
import type { Format } from './recognise.js'

/** What can be said about a file beside its bytes. */
export interface NetworkHints {
  /** The format, when it should not be told from the content. */
  readonly format?: Format | undefined
  /** The layers, for files that hold only weights. */
  readonly architecture?: readonly LayerSpec[] | undefined
  /** The activation of a plain chain of Linear layers without an architecture. */
  readonly activation?: string | undefined
  /** Which input or output, when the network has several. */
  readonly input?: string | undefined
  readonly output?: string | undefined
  /** Further files by name: ONNX's external data, parts of safetensors. */
  readonly files?: ReadonlyMap<string, Uint8Array> | Readonly<Record<string, Uint8Array>> | undefined
  /** Which network, when the file holds several: a path in a Flux file, a key of a checkpoint. */
  readonly model?: string | undefined
  /** Shape of one example, where the file leaves it open. */
  readonly inputSize?: number | readonly number[] | undefined
  /** Of an ONNX file: lengths of axes that it leaves open (see `OnnxOptions`). */
  readonly dimensions?: OnnxOptions['dimensions'] | undefined
  /** The tensors that are parameters, in the order of theta, and those that take no part: names, globs, indices. */
  readonly parameters?: ParameterChoice['parameters']
  readonly freeze?: ParameterChoice['freeze']
  /** What unpacks zip entries and checks them (see `ZipOptions`). */
  readonly inflate?: ((bytes: Uint8Array, maxOutput: number) => Uint8Array) | undefined
  readonly crc32?: ((bytes: Uint8Array) => number) | undefined
  /** What reads HDF5 files, where a host can do it in a thread that it can end. */
  readonly hdf5?: Hdf5Reader | undefined
}

/** @throws OptionError BAD_OPTION for a hint of another type, also where the format has no use for it */
export function checkHints(
  { architecture, activation, input, output, files, model, inputSize, dimensions, parameters, freeze, inflate, crc32,
    hdf5 }: NetworkHints,
): void {
  const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
  demand(architecture === undefined || Array.isArray(architecture) && architecture.every(isObject),
    'Option architecture', 'a list of layers', architecture)
  for (const [name, value] of Object.entries({ activation, input, output, model })) textOption(name, value)
  for (const [name, value] of Object.entries({ parameters, freeze })) tensorsOption(name, value)
  for (const [name, value] of Object.entries({ files, dimensions })) {
    demand(value === undefined || isObject(value) && !isList(value), `Option ${name}`, 'a map or an object', value)
  }
  const sizes: unknown = typeof inputSize === 'number' ? [inputSize] : inputSize ?? []
  demand(isList(sizes) && Array.from(sizes).every(size => Number.isSafeInteger(size) && Number(size) > 0),
    'Option inputSize', 'the shape of one example, whole numbers above 0', inputSize)
  for (const [name, value] of Object.entries({ inflate, crc32, hdf5 })) {
    demand(value === undefined || typeof value === 'function', `Option ${name}`, 'a function', value)
  }
}

/** The further files as a map. @throws UntrustedInputError when one is not bytes */
export function filesOf({ files }: NetworkHints): ReadonlyMap<string, Uint8Array> {
  const entries = files === undefined ? [] : isMap(files) ? [...files] : Object.entries(files)
  for (const [name, content] of entries) {
    if (!(content instanceof Uint8Array)) {
      throw new UntrustedInputError(`The file '${name.slice(0, 100)}' of the hint files must be bytes.`, {
        format: 'files',
        path: name.slice(0, 100),
      })
    }
  }
  return new Map(entries)
}

function isMap(files: NonNullable<NetworkHints['files']>): files is ReadonlyMap<string, Uint8Array> {
  return files instanceof Map
}
