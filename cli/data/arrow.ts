/** @file Tables in Arrow's files and streams (Feather 2), read by Flechette, which is loaded for such a file. */
import { DataError } from '../../core/errors/errors.js'
import { unreadable } from './parquet.js'
import { type Cell, type Table, withoutRowLabels } from './table.js'

const FILE = 'ARROW1'
const OLD_FEATHER = 'FEA1'
/** Streams begin with the marker of a message, and the length of a schema. */
const MARKER = 0xffffffff

/** Whether these are the bytes of an Arrow file or stream. */
export function isArrow(bytes: Uint8Array): boolean {
  const start = String.fromCharCode(...bytes.subarray(0, 6))
  if (start === FILE || start.startsWith(OLD_FEATHER)) return true
  return bytes.length > 8 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === MARKER
}

/**
 * Reads a table: record batches, dictionaries, buffers packed by LZ4 or ZSTD.
 * @throws DataError BAD_DATA_FILE, EMPTY_DATA
 */
export async function arrowTable(bytes: Uint8Array): Promise<Table> {
  if (String.fromCharCode(...bytes.subarray(0, 4)) === OLD_FEATHER) {
    throw new DataError('BAD_DATA_FILE', 'This is Feather of version 1. Write it again as version 2, or as Parquet.')
  }
  const { CompressionType, setCompressionCodec, tableFromIPC, Type } = await import('@uwdata/flechette')
  const [lz4, { compressors }] = await Promise.all([import('lz4js'), import('hyparquet-compressors')])
  const unpackOnly = (): never => {
    throw new Error('Only reading was asked for.')
  }
  setCompressionCodec(CompressionType.LZ4_FRAME, { encode: unpackOnly, decode: frame => lz4.default.decompress(frame) })
  setCompressionCodec(CompressionType.ZSTD, { encode: unpackOnly, // A copy, as views of doubles want their place.
    decode: frame => compressors.ZSTD?.(frame, 0).slice() ?? unpackOnly() })
  const spans: readonly number[] = [Type.Time, Type.Interval, Type.Duration]
  try {
    // Dates stay dates: as numbers they would be taken for inputs.
    const table = tableFromIPC(new Uint8Array(bytes), { useDate: true, useBigInt: true })
    if (table.numRows === 0) throw new DataError('EMPTY_DATA', 'The Arrow file has no rows.')
    return withoutRowLabels({ rows: table.numRows, header: true, place: row => `row ${row + 1}`,
      columns: table.children.map((column, i) => ({ name: String(table.names[i]),
        cells: Array.from(column.toArray() as ArrayLike<Cell>,
          cell => (spans.includes(column.type.typeId) ? new Date(0) : cell)) })
      ) })
  } catch (error) {
    throw unreadable('Arrow', error)
  }
}
