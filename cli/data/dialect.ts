/** @file How a table in text is written: what stands between its cells, and whether numbers have decimal commas. */
import { DataError } from '../../core/errors/errors.js'

/** In the order in which they are taken where several could be meant: a comma may stand within numbers. */
const DELIMITERS = ['\t', ';', '|', ','] as const

/** Lines that tell the delimiter. */
const LINES = 50

/** Cells with a comma between digits, and those that could as well be thousands. */
const DECIMAL_COMMA = /^[+-]?\d*,\d+(e[+-]?\d+)?$/i
const THOUSANDS = /^[+-]?[1-9]\d{0,2}(,\d{3})+$/
const DECIMAL_POINT = /^[+-]?\d*\.\d+(e[+-]?\d+)?$/i

/** What parts the cells: what occurs equally often, outside of quotes, in every line; a comma where nothing does. */
export function delimiterOf(text: string): string {
  const lines = text.split(/\r?\n/).filter(line => line.trim() !== '').slice(0, LINES)
    .map(line => line.replace(/"(?:[^"]|"")*"/g, ''))
  const occurs = (delimiter: string): boolean => {
    const counts = lines.map(line => line.split(delimiter).length)
    return counts.length > 0 && counts[0] > 1 && counts.every(count => count === counts[0])
  }
  return DELIMITERS.find(occurs) ?? (lines.every(line => /\S[ \t]+\S/.test(line) && !line.includes(',')) ? ' ' : ',')
}

/**
 * The cells with decimal points, where they have decimal commas.
 * @throws DataError BAD_DATA_FILE where commas could be decimal or part thousands
 */
export function withDecimalPoints(records: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const cells = records.flat()
  const commas = cells.filter(cell => DECIMAL_COMMA.test(cell) || THOUSANDS.test(cell))
  if (commas.length === 0) return records
  if (cells.some(cell => DECIMAL_POINT.test(cell)) || commas.every(cell => THOUSANDS.test(cell))) {
    throw new DataError('BAD_DATA_FILE',
      `'${commas[0].slice(0, 40)}' has a comma that may be decimal or part thousands. Write numbers with decimal ` +
        'points, and without marks between thousands.', { value: commas[0].slice(0, 40) })
  }
  return records.map(row => row.map(cell => (DECIMAL_COMMA.test(cell) ? cell.replace(',', '.') : cell)))
}
