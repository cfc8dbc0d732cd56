/**
 * @file Loads the package for small linear systems. A module of its own, because bundles, which cannot look packages
 * up, put another in its place.
 */
import { requireOf } from './module-beside.js'

/** The package's function, for ndarrays: out = matrix^-1 right; false for a singular matrix. */
export type LinearSolve = (out: unknown, matrix: unknown, right: unknown) => boolean

/**
 * Loads the package.
 * @throws Error when the package is not there or code generation is forbidden
 */
export function loadLinearSolve(): LinearSolve {
  return requireOf(import.meta.url)('ndarray-linear-solve') as LinearSolve
}
