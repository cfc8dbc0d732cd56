/** @file What goes together: the one place that says it; docs/combinations.md shows it. */
import { OptionError } from '../errors/errors.js'
import type { CurvatureKind, Structure, SubsetChoice, TuneMethod } from './words.js'

/** Structures that have a way of summing each curvature. */
export const CURVATURE_STRUCTURES: Readonly<Record<CurvatureKind, readonly Structure[]>> = {
  ggn: ['kron', 'full', 'diag', 'ekfac', 'lowrank', 'functional'],
  empirical_fisher: ['kron', 'full', 'diag'],
  mc_fisher: ['kron', 'full', 'diag'],
  hessian: ['full'],
}

/**
 * Checks a curvature against the structure and the way of tuning: the linear model is one of the GGN.
 * @throws OptionError BAD_COMBINATION with what goes together
 */
export function checkCurvature(curvature: CurvatureKind,
  { structure, subset, draws }: { readonly structure?: Structure | undefined,
    readonly subset?: SubsetChoice | undefined, readonly draws?: number | undefined },
  tune: TuneMethod | undefined): void {
  const refuse = (message: string): OptionError =>
    new OptionError('BAD_COMBINATION', message, { curvature, structure: structure ?? null, tune: tune ?? null })
  if (draws !== undefined && curvature !== 'mc_fisher') {
    throw refuse(`Option draws is the number of labels that curvature 'mc_fisher' draws; '${curvature}' draws none.`)
  }
  const structures = CURVATURE_STRUCTURES[curvature]
  if (structure !== undefined && !structures.includes(structure)) {
    throw refuse(
      `Curvature '${curvature}' has structure ${structures.map(word => `'${word}'`).join(', ')}; '${
        structure ?? 'kron'
      }' is not among them.`,
    )
  }
  if (subset === 'subnetwork' && (tune === 'linearized' || tune === 'auto')) {
    throw refuse(`Tuning '${tune}' is by a linear model, which is one of whole layers; for a subnetwork use 'marglik', `
      + "'grid' with held-out rows, or 'none'.")
  }
  if (curvature === 'ggn') return
  if (tune === 'linearized' || tune === 'auto' || tune === 'validated' && subset !== 'all') {
    throw refuse(
      `Tuning '${tune}' is by the linear model, whose curvature is 'ggn'; with '${curvature}' use 'marglik', `
        + "'grid' with held-out rows, or 'none'.",
    )
  }
}
