/** @file Examples in text, a row a line: numbers in every column but the targets', which may be text. */
import { parse } from 'csv-parse/sync'
import { DataError } from '../../core/errors/errors.js'
import { delimiterOf, withDecimalPoints } from './dialect.js'
import { isHeader } from './header.js'
import { demandDistinctNames, namedColumns, numbersAndTargets, type NumberTable, type Table } from './table.js'

/**
 * Reads a table with its numbers and its answers.
 * @param target names of the target columns, separated by commas, `last` for the last column, or undefined when
 * there is none
 * @throws DataError BAD_DATA_FILE naming the row and the column
 */
export function readCsv(text: string, target: string | undefined): NumberTable {
  const table = csvTable(text)
  demandDistinctNames(table)
  return numbersAndTargets(table,
    target === undefined ? [] : namedColumns(table.columns.map(({ name }) => name), target))
}

/**
 * Reads a table.
 * @param header whether the first row has the names of the columns; by default what it looks like
 * @throws DataError BAD_DATA_FILE, EMPTY_DATA
 */
export function csvTable(text: string, header?: boolean): Table {
  const records = parseRecords(text)
  return tableOf(records, header ?? isHeader(records))
}

function tableOf(records: readonly (readonly string[])[], header: boolean): Table {
  const names = header ? records[0] : records[0].map((_, i) => `x${i + 1}`)
  const body = header ? records.slice(1) : records
  if (body.length === 0) throw new DataError('EMPTY_DATA', 'The CSV file has a header and no rows.')
  return { rows: body.length, header, place: row => `line ${row + (header ? 2 : 1)}`,
    columns: names.map((name, i) => ({ name, cells: body.map(cells => cells[i]) })) }
}

/**
 * The text of bytes: UTF-8, or UTF-16 that says so.
 * @param noText what is said of bytes that are no text
 * @throws DataError for those, and for bytes of another encoding, whose letters would become others
 */
export function decodedText(bytes: Uint8Array,
  noText = 'This is none of CSV, Parquet, Arrow, .npy, .npz and safetensors.'): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe
    ? 'utf-16le'
    : bytes[0] === 0xfe && bytes[1] === 0xff
    ? 'utf-16be'
    : 'utf-8'
  if (encoding === 'utf-8' && bytes.includes(0)) {
    throw new DataError('BAD_DATA_FILE', noText)
  }
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    throw new DataError('BAD_DATA_FILE',
      'The text is not UTF-8, and its letters are not known: save it as UTF-8 (iconv -f LATIN1 -t UTF-8, for example).')
  }
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
