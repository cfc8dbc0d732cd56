/** @file What goes together with a way of tuning, and with held-out rows. */
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import type { Batch } from '../tensor/batch.js'
import type { PlainOptions } from './laplace-options.js'
import { hasLogits } from './likelihood-kinds.js'
import type { PosteriorChoice } from './posterior-choice.js'
import type { Calibration, PriorStructure, Structure, Subset, TuneMethod } from './words.js'

/** A way of tuning, and what it is to tune. */
interface TuningRequest {
  readonly tune: TuneMethod | undefined
  readonly priorStructure: PriorStructure
  readonly structure: Structure
  readonly linearModel: PosteriorChoice['linearModel']
  readonly subset: Subset
  readonly hasValidation: boolean
}

/** What does not go together, and what is said of it; the first that applies is said. */
const REFUSED: readonly {
  readonly applies: (request: TuningRequest) => boolean
  readonly message: (request: TuningRequest) => string
}[] = [
  {
    applies: ({ tune, structure, hasValidation }) =>
      structure === 'samples' && (hasValidation || tune !== undefined && tune !== 'marglik' && tune !== 'none'),
    message: () =>
      "The draws of structure 'samples' are those of one prior precision, which is given (tune 'none') or found by the "
      + "training rows (tune 'marglik'); other ways of tuning, and held-out rows, are of other structures.",
  },
  {
    applies: ({ priorStructure, structure }) =>
      priorStructure === 'diagonal' && (structure === 'kron' || structure === 'ekfac'),
    message: ({ structure }) =>
      `A ${structure} posterior takes one prior precision, or one for each tensor; one for each parameter `
      + '(priorStructure diagonal) needs structure full or diag.',
  },
  {
    applies: ({ priorStructure, structure }) =>
      priorStructure !== 'scalar' && (structure === 'functional' || structure === 'lowrank' || structure === 'samples'),
    message: ({ structure }) =>
      `Tuning finds one prior precision of structure '${structure}'; give several, or tune them with structure `
      + "'kron', 'full' or 'diag'.",
  },
  {
    applies: ({ tune, structure }) =>
      (tune === 'linearized' || tune === 'auto') && (structure === 'functional' || structure === 'ekfac'),
    message: ({ tune, structure }) =>
      `Tuning '${tune}' is by the linear model; with structure '${structure}' use 'marglik', 'grid' with held-out `
      + "rows, or 'none'.",
  },
  {
    applies: ({ tune, linearModel }) => linearModel === 'required' && (tune === 'marglik' || tune === 'grid'),
    message: ({ tune }) =>
      "Structure 'lowrank' without a rank is the linear model over all weights, whose prior is found as it is fitted: "
      + `by 'auto', or with held-out rows by 'validated'. Tuning '${tune}' is of other structures, and of 'lowrank' `
      + 'with a rank.',
  },
  {
    applies: ({ tune, subset }) => tune === 'linearized' && subset === 'all',
    message: () =>
      "Tuning 'linearized' is for subset last_layer; for subset all use 'marglik', or 'grid' with validation data.",
  },
  {
    applies: ({ tune, priorStructure }) => tune === 'linearized' && priorStructure === 'diagonal',
    message: () =>
      "Tuning 'linearized' finds one prior precision, or one for each tensor; use 'marglik' for one for each "
      + 'parameter.',
  },
  {
    applies: ({ tune, priorStructure }) => (tune === 'grid' || tune === 'validated') && priorStructure !== 'scalar',
    message: ({ tune }) =>
      `Tuning '${tune}' finds one prior precision; use 'marglik' for one for each tensor or parameter.`,
  },
  {
    applies: ({ tune, hasValidation }) => tune === 'validated' && !hasValidation,
    message: () =>
      "Tuning 'validated' chooses prior, mean and link by held-out examples: give validation: { x, y }, or a share of "
      + "the rows (validation: 0.1), or use 'auto'.",
  },
  {
    applies: ({ tune, hasValidation }) => tune === 'grid' && !hasValidation,
    message: () =>
      "Tuning 'grid' chooses the prior precision by held-out examples: give validation: { x, y }, or use 'linearized' "
      + "or 'marglik'.",
  },
]

/** @throws OptionError BAD_COMBINATION for a way of tuning that does not exist or lacks what it needs */
export function checkTuning(request: TuningRequest): void {
  const refused = REFUSED.find(({ applies }) => applies(request))
  if (refused === undefined) return
  const { tune, priorStructure, structure, subset } = request
  throw new OptionError('BAD_COMBINATION', refused.message(request), { tune: tune ?? null, priorStructure, structure,
    subset })
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
