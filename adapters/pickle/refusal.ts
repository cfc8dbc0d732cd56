/** @file The error of the pickle reader. */
import { type InputFault, UntrustedInputError } from '../../core/errors/errors.js'

/** Throws the error for a pickle that is damaged or made to harm. */
export function refusePickle(message: string, fault: InputFault = {}): never {
  throw new UntrustedInputError(
    `The pickle ${message}${fault.offset === undefined ? '' : ` (byte ${fault.offset} of it)`}.`,
    { format: 'pickle', ...fault },
  )
}
