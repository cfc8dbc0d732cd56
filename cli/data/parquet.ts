/** @file Tables in Parquet files, read and written by hyparquet, which is loaded when there is such a file. */
import { DataError } from '../../core/errors/errors.js'
import { type Table, withoutRowLabels } from './table.js'

const MAGIC = 'PAR1'

/** Whether these are the bytes of a Parquet file. */
export function isParquet(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && MAGIC === String.fromCharCode(...bytes.subarray(0, 4))
}

/**
 * Reads a table, in any of the format's compressions.
 * @throws DataError BAD_DATA_FILE, EMPTY_DATA
 */
export async function parquetTable(bytes: Uint8Array): Promise<Table> {
  const [{ parquetMetadata, parquetRead, parquetSchema }, { compressors }] = await Promise.all([import('hyparquet'),
    import('hyparquet-compressors')])
  try {
    const file = new Uint8Array(bytes).buffer
    const metadata = parquetMetadata(file)
    const names = parquetSchema(metadata).children.map(({ element }) => element.name)
    let records: unknown[][] = []
    await parquetRead({ file, metadata, compressors, onComplete: rows => {
      records = rows
    } })
    if (records.length === 0) throw new DataError('EMPTY_DATA', 'The Parquet file has no rows.')
    return withoutRowLabels({ rows: records.length, header: true, place: row => `row ${row + 1}`,
      columns: names.map((name, i) => ({ name, cells: records.map(cells => cells[i]) })) })
  } catch (error) {
    throw unreadable('Parquet', error)
  }
}

/** What a reader says of a broken file, as an error of this library. */
export function unreadable(format: string, error: unknown): DataError {
  return error instanceof DataError ?
    error :
    new DataError('BAD_DATA_FILE',
      `The ${format} file cannot be read: ${error instanceof Error ? error.message : String(error)}.`)
}

/** A Parquet file of columns of doubles and texts, packed by snappy. */
export async function writeParquet(
  columns: readonly { readonly name: string, readonly values: Float64Array | readonly string[] }[],
): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import('hyparquet-writer')
  return new Uint8Array(
    parquetWriteBuffer({ createdBy: 'polylaplace',
      columnData: columns.map(({ name, values }) =>
        values instanceof Float64Array
          ? { name, data: values, type: 'DOUBLE' as const, nullable: false }
          : { name, data: [...values], type: 'STRING' as const, nullable: false }
      ) }),
  )
}
