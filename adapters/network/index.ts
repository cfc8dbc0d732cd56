/** @file The public names of `polylaplace/adapters/network`. */
export { describeFile, type FileDescription } from './describe-file.js'
export { filesBeside } from './files-beside.js'
export type { NetworkHints } from './hints.js'
export { formatOf, readNetwork } from './read-network.js'
export { type Format, FORMATS } from './recognise.js'
