/** @file The public names of `polylaplace/adapters/sklearn`. */
export { readSklearn, type SklearnFields } from './read-sklearn.js'
