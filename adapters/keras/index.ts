/** @file The public names of `polylaplace/adapters/keras`. */
export { type KerasOptions, readKeras } from './read-keras.js'
