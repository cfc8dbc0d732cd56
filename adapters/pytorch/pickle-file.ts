/**
 * @file Files that start as a pickle: PyTorch's legacy stream, `pickle.dump` of tensors, and pickles of other programs.
 */
import { type Constructor, type PickleGlobal, readPickle } from '../pickle/index.js'
import { TORCH_CONSTRUCTORS } from './constructors.js'
import { LEGACY_MAGIC, readLegacyFile } from './legacy-file.js'
import { refuseTorch, SAVE_A_STATE_DICT, unsupportedTorch } from './refusal.js'
import type { TorchFile } from './storage-id.js'
import { TorchStorage } from './tensors.js'

/** Reads a legacy stream or a plain pickle. */
export function readPickleFile(bytes: Uint8Array): TorchFile {
  let first: PickleGlobal | undefined
  const { value, end } = readPickle(bytes, { constructors: PLAIN_CONSTRUCTORS, onGlobal: name => {
    first ??= name
  } })
  if (value === LEGACY_MAGIC) return readLegacyFile(bytes, end)
  if (end !== bytes.length) {
    refuseTorch(`has ${bytes.length - end} bytes behind its pickle`, { offset: end, limit: end, actual: bytes.length })
  }
  if (first !== undefined && !/^(torch|collections|__main__)\b/.test(first.module) &&
    /^(sklearn|xgboost|lightgbm|statsmodels|pandas|numpy)\b/.test(first.module)) otherPickle(first.path)
  return { value, notes: [] }
}

function otherPickle(path: string): never {
  return unsupportedTorch(
    `The file is a Python pickle of ${
      path.slice(0, 200)
    }, not a PyTorch network; a scikit-learn network can be given to the Python client as it is`,
    {},
    'pickle',
  )
}

/** A storage inside of a plain pickle is a legacy stream of its own, as bytes. */
const loadFromBytes: Constructor = ([bytes, ...rest], offset) => {
  if (!(bytes instanceof Uint8Array) || rest.length > 0) refuseTorch('has a storage that is not bytes', { offset })
  const magic = readPickle(bytes)
  const storage = magic.value === LEGACY_MAGIC ? readLegacyFile(bytes, magic.end).value : null
  return storage instanceof TorchStorage
    ? storage
    : refuseTorch('has a storage whose bytes hold something else', { offset })
}

/** joblib writes the numbers of arrays between the opcodes, so that no reader of pickles gets past the first. */
const joblibArray: Constructor = () =>
  unsupportedTorch(
    'The file was written by joblib, as scikit-learn models are: it is not a PyTorch network. ' +
      `A scikit-learn network can be given to the Python client as it is; of a PyTorch network, ${SAVE_A_STATE_DICT}`,
    {},
    'joblib',
  )

const PLAIN_CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ...TORCH_CONSTRUCTORS,
  ['torch.storage._load_from_bytes', loadFromBytes],
  ['joblib.numpy_pickle.NumpyArrayWrapper', joblibArray],
])
