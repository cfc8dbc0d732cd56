/** @file Examples in text, a row a line: numbers in every column but the targets', which may be text. */
import { parse } from 'csv-parse/sync'
import { DataError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { delimiterOf, withDecimalPoints } from './dialect.js'

/** One column of answers. */
export interface TargetColumn {
  readonly name: string
  /** Its cells as they stand in the file. */
  readonly cells: readonly string[]
}

/** A table of numbers, with the target columns apart. */
export interface CsvTable {
  readonly rows: number
  readonly columns: readonly string[]
  /** Whether the columns have names of their own, in a header. */
  readonly header: boolean
  /** rows x columns, row-major; the targets are not among them. */
  readonly values: Float64Array
  readonly targets: readonly TargetColumn[]
}

/**
 * Reads a table. The first row is a header when one of its cells is not a number.
 * @param target names of the target columns, separated by commas, `last` for the last column, or undefined when
 * there is none
 * @throws DataError BAD_DATA_FILE naming the row and the column
 */
export function readCsv(text: string, target: string | undefined): CsvTable {
  const records = parseRecords(text)
  const header = records[0].some(cell => Number.isNaN(toNumber(cell)))
  const names = header ? records[0] : records[0].map((_, i) => `x${i + 1}`)
  const body = header ? records.slice(1) : records
  if (body.length === 0) throw new DataError('EMPTY_DATA', 'The CSV file has a header and no rows.')
  const targets = targetColumns(names, target)
  const columns = names.filter((_, i) => !targets.includes(i))
  const values = new Float64Array(body.length * columns.length)
  body.forEach((cells, row) => {
    let column = 0
    cells.forEach((cell, i) => {
      if (targets.includes(i)) return
      values[row * columns.length + column++] = numberIn(cell, names[i], row + (header ? 2 : 1))
    })
  })
  return { rows: body.length, columns, header, values,
    targets: targets.map(at => ({ name: names[at], cells: body.map(cells => cells[at]) })) }
}

function parseRecords(text: string): readonly (readonly string[])[] {
  let records: string[][]
  const delimiter = delimiterOf(text)
  try {
    records = parse(delimiter === ' ' ? text.replace(/^[ \t]+|[ \t]+$/gm, '').replace(/[ \t]+/g, ' ') : text, {
      bom: true,
      trim: true,
      delimiter,
      skip_empty_lines: true,
      max_record_size: 16 * 1024 * 1024,
    })
  } catch (error) {
    throw new DataError('BAD_DATA_FILE',
      `The CSV file cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (records.length === 0) throw new DataError('EMPTY_DATA', 'The CSV file is empty.')
  return delimiter === ',' ? records : withDecimalPoints(records)
}

/** Number('') would be 0: a missing value must not become one. */
function toNumber(cell: string): number {
  return cell === '' ? NaN : Number(cell)
}

function numberIn(cell: string, column: string, line: number): number {
  const value = toNumber(cell)
  if (Number.isFinite(value)) return value
  const found = cell === '' ? 'an empty cell' : `'${cell.slice(0, 40)}'`
  throw new DataError('BAD_DATA_FILE', `Column '${column}', line ${line}: expected a number and found ${found}. ` +
    'Code text columns as numbers, and fill in or remove rows with missing values.', { column, line,
    value: cell.slice(0, 40) })
}

function targetColumns(names: readonly string[], target: string | undefined): number[] {
  if (target === undefined) return []
  if (target === 'last') return [names.length - 1]
  // A name may itself hold a comma.
  return (names.includes(target) ? [target] : target.split(',').map(name => name.trim())).map(name =>
    targetColumn(names, name)
  )
}

function targetColumn(names: readonly string[], target: string): number {
  const at = names.indexOf(target)
  if (at !== -1) return at
  const suggestion = nearestWord(target, names)
  throw new DataError('BAD_DATA_FILE',
    `The file has no column '${target}'; its columns are ${names.slice(0, 20).join(', ')}${
      names.length > 20 ? ', ...' : ''
    }.` +
      (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { column: target })
}
