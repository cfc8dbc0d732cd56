/**
 * @file The HDF5 inside a JLD2 file, as far as JLD2.jl writes it.
 *
 * JLD2 keeps the arrays of a network as objects without a name, reachable only by references inside of compound values.
 * The HDF5 libraries for JavaScript find objects by name, so this is a small reader of our own: superblock 2 or 3,
 * object headers of version 2, links in the header, contiguous or compact data. Sizes and offsets follow the HDF5 file
 * format specification, version 3. Nothing is written and nothing outside of the given bytes is read.
 */
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { signatureAt } from '../../hdf5/signature.js'
import { address, type Cursor, type Jld2File, refuse, take, u8, unsigned } from './h5-cursor.js'

/** Whether JLD2.jl wrote the file: its words stand first, and HDF5's signature behind its header of 512 bytes. */
export function isJld2(bytes: Uint8Array): boolean {
  return signatureAt(bytes, 512) && String.fromCharCode(...bytes.subarray(0, 23)) === 'HDF5-based Julia Data F'
}

/**
 * Opens a JLD2 file.
 * @throws UntrustedInputError UNTRUSTED_INPUT when the bytes are damaged; UNSUPPORTED_FORMAT for other kinds of HDF5
 */
export function openJld2(bytes: Uint8Array): Jld2File {
  const base = signatureAt(bytes, 512) ? 512 : signatureAt(bytes, 0) ? 0 : -1
  if (base < 0) {
    throw new UntrustedInputError('The file is not a JLD2 file: there is no HDF5 signature at byte 512 (or 0).', {
      format: 'JLD2',
      offset: 512,
    }, 'UNSUPPORTED_FORMAT')
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const cursor: Cursor = { file: { bytes, view, base, root: 0 }, offset: base + 8, end: bytes.length }
  const version = u8(cursor)
  const offsets = u8(cursor)
  const lengths = u8(cursor)
  if ((version !== 2 && version !== 3) || offsets !== 8 || lengths !== 8) {
    throw new UntrustedInputError(
      `The file is HDF5, but not as JLD2 writes it (superblock version ${version}; 2 or 3 was expected).`,
      { format: 'JLD2', offset: base + 8 },
      'UNSUPPORTED_FORMAT',
    )
  }
  take(cursor, 1)
  const declared = unsigned(cursor, 8)
  if (declared !== base) {
    refuse(`The superblock says that addresses count from ${declared}; it is at ${base}`, base + 12)
  }
  take(cursor, 16)
  const root = address(cursor)
  if (root === undefined) refuse('The file has no root group', base + 36)
  return { bytes, view, base, root }
}
