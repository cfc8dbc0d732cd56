/** @file Tables, whatever file they come from: cells by column, from which inputs and answers are taken. */
import { DataError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'

/** What a file holds in one place; null and undefined where a value is missing. Of text files every cell is text. */
export type Cell = unknown

/** One column of a file. */
export interface Column {
  readonly name: string
  readonly cells: ArrayLike<Cell>
}

/** A table as its file holds it. */
export interface Table {
  readonly rows: number
  /** Whether the columns have names of their own. */
  readonly header: boolean
  readonly columns: readonly Column[]
  /** Where a row stands in the file, for messages. */
  readonly place: (row: number) => string
}

/** One column of answers. */
export interface TargetColumn {
  readonly name: string
  /** Its cells as text; empty where a value is missing. */
  readonly cells: readonly string[]
}

/** A table of numbers, with the target columns apart. */
export interface NumberTable {
  readonly rows: number
  readonly columns: readonly string[]
  /** Whether the columns have names of their own, in a header. */
  readonly header: boolean
  /** rows x columns, row-major; the targets are not among them. */
  readonly values: Float64Array
  readonly targets: readonly TargetColumn[]
}

/**
 * The numbers of a table, and its answers.
 * @param targets the places of the answers' columns
 * @throws DataError BAD_DATA_FILE naming the row and the column
 */
export function numbersAndTargets({ rows, header, columns, place }: Table, targets: readonly number[]): NumberTable {
  const inputs = columns.filter((_, i) => !targets.includes(i))
  const values = new Float64Array(rows * inputs.length)
  inputs.forEach(({ name, cells }, column) => {
    for (let row = 0; row < rows; row++) {
      const value = toNumber(cells[row])
      if (!Number.isFinite(value)) throw noNumber(cells[row], name, place(row))
      values[row * inputs.length + column] = value
    }
  })
  return { rows, header, columns: inputs.map(({ name }) => name), values,
    targets: targets.map(at => ({ name: columns[at].name, cells: Array.from(columns[at].cells, cellText) })) }
}

/** Number('') and Number(null) would be 0: a missing value must not become one. */
export function toNumber(cell: Cell): number {
  switch (typeof cell) {
    case 'number':
    case 'boolean':
      return Number(cell)
    case 'string':
      return cell.trim() === '' ? NaN : Number(cell)
    case 'bigint':
      return Number.isSafeInteger(Number(cell)) ? Number(cell) : NaN
    default:
      return NaN
  }
}

/** A cell as text; empty where a value is missing. */
function cellText(cell: Cell): string {
  return isMissing(cell) ? '' : String(cell)
}

function isMissing(cell: Cell): boolean {
  return cell === null || cell === undefined || cell === '' || (typeof cell === 'number' && Number.isNaN(cell))
}

function noNumber(cell: Cell, column: string, where: string): DataError {
  const value = typeof cell === 'object' && !(cell instanceof Date) ? kindOf(cell) : String(cell).slice(0, 40)
  const found = isMissing(cell)
    ? cell === '' ? 'an empty cell' : 'a missing value'
    : typeof cell === 'object'
    ? `${kindOf(cell)}`
    : `'${value}'`
  return new DataError('BAD_DATA_FILE',
    `Column '${column}', ${where}: expected a number and found ${found}. ${
      typeof cell === 'object' && cell !== null && !(cell instanceof Date)
        ? 'Give each number a column of its own, or arrays as .npy or .npz.'
        : 'Code text columns as numbers, and fill in or remove rows with missing values.'
    }`, { column, where, value })
}

function kindOf(cell: Cell): string {
  return cell instanceof Date ? 'a date' : Array.isArray(cell) || ArrayBuffer.isView(cell) ? 'a list' : 'an object'
}

/** The places of the columns of these names, separated by commas; `last` is the last one. @throws DataError */
export function namedColumns(names: readonly string[], wanted: string): number[] {
  if (wanted === 'last' && !names.includes(wanted)) return [names.length - 1]
  // A name may itself hold a comma.
  return (names.includes(wanted) ? [wanted] : wanted.split(',').map(name => name.trim())).map(name =>
    namedColumn(names, name)
  )
}

function namedColumn(names: readonly string[], wanted: string): number {
  const at = names.indexOf(wanted)
  if (at !== -1) return at
  const suggestion = nearestWord(wanted, names)
  throw new DataError('BAD_DATA_FILE', `The file has no column '${wanted}'; its columns are ${listed(names)}.` +
    (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { column: wanted })
}

/** Names for a message. */
export function listed(names: readonly string[]): string {
  return `${names.slice(0, 20).join(', ')}${names.length > 20 ? `, ... (${names.length})` : ''}`
}

/** The columns in which pandas keeps the labels of rows, which are no data. */
const ROW_LABELS = /^__index_level_\d+__$/

/** The table without labels of rows. */
export function withoutRowLabels(table: Table): Table {
  return { ...table, columns: table.columns.filter(({ name }) => !ROW_LABELS.test(name)) }
}

/** Columns are known by their names. @throws DataError BAD_DATA_FILE where two have the same */
export function demandDistinctNames({ header, columns }: Table): void {
  const names = columns.map(({ name }) => name)
  const twice = header ? names.find((name, i) => names.indexOf(name) !== i) : undefined
  if (twice === undefined) return
  throw new DataError('BAD_DATA_FILE',
    `Two columns or more are called '${twice}', and columns are matched by name: rename them.`, { column: twice })
}
