/** @file The share of label smoothing as an option. */
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import type { PlainOptions } from './laplace-options.js'
import { hasLogits, hasNumbers } from './likelihood-kinds.js'
import { number } from './option-values.js'

/** @throws OptionError BAD_OPTION, BAD_COMBINATION */
export function smoothingOf({ labelSmoothing, likelihood }: PlainOptions): number | undefined {
  if (labelSmoothing === undefined || labelSmoothing === 0) return undefined
  if (!hasLogits(likelihood)) {
    throw new OptionError('BAD_COMBINATION',
      `Option labelSmoothing is for classes and labels; the likelihood '${likelihood}' has ${
        hasNumbers(likelihood) ? 'numbers' : 'neither'
      }.`, {
      option: 'labelSmoothing',
      likelihood,
    })
  }
  if (number('labelSmoothing', labelSmoothing) > 0 && labelSmoothing < 1) return labelSmoothing
  throw new OptionError('BAD_OPTION',
    `Option labelSmoothing is a share of the labels, from 0 to below 1; got ${shown(labelSmoothing)}.`, {
    option: 'labelSmoothing',
    value: labelSmoothing,
  })
}
