/** @file Examples in text, a row a line: numbers in every column but the targets', which may be text. */
import { parse } from 'csv-parse/sync'
import { DataError } from '../../core/errors/errors.js'
import { delimiterOf, withDecimalPoints } from './dialect.js'
import { namedColumns, numbersAndTargets, type NumberTable, type Table, toNumber } from './table.js'

/**
 * Reads a table with its numbers and its answers.
 * @param target names of the target columns, separated by commas, `last` for the last column, or undefined when
 * there is none
 * @throws DataError BAD_DATA_FILE naming the row and the column
 */
export function readCsv(text: string, target: string | undefined): NumberTable {
  const table = csvTable(text)
  return numbersAndTargets(table,
    target === undefined ? [] : namedColumns(table.columns.map(({ name }) => name), target))
}

/** Reads a table. The first row is a header when one of its cells is not a number. @throws DataError */
export function csvTable(text: string): Table {
  const records = parseRecords(text)
  const header = records[0].some(cell => Number.isNaN(toNumber(cell)))
  const names = header ? records[0] : records[0].map((_, i) => `x${i + 1}`)
  const body = header ? records.slice(1) : records
  if (body.length === 0) throw new DataError('EMPTY_DATA', 'The CSV file has a header and no rows.')
  return { rows: body.length, header, place: row => `line ${row + (header ? 2 : 1)}`,
    columns: names.map((name, i) => ({ name, cells: body.map(cells => cells[i]) })) }
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
