/** @file Arguments of the wrong kind, refused where they come in. */
import { OptionError } from './errors.js'
import { shown } from './shown.js'

/** @throws OptionError BAD_OPTION with what is due and what was found, unless it holds */
export function demand(holds: boolean, name: string, due: string, found: unknown): asserts holds {
  if (holds) return
  throw new OptionError('BAD_OPTION', `${name} must be ${due}; got ${shown(found)}.`, {
    option: name.replace(/^Option /, ''),
  })
}

/** The text of an option. @throws OptionError BAD_OPTION */
export function textOption(option: string, value: unknown): string | undefined {
  demand(value === undefined || typeof value === 'string', `Option ${option}`, 'text', value)
  return value
}

/** The texts of an option. @throws OptionError BAD_OPTION */
export function textsOption(option: string, value: unknown): readonly string[] | undefined {
  demand(value === undefined || Array.isArray(value) && value.every(entry => typeof entry === 'string'),
    `Option ${option}`, 'a list of texts', value)
  return value as readonly string[] | undefined
}

/** Tensors by name, glob or index. @throws OptionError BAD_OPTION */
export function tensorsOption(option: string, value: unknown): void {
  const isEntry = (entry: unknown): boolean => typeof entry === 'string' || Number.isInteger(entry)
  demand(value === undefined || isEntry(value) || Array.isArray(value) && value.every(isEntry), `Option ${option}`,
    'names, globs or indices of tensors', value)
}

/** A list or typed array of an option. @throws OptionError BAD_OPTION */
export function listOf<T>(option: string, value: ArrayLike<T>): ArrayLike<T> {
  demand(isList(value), `Option ${option}`, 'a list of numbers', value)
  return value
}

/** Whether a value is a list or a typed array. */
export function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || ArrayBuffer.isView(value) && !(value instanceof DataView)
}

/** @throws OptionError BAD_OPTION for what has none of the fields of such an object */
export function demandFields(name: string, due: string, value: unknown, fields: readonly string[]): void {
  demand(typeof value === 'object' && value !== null && fields.every(field => field in value), name, due, value)
}

/** @throws OptionError BAD_OPTION */
export function demandBytes(name: string, value: unknown): void {
  demand(value instanceof Uint8Array, name, 'bytes (Uint8Array)', value)
}
