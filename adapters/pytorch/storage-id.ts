/** @file How the pickle of a PyTorch file refers to the numbers outside of it; alike in both containers. */
import { PickleGlobal, PickleTuple, type PickleValue } from '../pickle/index.js'
import { type ElementType, storageType } from './dtypes.js'
import { refuseTorch } from './refusal.js'

/** What a PyTorch file holds, whatever its container. */
export interface TorchFile {
  readonly value: PickleValue
  /** Notes on the container. */
  readonly notes: readonly string[]
  /** Whether it is a TorchScript program whose code decides while it runs what it computes. */
  readonly branches?: boolean
}

/** The parts of the persistent id of a storage. */
export interface StorageId {
  readonly type: ElementType
  readonly key: string
  readonly length: number
  readonly rest: readonly PickleValue[]
}

/** Checks a persistent id: `('storage', class, key, device, length)`, and in older files what it is a view of. */
export function storageId(id: PickleValue, offset: number): StorageId {
  const items = id instanceof PickleTuple ? id.items : []
  const [tag, cls, key, device, length, ...rest] = items
  if (tag !== 'storage' || items.length < 5 || items.length > 6) {
    refuseTorch('refers to data outside of its pickle that are not a storage', { offset })
  }
  const type = cls instanceof PickleGlobal ? storageType(cls.path) : undefined
  if (type === undefined) {
    refuseTorch(
      `has a storage of the type ${cls instanceof PickleGlobal ? cls.path.slice(0, 100) : 'that has no name'}`,
      { offset },
    )
  }
  if (typeof key !== 'string' || !/^\d{1,20}$/.test(key)) {
    refuseTorch(
      `has a storage of the name ${
        typeof key === 'string' ? JSON.stringify(key.slice(0, 100)) : 'that is no text'
      }, where a number is due`,
      { offset },
    )
  }
  // The device on which it was saved does not matter; new ones come every year.
  if (typeof device !== 'string' || !/^[a-z]+(:\d+)?$/.test(device)) {
    refuseTorch(
      `has a storage on the device ${
        typeof device === 'string' ? JSON.stringify(device.slice(0, 50)) : 'that is no text'
      }`,
      { offset },
    )
  }
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) {
    refuseTorch(`has a storage of ${typeof length === 'number' || typeof length === 'bigint' ? length : 'no'} elements`,
      { offset })
  }
  return { type, key, length, rest }
}
