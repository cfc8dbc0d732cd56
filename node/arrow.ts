/**
 * @file Batches of Arrow columns as examples and labels. The package apache-arrow makes such batches, and is not needed
 * here: anything of its shape will do.
 */
import { DataError, OptionError } from '../core/errors/errors.js'
import { nearestWord } from '../core/errors/suggest.js'
import { float64, type Tensor } from '../core/tensor/tensor.js'

/** A column, as apache-arrow's `Vector` is one. */
export interface ArrowColumn {
  readonly length: number
  readonly nullCount: number
  /** Of lists of one length `listSize`. */
  readonly type: object
  toArray(): ArrayLike<unknown>
  /** The values of such lists, one list behind the other. */
  getChildAt?(index: number): ArrowColumn | null
}

/** Rows in columns, as apache-arrow's `RecordBatch` and `Table` are. */
export interface ArrowBatch {
  readonly numRows: number
  readonly schema: { readonly fields: readonly { readonly name: string }[] }
  getChild(name: string): ArrowColumn | null
}

/** Which columns are examples and labels. */
export interface ArrowColumns {
  /** The column of the labels, or one for each output. */
  readonly label: string | readonly string[]
  /** The columns of the examples, in order, or one of vectors; without them all but those of labels and weights. */
  readonly features?: readonly string[] | undefined
  /** The column that says how often each row counts. */
  readonly sampleWeight?: string | undefined
}

/** Rows as `fit` takes them. */
export interface ArrowRows {
  readonly x: Tensor
  readonly y: Tensor
  readonly sampleWeight?: Float64Array
}

/**
 * Batches of Arrow as `fit` takes them, one at a time: of a reader, a table's batches, a generator of either kind.
 * Batches without rows are passed over.
 * @throws OptionError BAD_OPTION for columns that are not there; DataError BAD_ARRAY for those that hold no numbers
 * @example
 * // reader: apache-arrow's RecordBatchReader.from(createReadStream('rows.arrow'))
 * const posterior = await laplace(network, { likelihood: 'classification' })
 *   .fit(arrowBatches(reader, { label: 'y' }))
 */
export async function* arrowBatches(batches: AsyncIterable<ArrowBatch> | Iterable<ArrowBatch>,
  { label, features, sampleWeight }: ArrowColumns): AsyncGenerator<ArrowRows> {
  const labels = typeof label === 'string' ? [label] : label
  const others = sampleWeight === undefined ? labels : [...labels, sampleWeight]
  for await (const batch of batches) {
    if (batch.numRows === 0) continue
    const names = features ?? batch.schema.fields.map(({ name }) => name).filter(name => !others.includes(name))
    const y = matrixOf(batch, labels)
    yield {
      x: matrixOf(batch, names),
      y: typeof label === 'string' && y.shape[1] === 1 ? { ...y, shape: [batch.numRows] } : y,
      ...(sampleWeight === undefined ? {} : { sampleWeight: numbersOf(batch, sampleWeight) }),
    }
  }
}

/** Columns of numbers side by side, N x columns; a single one of vectors as it is. */
function matrixOf(batch: ArrowBatch, names: readonly string[]): Tensor {
  const columns = names.map(name => numbersOf(batch, name))
  const width = columns.reduce((sum, column) => sum + column.length / batch.numRows, 0)
  const values = new Float64Array(batch.numRows * width)
  let at = 0
  for (const column of columns) {
    const own = column.length / batch.numRows
    for (let i = 0; i < column.length; i++) values[Math.floor(i / own) * width + at + i % own] = column[i]
    at += own
  }
  return float64([batch.numRows, width], values)
}

function numbersOf(batch: ArrowBatch, name: string): Float64Array {
  const column = batch.getChild(name)
  if (column === null) {
    const known = batch.schema.fields.map(field => field.name)
    const near = nearestWord(name, known)
    throw new OptionError('BAD_OPTION', `The batches have no column '${name}'` +
      (near === undefined ? `: they have ${known.slice(0, 20).join(', ')}.` : `; did you mean '${near}'?`), {
      option: 'features',
      value: name,
      allowed: known,
    })
  }
  const lists = 'listSize' in column.type ? column.getChildAt?.(0) : undefined
  const { nullCount, length } = lists ?? column
  const values = column.nullCount + nullCount > 0 ? [] : Array.from((lists ?? column).toArray(), Number)
  if (values.length === length && !values.some(Number.isNaN)) {
    return Float64Array.from(values)
  }
  throw new DataError('BAD_ARRAY',
    `Column '${name}' of the batches holds ${
      column.nullCount + nullCount > 0 ? 'nulls' : 'values that are no numbers'
    }; numbers are needed.`, { array: name })
}
