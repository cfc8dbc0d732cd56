/** @file Whether the first row of a table in text has the names of its columns. */
import { DataError } from '../../core/errors/errors.js'
import { toNumber } from './table.js'

/** What people write for a value that is missing: no name of a column. */
const MISSING = /^(?:|\?|-|na|n\/a|nan|null|none)$/i

/**
 * Whether the first row is a header. Texts alone are names, and numbers alone are a row. Of both, texts that stand
 * again below are classes, and numbers that neither rise nor fall are no names; numbers in order, as a table of pixels
 * or of wavelengths has them above it, are names where no other row has them so.
 * @throws DataError BAD_DATA_FILE where the row may be either
 */
export function isHeader([first, ...others]: readonly (readonly string[])[]): boolean {
  const isText = first.map(cell => Number.isNaN(toNumber(cell)))
  const texts = first.flatMap((_, i) => (isText[i] ? [i] : []))
  const numbers = first.flatMap((_, i) => (isText[i] ? [] : [i]))
  if (numbers.length === 0) return true
  const counted = others.length > 0 && isCounting(first, numbers) && !others.some(row => isCounting(row, numbers))
  if (texts.length === 0) return counted && numbers.length > 1 ? unclear(first) : false
  const names = texts.filter(i => !MISSING.test(first[i]))
  if (names.some(i => others.some(row => row[i] === first[i]))) return false
  if (names.length === 0) return counted
  const inOrder = (numbers.length > 2 || numbers.every(i => /^\d+$/.test(first[i]))) && isInOrder(first, numbers)
  const aboveNumbers = others.length > 0 &&
    names.some(i => others.every(row => !Number.isNaN(toNumber(row[i])) || MISSING.test(row[i])))
  if (aboveNumbers) return inOrder || unclear(first)
  if (!inOrder) return false
  const stands = numbers.length > 2 && others.length > 0 && !others.some(row => isInOrder(row, numbers))
  return counted || stands || unclear(first)
}

/** 0, 1, 2, ... */
function isCounting(row: readonly string[], places: readonly number[]): boolean {
  return places.length > 1 && places.every((place, i) => row[place] === String(i))
}

/** Rising, or falling, from cell to cell; one is in order. */
function isInOrder(row: readonly string[], places: readonly number[]): boolean {
  const steps = places.slice(1).map((place, i) => toNumber(row[place]) - toNumber(row[places[i]]))
  return (steps.every(step => step > 0) || steps.every(step => step < 0))
}

function unclear(first: readonly string[]): never {
  const row = `${first.slice(0, 6).join(', ')}${first.length > 6 ? ', ...' : ''}`.slice(0, 80)
  throw new DataError('BAD_DATA_FILE',
    `The first row, ${row}, may be the names of the columns or a row of data. Write names that are no numbers above ` +
      'the columns; on the command line --header yes or --header no says which it is.', { row })
}
