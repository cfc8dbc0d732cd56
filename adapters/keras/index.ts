/** @file The public names of `polylaplace/adapters/keras`. */
export { type KerasOptions, readKeras, readKerasTensors } from './read-keras.js'
