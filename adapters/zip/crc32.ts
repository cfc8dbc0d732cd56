/** @file The checksum of zip archives, for runtimes that have none of their own. */

/** Eight tables: table k advances a byte's remainder over k further zero bytes, so that eight bytes take one step. */
const TABLES = makeTables()

function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) === 0
        ? remainder >>> 1
        : (remainder >>> 1) ^ 0xEDB88320
    }
    first[byte] = remainder
  }
  const tables = [first]
  for (let k = 1; k < 8; k++) tables.push(tables[k - 1].map(value => (value >>> 8) ^ first[value & 0xFF]))
  return tables
}

/** CRC-32 (polynomial 0xEDB88320, as in zip, gzip and PNG) as an unsigned integer. */
export function crc32(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES
  let crc = 0xFFFFFFFF
  let i = 0
  for (const end = bytes.length - 7; i < end; i += 8) {
    crc ^= bytes[i] | bytes[i + 1] << 8 | bytes[i + 2] << 16 | bytes[i + 3] << 24
    crc = t7[crc & 0xFF] ^ t6[(crc >>> 8) & 0xFF] ^ t5[(crc >>> 16) & 0xFF] ^ t4[crc >>> 24] ^ t3[bytes[i + 4]] ^
      t2[bytes[i + 5]] ^ t1[bytes[i + 6]] ^ t0[bytes[i + 7]]
  }
  for (; i < bytes.length; i++) crc = t0[(crc ^ bytes[i]) & 0xFF] ^ (crc >>> 8)
  return (crc ^ 0xFFFFFFFF) >>> 0
}

/**
 * The checksum of the runtime where it has one (Node's zlib is several times as fast), else the one of the tables.
 * Nothing is imported for it.
 */
export function runtimeCrc32(): (bytes: Uint8Array) => number {
  const { process } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => { crc32?: unknown } | undefined }
  }
  const found = process?.getBuiltinModule?.('node:zlib')?.crc32
  return typeof found === 'function' ? found as (bytes: Uint8Array) => number : crc32
}
