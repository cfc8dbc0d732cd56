/**
 * @file The reader of HDF5 for browsers, a file of its own because its library is larger than everything else together.
 * It reads in the thread that calls it: a file of unknown origin is read in a worker that can be ended.
 * @example
 * import { readNetwork } from 'polylaplace/browser'
 * import { readHdf5 } from 'polylaplace/browser/hdf5'
 * const network = await readNetwork(bytesOfKerasFile, { hdf5: readHdf5 })
 */
export { readHdf5 } from '../adapters/hdf5/read-hdf5.js'
