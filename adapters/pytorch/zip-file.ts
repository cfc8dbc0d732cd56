/** @file The zip archives that `torch.save` has written since PyTorch 1.6, and those of TorchScript. */
import { type PickleValue, readPickle } from '../pickle/index.js'
import { openZip, type ZipArchive, type ZipOptions } from '../zip/index.js'
import { TORCH_CONSTRUCTORS } from './constructors.js'
import type { ElementType } from './dtypes.js'
import { swapBytes } from './gather.js'
import { refuseTorch, SAVE_A_STATE_DICT, unsupportedTorch } from './refusal.js'
import { storageId, type TorchFile } from './storage-id.js'
import { TorchStorage } from './tensors.js'

/**
 * Reads the pickle of an archive; the numbers stay where they are.
 * @throws UntrustedInputError UNSUPPORTED_FORMAT for zip archives of other programs
 */
export function readZipFile(bytes: Uint8Array, options: ZipOptions): TorchFile {
  const archive = openZip(bytes, options)
  const root = rootOf(archive)
  // Nothing depends on these, but an archive that is damaged anywhere is not to be trusted.
  for (const name of ['version', '.data/serialization_id', '.format_version', '.storage_alignment']) {
    if (archive.has(root + name)) archive.read(root + name)
  }
  const swap = isBigEndian(archive, root)
  const storages = new Map<string, TorchStorage>()
  const persistent = (id: PickleValue, offset: number): PickleValue =>
    storageOf(archive, root, swap, storages, id, offset)
  const { value, end } = readPickle(archive.read(`${root}data.pkl`), { constructors: TORCH_CONSTRUCTORS, persistent })
  const length = archive.sizeOf(`${root}data.pkl`)
  if (end !== length) {
    refuseTorch(`has ${length - end} bytes behind the pickle in data.pkl`, { offset: end, limit: end, actual: length })
  }
  const script = archive.names.some(name => name.startsWith(`${root}code/`))
  return { value, branches: script && hasControlFlow(archive, root),
    notes: script ? ['The file is a TorchScript program: its weights were read, its code was not run.'] : [] }
}

/** Code of more bytes than this is not looked through. */
const MOST_CODE = 1 << 24

/** Whether the code of a TorchScript program decides while it runs what it computes. */
function hasControlFlow(archive: ZipArchive, root: string): boolean {
  let left = MOST_CODE
  return archive.names.filter(name => name.startsWith(`${root}code/`) && name.endsWith('.py')).some(name => {
    left -= archive.sizeOf(name)
    return left < 0 || /^\s*(?:if|while|for|elif)\b/m.test(new TextDecoder().decode(archive.read(name)))
  })
}

/** The one folder that everything is in, with its `/`. */
function rootOf(archive: ZipArchive): string {
  const pickles = archive.names.filter(name => /^[^/]+\/data\.pkl$/.test(name))
  if (pickles.length === 0) unsupportedTorch(foreignArchive(archive))
  if (pickles.length > 1) {
    refuseTorch(`has two pickles: '${pickles[0].slice(0, 100)}' and '${pickles[1].slice(0, 100)}'`, {
      path: pickles[1],
    })
  }
  const root = pickles[0].slice(0, -'data.pkl'.length)
  const stray = archive.names.find(name => !name.startsWith(root))
  if (stray !== undefined) {
    refuseTorch(`has the entry '${stray.slice(0, 100)}' outside of the folder '${root.slice(0, 100)}' of its pickle`, {
      path: stray,
    })
  }
  return root
}

/** What a zip archive without a PyTorch pickle is. */
function foreignArchive({ names }: ZipArchive): string {
  const has = (pattern: RegExp): boolean => names.some(name => pattern.test(name))
  if (has(/^config\.json$/) && has(/\.weights\.h5$/)) {
    return 'The file is a Keras network (.keras): read it with readKeras'
  }
  if (names.length > 0 && names.every(name => name.endsWith('.npy'))) {
    return 'The file is a NumPy archive (.npz): it holds arrays, not a network'
  }
  if (has(/(^|\/)\.data\/extern_modules$|(^|\/)\.data\/python_version$/)) {
    return 'The file is a package of torch.package, whose network is Python code: ' +
      `load it in Python and ${SAVE_A_STATE_DICT}`
  }
  if (has(/(^|\/)archive_format$|serialized_exported_program\.json$/)) {
    return 'The file is a program of torch.export (.pt2): ' +
      `load it in Python and export it to ONNX, or ${SAVE_A_STATE_DICT}`
  }
  if (has(/^model\.json$/) || has(/^META-INF\//)) {
    return 'The file is a zip archive of another program (no data.pkl in it)'
  }
  if (has(/\.(pt|pth|onnx|safetensors|h5|bson)$/)) {
    return `The file is a zip archive with a model file inside (${
      names.find(name => /\.(pt|pth|onnx|safetensors|h5|bson)$/.test(name))?.slice(0, 100) ?? ''
    }): unpack it first`
  }
  return 'The file is a zip archive, but not one of PyTorch: it has no data.pkl'
}

function isBigEndian(archive: ZipArchive, root: string): boolean {
  const name = `${root}byteorder`
  if (!archive.has(name)) return false
  const order = archive.sizeOf(name) > 16 ? '' : new TextDecoder().decode(archive.read(name)).trim()
  if (order !== 'big' && order !== 'little') {
    refuseTorch(`has the byte order ${JSON.stringify(order.slice(0, 16))}`, { path: name })
  }
  return order === 'big'
}

function storageOf(archive: ZipArchive, root: string, swap: boolean, known: Map<string, TorchStorage>, id: PickleValue,
  offset: number): TorchStorage {
  const { type, key, length } = storageId(id, offset)
  const found = known.get(key)
  if (found !== undefined) {
    if (found.type !== type || found.length !== length) {
      refuseTorch(`describes its storage ${key} in two ways`, { offset })
    }
    return found
  }
  const name = `${root}data/${key}`
  if (!archive.has(name)) {
    refuseTorch(`has no entry '${name.slice(0, 200)}' for one of its storages`, { offset, path: name })
  }
  const size = archive.sizeOf(name)
  if (type.bytes !== undefined && size !== length * type.bytes) {
    refuseTorch(`says its storage ${key} has ${length} elements of ${type.name}, but the entry has ${size} bytes`, {
      offset,
      path: name,
      limit: length * type.bytes,
      actual: size,
    })
  }
  const storage = new TorchStorage(type, length,
    swap ? swapped(() => archive.read(name), type) : () => archive.read(name))
  known.set(key, storage)
  return storage
}

/** Reads and turns round once. */
function swapped(load: () => Uint8Array, type: ElementType): () => Uint8Array {
  let bytes: Uint8Array | undefined
  return () => (bytes ??= swapBytes(load(), type.bytes ?? 1))
}
