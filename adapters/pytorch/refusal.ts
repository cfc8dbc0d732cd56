/** @file Errors of the PyTorch reader, and the advice they give. */
import { type InputFault, UntrustedInputError } from '../../core/errors/errors.js'

/** How to save what can be read. */
export const SAVE_A_STATE_DICT = 'save the state dict in Python: torch.save(model.state_dict(), "model.pt")'

/** Throws the error for a file that is damaged or made to harm. */
export function refuseTorch(message: string, fault: InputFault = {}): never {
  throw new UntrustedInputError(`The PyTorch file ${message}.`, { format: 'PyTorch', ...fault })
}

/** Throws the error for what is recognised but cannot be read. */
export function unsupportedTorch(message: string, fault: InputFault = {}, format = 'PyTorch'): never {
  throw new UntrustedInputError(`${message}.`, { format, ...fault }, 'UNSUPPORTED_FORMAT')
}
