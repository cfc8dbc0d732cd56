/** @file Stands for HDF5's library in the file for browsers, which does not hold it. */
import { ResourceError } from '../core/errors/errors.js'

throw new ResourceError('MISSING_DEPENDENCY',
  'In browsers the reader of HDF5 (Keras .h5 and .keras) is a file of its own: '
    + "readNetwork(bytes, { hdf5: readHdf5 }) with readHdf5 of 'polylaplace/browser/hdf5'.", {
  package: 'polylaplace/browser/hdf5',
})
