/** @file How an HDF5 file is recognised. */

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

/** Whether the eight bytes of HDF5's signature stand at an offset of the file. */
export function signatureAt(bytes: Uint8Array, offset: number): boolean {
  return SIGNATURE.every((byte, i) => bytes[offset + i] === byte)
}

/** Whether the bytes start as HDF5 (or have its signature behind a user block of 512, 1024 or 2048 bytes). */
export function isHdf5(bytes: Uint8Array): boolean {
  return [0, 512, 1024, 2048].some(offset => signatureAt(bytes, offset))
}
