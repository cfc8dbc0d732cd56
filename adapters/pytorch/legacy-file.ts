/**
 * @file The stream of PyTorch before 1.6: five pickles one behind the other, then the storages in the order of the last
 * one.
 */
import { PickleGlobal, PickleList, PickleTuple, type PickleValue, readPickle } from '../pickle/index.js'
import { TORCH_CONSTRUCTORS } from './constructors.js'
import type { ElementType } from './dtypes.js'
import { refuseTorch } from './refusal.js'
import { storageId, type TorchFile } from './storage-id.js'
import { TorchStorage } from './tensors.js'

/** The first pickle, and the second. */
export const LEGACY_MAGIC = 0x1950A86A20F9469CFC6Cn
const LEGACY_PROTOCOL = 1001

/** A storage that the pickle names and whose bytes come behind it. */
interface Pending {
  readonly type: ElementType
  readonly length: number
  bytes: Uint8Array | undefined
}

/**
 * Reads a legacy stream.
 * @param start where the second pickle starts
 */
export function readLegacyFile(bytes: Uint8Array, start: number): TorchFile {
  const protocol = readPickle(bytes, { start })
  if (protocol.value !== LEGACY_PROTOCOL) {
    refuseTorch('is of the old format, in a version that is not 1001', { offset: start })
  }
  // The third pickle describes the machine; the storages are little-endian whatever it says.
  const system = readPickle(bytes, { start: protocol.end })
  const pending = new Map<string, Pending>()
  const root = readPickle(bytes, { start: system.end, constructors: TORCH_CONSTRUCTORS,
    persistent: (id, offset) => persistent(pending, id, offset) })
  const keys = readPickle(bytes, { start: root.end })
  readStorages(bytes, keys.end, keyList(keys.value, root.end), pending)
  return { value: root.value, notes: [] }
}

function persistent(pending: Map<string, Pending>, id: PickleValue, offset: number): PickleValue {
  const module = moduleOf(id)
  if (module !== undefined) return module
  const { type, key, length, rest } = storageId(id, offset)
  if (type.bytes === undefined) refuseTorch(`has a storage of ${type.name}`, { offset })
  let storage = pending.get(key)
  if (storage === undefined) pending.set(key, storage = { type, length, bytes: undefined })
  if (storage.type !== type || storage.length !== length) {
    refuseTorch(`describes its storage ${key} in two ways`, { offset })
  }
  const known = storage
  const whole = new TorchStorage(type, length,
    () => known.bytes ?? refuseTorch(`lacks the storage ${key}`, { path: key }))
  const [view = null] = rest
  return view === null ? whole : partOf(whole, type.bytes, view, offset)
}

/** `('module', class, file, source text)` stands for the class. The text is Python code, which stays text. */
function moduleOf(id: PickleValue): PickleGlobal | undefined {
  if (!(id instanceof PickleTuple) || id.items[0] !== 'module') return undefined
  return id.items[1] instanceof PickleGlobal ? id.items[1] : undefined
}

/** A storage that is part of another: `(key, offset, length)`. */
function partOf(whole: TorchStorage, width: number, view: PickleValue, offset: number): TorchStorage {
  const [, from, length] = view instanceof PickleTuple && view.items.length === 3 ? view.items : []
  if (typeof from !== 'number' || typeof length !== 'number' ||
    !(from >= 0 && length >= 0 && from + length <= whole.length)) {
    refuseTorch('has a storage that is no part of the one it names', { offset })
  }
  return new TorchStorage(whole.type, length, () => whole.load().subarray(from * width, (from + length) * width))
}

function keyList(value: PickleValue, offset: number): string[] {
  const items = value instanceof PickleList ? value.items : refuseTorch('has no list of its storages', { offset })
  return items.map(
    item => (typeof item === 'string' ? item : refuseTorch('lists a storage by what is not text', { offset })),
  )
}

/** For each key: its number of elements, its elements; and nothing behind them. */
function readStorages(bytes: Uint8Array, start: number, keys: readonly string[],
  pending: ReadonlyMap<string, Pending>): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = start
  for (const key of keys) {
    const storage = pending.get(key)
    if (storage === undefined || storage.bytes !== undefined) {
      refuseTorch(
        `lists the storage ${JSON.stringify(key.slice(0, 50))} ${
          storage === undefined ? 'that nothing uses' : 'twice'
        }`,
        { offset: at, path: key },
      )
    }
    if (at + 8 > bytes.length) {
      refuseTorch(`is cut short: the storage ${key} is missing`, { offset: at, limit: bytes.length, path: key })
    }
    const length = Number(view.getBigInt64(at, true))
    if (length !== storage.length) {
      refuseTorch(`says its storage ${key} has ${storage.length} elements, and then ${length}`, { offset: at, path: key,
        limit: storage.length, actual: length })
    }
    const end = at + 8 + length * (storage.type.bytes ?? 1)
    if (end > bytes.length) {
      refuseTorch(`is cut short: the storage ${key} ends at byte ${end} of ${bytes.length}`, { offset: at,
        limit: bytes.length, actual: end, path: key })
    }
    storage.bytes = bytes.subarray(at + 8, end)
    at = end
  }
  if (at !== bytes.length) {
    refuseTorch(`has ${bytes.length - at} bytes behind its storages`, { offset: at, limit: at, actual: bytes.length })
  }
  for (const [key, { bytes: found }] of pending) {
    if (found === undefined) refuseTorch(`lacks the storage ${key}`, { path: key })
  }
}
