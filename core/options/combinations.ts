/** @file What goes together: the one place that says it; docs/combinations.md shows it. */
import { OptionError } from '../errors/errors.js'
import { hasLogits } from './likelihood-kinds.js'
import { type CurvatureKind, type Likelihood, type Structure, type SubsetChoice, SUM_STRUCTURES,
  type TuneMethod } from './words.js'

/** Structures that have a way of summing each curvature. */
const CURVATURE_STRUCTURES: Readonly<Record<CurvatureKind, readonly Structure[]>> = {
  ggn: ['kron', 'full', 'diag', 'blockdiag', 'ekfac', 'lowrank', 'functional', 'samples'],
  empirical_fisher: ['kron', 'full', 'diag', 'blockdiag'],
  mc_fisher: ['kron', 'full', 'diag', 'blockdiag'],
  hessian: ['full', 'blockdiag', 'lowrank'],
}

/** What decides on the linear model of a network. */
interface LinearModelOptions {
  readonly likelihood: Likelihood
  readonly classWeight?: unknown
  readonly noiseCovariance?: unknown
}

/**
 * Whether the linear model of a network, and what is tuned by it, is there: its rows count whole times, and each output
 * of a regression has a model of its own.
 */
export function hasLinearModel({ likelihood, classWeight, noiseCovariance }: LinearModelOptions): boolean {
  return classWeight === undefined && noiseCovariance === undefined &&
    (hasLogits(likelihood) || likelihood === 'regression')
}

/** What has no linear model, in words. */
export function withoutLinearModel({ likelihood, classWeight, noiseCovariance }: LinearModelOptions): string {
  if (noiseCovariance !== undefined) return 'a regression with correlated noise (sigmaNoise)'
  return classWeight === undefined ? `likelihood '${likelihood}'` : 'a fit with weights of classes (classWeight)'
}

/**
 * Checks what is not there for a likelihood of the user's own, which is known at the network's outputs alone.
 * @throws OptionError BAD_COMBINATION with what goes together
 */
export function checkCustom(likelihood: Likelihood,
  { structure, curvature, tune, validation }: { readonly structure?: string | undefined,
    readonly curvature?: string | undefined, readonly tune?: string | undefined,
    readonly validation?: unknown }): void {
  if (likelihood === 'reward_modeling' && (tune === 'auto' || tune === 'linearized' || tune === 'validated')) {
    throw new OptionError('BAD_COMBINATION',
      `Tuning '${tune}' is by the linear model, which likelihood 'reward_modeling' does not have: use 'marglik', `
        + "'grid' with held-out pairs, or 'none'.", { option: 'tune' })
  }
  if (likelihood !== 'custom') return
  const refuse = (option: string, what: string, instead: string): OptionError =>
    new OptionError('BAD_COMBINATION',
      `${what} is not there for a likelihood of your own, which is known at the network's outputs for the rows of the `
        + `fit alone: ${instead}.`, { option })
  if (structure !== undefined && !SUM_STRUCTURES.some(sum => sum === structure)) {
    throw refuse('structure', `Structure '${structure}'`, "use 'kron', 'full', 'diag' or 'blockdiag'")
  }
  if (curvature === 'mc_fisher') throw refuse('curvature', "Curvature 'mc_fisher'", "use 'ggn' or 'empirical_fisher'")
  if (tune !== undefined && tune !== 'marglik' && tune !== 'none') {
    throw refuse('tune', `Tuning '${tune}'`, "use 'marglik' or 'none'")
  }
  if (validation !== undefined) {
    throw refuse('validation', 'The score of held-out rows', "leave validation out, and tune by 'marglik'")
  }
}

/**
 * Checks a likelihood against what is not there for it.
 * @throws OptionError BAD_COMBINATION with what goes together
 */
export function checkLikelihood(own: LinearModelOptions,
  { structure, rank, tune, curvature }: { readonly structure?: string | undefined, readonly rank?: number | undefined,
    readonly tune?: string | undefined, readonly curvature?: string | undefined }): void {
  if (hasLinearModel(own)) return
  const { likelihood } = own
  const without = withoutLinearModel(own)
  const refuse = (message: string): OptionError =>
    new OptionError('BAD_COMBINATION', message, { likelihood, structure: structure ?? null, tune: tune ?? null })
  if (structure === 'lowrank' && rank === undefined) {
    throw refuse(
      `Structure 'lowrank' without a rank is the linear model over all weights, which ${without} does not have.`
        + " Give a rank, or use structure 'kron', 'full' or 'diag'.",
    )
  }
  if (tune === 'auto' || tune === 'validated' || tune === 'linearized') {
    throw refuse(`Tuning '${tune}' is by the linear model, which ${without} does not have: use `
      + "'marglik', 'grid' with held-out rows, or 'none'.")
  }
  if (likelihood === 'heteroscedastic' && curvature === 'hessian') {
    throw refuse("Curvature 'hessian' is not there for likelihood 'heteroscedastic', whose Hessian is not positive "
      + "where a residual is small: use 'ggn' (the Fisher matrix), 'empirical_fisher' or 'mc_fisher'.")
  }
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

/**
 * Checks what a tuned covariance goes with: curvatures that are linear in Sigma^-1, whose slope S_n is.
 * @throws OptionError BAD_COMBINATION, BAD_OPTION
 */
export function checkTunedCovariance({ likelihood, structure, subset, curvature, tune }: {
  readonly likelihood: Likelihood
  readonly structure: Structure
  readonly subset: string
  readonly curvature: CurvatureKind
  readonly tune: TuneMethod | undefined
}): void {
  const refuse = (message: string): OptionError => new OptionError('BAD_COMBINATION', message, { option: 'sigmaNoise' })
  if (likelihood !== 'regression') {
    throw refuse(`Option sigmaNoise is the noise of regression; the likelihood ${likelihood} has none.`)
  }
  const linear = structure === 'full' || structure === 'blockdiag' || structure === 'diag'
    || structure === 'kron' && subset === 'last_layer'
  if (!linear) {
    throw refuse("A noise covariance that is tuned (sigmaNoise 'full') is there for structures 'full', 'blockdiag' and "
      + "'diag', and for 'kron' of the last layer. Use one of them, or give the covariance.")
  }
  if (curvature !== 'ggn') {
    throw refuse(`A noise covariance that is tuned (sigmaNoise 'full') is of curvature 'ggn', not '${curvature}'.`)
  }
  if (tune === undefined || tune === 'marglik' || tune === 'none') return
  throw refuse("A noise covariance that is tuned (sigmaNoise 'full') goes with tuning 'marglik' or 'none', "
    + `not '${tune}'.`)
}
