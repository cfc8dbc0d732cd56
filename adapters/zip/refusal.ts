/** @file The error of the zip reader. */
import { type InputFault, UntrustedInputError } from '../../core/errors/errors.js'

/** Throws the error for an archive that is damaged or made to mislead. */
export function refuseZip(message: string, fault: InputFault = {}): never {
  throw new UntrustedInputError(
    `The zip archive ${message}${fault.offset === undefined ? '' : ` (byte ${fault.offset})`}.`,
    { format: 'zip', ...fault },
  )
}

/** Throws the error for a sound archive that uses what is not supported. */
export function unsupportedZip(message: string, fault: InputFault = {}): never {
  throw new UntrustedInputError(`The zip archive ${message}.`, { format: 'zip', ...fault }, 'UNSUPPORTED_FORMAT')
}
