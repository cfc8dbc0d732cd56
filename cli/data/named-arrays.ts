/** @file Files of named arrays: NumPy's `.npz`, and safetensors. */
import { readSafetensorsTensors } from '../../adapters/safetensors/index.js'
import { toTensor } from '../../adapters/tensors/convert.js'
import { isZip, openZip } from '../../adapters/zip/index.js'
import { DataError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { formatShape, type Tensor } from '../../core/tensor/tensor.js'
import { ZIP_FUNCTIONS } from '../../node/files/reading-functions.js'
import { readNpy } from './npy.js'

/** The arrays of a file, by name. */
export type NamedArrays = ReadonlyMap<string, Tensor>

/**
 * Every array of a `.npz` archive (a zip of `.npy` files), without the ending.
 * @throws UntrustedInputError
 */
function readNpz(bytes: Uint8Array): NamedArrays {
  const archive = openZip(bytes, ZIP_FUNCTIONS)
  return new Map(archive.names.map(name => [name.replace(/\.npy$/, ''), readNpy(archive.read(name))]))
}

/** Every array of an `.npz` or a safetensors file. */
export function readNamedArrays(bytes: Uint8Array): NamedArrays {
  if (isZip(bytes)) return readNpz(bytes)
  return new Map(Array.from(readSafetensorsTensors(bytes), ([name, value]) => [name, toTensor(value, name)]))
}

/**
 * Chooses one array.
 * @param wanted the name that was asked for
 * @param usual names that are taken when none was asked for
 * @param otherwise taken when there is none of the usual names
 * @throws DataError BAD_DATA_FILE with the names that there are
 */
export function chooseArray(arrays: NamedArrays, option: string, wanted: string | undefined, usual: readonly string[],
  otherwise?: string): string {
  const names = [...arrays.keys()]
  if (wanted !== undefined && arrays.has(wanted)) return wanted
  const found = wanted === undefined ? usual.find(name => arrays.has(name)) ?? otherwise : undefined
  if (found !== undefined) return found
  const suggestion = wanted === undefined ? undefined : nearestWord(wanted, names)
  const list = names.slice(0, 20).map(name => `${name} (${formatShape(arrays.get(name)?.shape ?? [])})`).join(', ')
  throw new DataError('BAD_DATA_FILE',
    `${
      wanted === undefined ? 'It is not clear which array to take' : `There is no array '${wanted}'`
    }; the file holds ${list}. Name one with --${option}.` +
      (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { option })
}
