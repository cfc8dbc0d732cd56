/** @file The public names of `polylaplace/adapters/zip`. */
export { isZip, openZip, type ZipArchive, type ZipOptions } from './archive.js'
export { crc32 } from './crc32.js'
