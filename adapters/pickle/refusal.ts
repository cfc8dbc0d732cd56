/** @file The error of the pickle reader. */
import { UntrustedInputError } from '../../core/errors/errors.js'

/** What is known where a pickle went wrong. */
export interface PickleFault {
  readonly offset?: number
  readonly limit?: number
  readonly actual?: unknown
  readonly path?: string
}

/** Throws the error for a pickle that is damaged or made to harm. */
export function refusePickle(message: string, fault: PickleFault = {}): never {
  throw new UntrustedInputError(
    `The pickle ${message}${fault.offset === undefined ? '' : ` (byte ${fault.offset} of it)`}.`,
    { format: 'pickle', ...fault },
  )
}
