/** @file How many rows of a fit counted by weights, in files: a count, or of earlier versions that there were any. */
import type { Weighted } from '../tensor/sample-weights.js'
import type { Tree } from './container.js'
import { countField, type Fields } from './fields.js'

const KEY = 'weighted'

/** What is written beside the other fields. */
export function weightedToTree(weighted: number | undefined): Record<string, Tree> {
  if (weighted === undefined) return {}
  return { [KEY]: weighted === Infinity ? true : weighted }
}

/** What is read from there. @throws UntrustedInputError */
export function weightedFrom(fields: Fields): Weighted {
  const value = fields[KEY]
  if (value === undefined || value === null || value === false) return {}
  return { weighted: value === true ? Infinity : countField(fields, KEY) }
}
