/** @file The package's Node entry. */
export { LaplaceError } from './core/errors.js'
