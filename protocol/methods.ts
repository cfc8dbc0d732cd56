/** @file placeholder */
import { ProtocolError } from '../core/errors.js'
import type { MethodSet } from './thread.js'
export function createMethods(_setup: { readonly readDirectories: readonly string[] }): MethodSet {
  return { run: method => Promise.reject(new ProtocolError('UNKNOWN_METHOD', `${method} is not there yet.`)), free: () => undefined }
}
