/** @file The names of the columns of the rows that were summed: sums of columns in two orders do not add up. */
import { StateError } from '../errors/errors.js'
import type { GraphInput } from '../graph/graph.js'

/** The columns of an input, in the order in which they were summed. */
export interface InputColumns {
  readonly name: string
  readonly columns: readonly string[]
}

/** The columns of the inputs that have names for them. */
export function columnsOf(inputs: readonly GraphInput[]): InputColumns[] {
  return inputs.flatMap(({ name, columns }) => (columns === undefined ? [] : [{ name, columns }]))
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i])
}

/**
 * The columns of both; sums of rows without names say nothing of theirs.
 * @throws StateError DIGEST_MISMATCH when the columns of an input differ, or stand in another order
 */
export function mergeColumns(a: readonly InputColumns[], b: readonly InputColumns[]): readonly InputColumns[] {
  for (const { name, columns } of a) {
    const other = b.find(input => input.name === name)
    if (other === undefined || same(columns, other.columns)) continue
    const listed = (names: readonly string[]): string =>
      names.slice(0, 10).join(', ') + (names.length > 10 ? ', ...' : '')
    throw new StateError('DIGEST_MISMATCH',
      `These partial fits cannot be added: the columns of '${name}' are ${listed(columns)} in the first and ${
        listed(other.columns)
      } in the second. Give every part the same columns in the same order.`, {
      first: columns.slice(0, 100),
      second: other.columns.slice(0, 100),
    })
  }
  return [...a, ...b.filter(({ name }) => !a.some(input => input.name === name))]
}
