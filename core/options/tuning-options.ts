/** @file What goes together with a way of tuning, and with held-out rows. */
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import type { Batch } from '../tensor/batch.js'
import type { PlainOptions } from './laplace-options.js'
import { hasLogits } from './likelihood-kinds.js'
import type { PosteriorChoice } from './posterior-choice.js'
import type { Calibration, PriorStructure, Structure, Subset, TuneMethod } from './words.js'

/** @throws OptionError BAD_COMBINATION for a way of tuning that does not exist or lacks what it needs */
export function checkTuning({ tune, priorStructure, structure, linearModel, subset, hasValidation }: {
  readonly tune: TuneMethod | undefined
  readonly priorStructure: PriorStructure
  readonly structure: Structure
  readonly linearModel: PosteriorChoice['linearModel']
  readonly subset: Subset
  readonly hasValidation: boolean
}): void {
  const refuse = (message: string): OptionError =>
    new OptionError('BAD_COMBINATION', message, { tune: tune ?? null, priorStructure, structure, subset })
  if (priorStructure === 'diagonal' && (structure === 'kron' || structure === 'ekfac')) {
    throw refuse(
      `A ${structure} posterior takes one prior precision, or one for each tensor; one for each parameter ` +
        '(priorStructure diagonal) needs structure full or diag.',
    )
  }
  if (priorStructure !== 'scalar' && (structure === 'functional' || structure === 'lowrank')) {
    throw refuse(
      `Tuning finds one prior precision of structure '${structure}'; give several, or tune them with structure `
        + "'kron', 'full' or 'diag'.",
    )
  }
  if ((tune === 'linearized' || tune === 'auto') && (structure === 'functional' || structure === 'ekfac')) {
    throw refuse(`Tuning '${tune}' is by the linear model; with structure '${structure}' use 'marglik', 'grid' with `
      + "held-out rows, or 'none'.")
  }
  if (linearModel === 'required' && (tune === 'marglik' || tune === 'grid')) {
    throw refuse(`Structure 'lowrank' without a rank is the linear model over all weights, whose prior is found as it `
      + `is fitted: by 'auto', or with held-out rows by 'validated'. Tuning '${tune}' is of other structures, and of `
      + "'lowrank' with a rank.")
  }
  if (tune === 'linearized' && subset === 'all') {
    throw refuse(
      "Tuning 'linearized' is for subset last_layer; for subset all use 'marglik', or 'grid' with validation data.",
    )
  }
  if (tune === 'linearized' && priorStructure === 'diagonal') {
    throw refuse(
      "Tuning 'linearized' finds one prior precision, or one for each tensor; use 'marglik' for one for each " +
        'parameter.',
    )
  }
  if (tune === 'grid' && priorStructure !== 'scalar') {
    throw refuse("Tuning 'grid' finds one prior precision; use 'marglik' for one for each tensor or parameter.")
  }
  if (tune === 'validated' && priorStructure !== 'scalar') {
    throw refuse("Tuning 'validated' finds one prior precision; use 'marglik' for one for each tensor or parameter.")
  }
  if (tune === 'validated' && !hasValidation) {
    throw refuse(
      "Tuning 'validated' chooses prior, mean and link by held-out examples: give validation: { x, y }, "
        + 'or a share of the rows '
        + "(validation: 0.1), or use 'auto'.",
    )
  }
  if (tune === 'grid' && !hasValidation) {
    throw refuse(
      "Tuning 'grid' chooses the prior precision by held-out examples: give validation: { x, y }, or use " +
        "'linearized' or 'marglik'.",
    )
  }
}

/** @throws OptionError for held-out rows that nothing would use, and for baselines without any */
export function checkHeldOut(
  { validation, likelihood, priorPrecision, priorStructure, subset, structure }: PlainOptions,
  tune: TuneMethod | undefined,
  calibrate: Calibration | undefined,
): void {
  if (typeof validation === 'number') {
    if (!(validation > 0 && validation < 1)) {
      throw new OptionError('BAD_OPTION',
        'Option validation as a share of the rows must lie between 0 and 1, both excluded (0.1 is usual); '
          + `got ${shown(validation)}.`, {
        option: 'validation',
        value: validation,
      })
    }
    const open = tune === undefined && priorPrecision === undefined
      && (priorStructure === undefined || priorStructure === 'scalar')
    if (!open && tune !== 'validated' && tune !== 'grid') {
      throw new OptionError('BAD_COMBINATION',
        `A share of the rows (validation ${validation}) is held out for tuning one prior precision by `
          + "'validated' or 'grid'; with these "
          + 'options nothing would use them. Leave validation out.', { option: 'validation' })
    }
  } else if (validation !== undefined && !isBatch(validation)) {
    throw new OptionError('BAD_OPTION',
      'Option validation must be held-out rows with their labels, { x, y }, or a share of the rows between 0 and 1.', {
      option: 'validation',
    })
  }
  if (calibrate === undefined) return
  if (!hasLogits(likelihood)) {
    const counterpart = likelihood === 'regression'
      ? 'Its counterpart, the noise of every output, is fitted to held-out rows (validation) without it: leave '
      : 'Leave '
    throw new OptionError('BAD_COMBINATION',
      `Temperature scaling divides logits; the likelihood ${likelihood} has none. ${counterpart}calibrate out.`, {
      option: 'calibrate',
      likelihood,
    })
  }
  if (validation === undefined || (tune !== undefined && tune !== 'validated') || priorPrecision !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      "Option calibrate 'temperature' fits the temperature to held-out rows: give validation: { x, y } "
        + '(or a share of the rows), and '
        + 'neither priorPrecision nor another way of tuning.', { option: 'calibrate' })
  }
  if (subset === 'all' && structure !== undefined && structure !== 'lowrank') {
    throw new OptionError('BAD_COMBINATION',
      `Temperature scaling is an answer of the linear model; structure '${structure}' of all weights has none. Leave `
        + "structure out, or use subset 'last_layer'.", { option: 'calibrate', structure })
  }
}

/** Held-out rows, and no share of the rows. */
export function isBatch(value: unknown): value is Batch {
  return typeof value === 'object' && value !== null && 'x' in value && 'y' in value
}
