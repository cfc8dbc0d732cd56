/**
 * @file Batches of Arrow columns as examples and labels. The package apache-arrow makes such batches, and is not needed
 * here: anything of its shape will do.
 */
import type { PredictOptions } from '../core/answer/posterior-options.js'
import { demand, textOption, textsOption } from '../core/errors/demand.js'
import { DataError, LaplaceError, OptionError } from '../core/errors/errors.js'
import { knownOptions, nearestWord, optionsObject } from '../core/errors/suggest.js'
import { float64, type Tensor } from '../core/tensor/tensor.js'
import { type NamedRows, toExamples } from './arrays.js'
import { coreWork } from './core-arguments.js'
import type { WorkOptions } from './options.js'
import { Posterior } from './posterior.js'
import { predictionColumns } from './prediction-columns.js'
import { attended } from './runtime/attended.js'

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
  readonly x: NamedRows
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
  columns: ArrowColumns): AsyncGenerator<ArrowRows> {
  knownOptions('arrowBatches', columns, ['label', 'features', 'sampleWeight'])
  const { label, features, sampleWeight } = columns
  textsOption('label', typeof label === 'string' ? [label] : label ?? null)
  textsOption('features', features)
  textOption('sampleWeight', sampleWeight)
  demandBatches(batches)
  const labels = typeof label === 'string' ? [label] : label
  const others = sampleWeight === undefined ? labels : [...labels, sampleWeight]
  let number = 0
  for await (const batch of batches) {
    if (batch.numRows > 0) {
      yield await named(number, () => {
        const y = matrixOf(batch, labels)
        return {
          x: tableOf(batch, features ?? namesBut(batch, others)),
          y: typeof label === 'string' && y.shape[1] === 1 ? { ...y, shape: [batch.numRows] } : y,
          ...(sampleWeight === undefined ? {} : { sampleWeight: numbersOf(batch, sampleWeight) }),
        }
      })
    }
    number++
  }
}

/** A batch and the columns of its prediction, by their names on the command line: `mean`, `sd`, `probability_0`. */
export interface PredictedBatch<B extends ArrowBatch> {
  readonly batch: B
  /** One number a row each. */
  readonly columns: Readonly<Record<string, Float64Array>>
}

/**
 * Predictions for batches of Arrow as they come, one held at a time. Batches without rows are passed over. Columns by
 * `label` are no features. Errors say which batch it was.
 * @throws OptionError, DataError as `arrowBatches`; ShapeError, DataError, CancelledError as `predict`
 * @example
 * for await (const { batch, columns } of predictBatches(posterior, reader, { label: 'y', level: 0.9 })) {
 *   console.log(`${batch.numRows} rows`, columns['mean'], columns['lower'], columns['upper'])
 * }
 */
export async function* predictBatches<B extends ArrowBatch>(posterior: Posterior,
  batches: AsyncIterable<B> | Iterable<B>,
  given: Partial<Omit<ArrowColumns, 'sampleWeight'>> & PredictOptions & WorkOptions = {}
): AsyncGenerator<PredictedBatch<B>> {
  const { label = [], features, ...options } = optionsObject('predictBatches', given)
  demand(posterior instanceof Posterior, 'posterior', 'a fitted posterior', posterior)
  textsOption('label', typeof label === 'string' ? [label] : label)
  textsOption('features', features)
  demandBatches(batches)
  const others = typeof label === 'string' ? [label] : label
  let number = 0
  for await (const batch of batches) {
    if (batch.numRows > 0) {
      yield await named(number, async () => {
        const { signal, onProgress, ...how } = options
        const x = toExamples(tableOf(batch, features ?? namesBut(batch, others)), 'x')
        const work = coreWork('predictBatches', { signal, onProgress })
        const prediction = await attended(posterior.core, work).predict(x, how, work)
        const { quantiles: asked } = how
        const quantileProbabilities = typeof asked === 'number' ? [asked] : asked && Array.from(asked)
        const columns = predictionColumns({ ...prediction, quantileProbabilities }, posterior.likelihood)
        return { batch, columns: Object.fromEntries(
          columns.map(({ name, at }) => [name, Float64Array.from({ length: batch.numRows }, (_, row) => at(row))]),
        ) }
      })
    }
    number++
  }
}

/** @throws OptionError BAD_OPTION for what has no batches */
function demandBatches(batches: unknown): void {
  demand(typeof batches === 'object' && batches !== null
    && (Symbol.iterator in batches || Symbol.asyncIterator in batches), 'batches', 'an iterable of batches of Arrow',
    batches)
}

/** Errors say in which batch they arose. */
async function named<T>(number: number, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof LaplaceError) error.message = `In batch ${number}: ${error.message}`
    throw error
  }
}

function namesBut(batch: ArrowBatch, others: readonly string[]): string[] {
  return batch.schema.fields.map(({ name }) => name).filter(name => !others.includes(name))
}

/** Columns of numbers with their names; of vectors no names. */
function tableOf(batch: ArrowBatch, names: readonly string[]): NamedRows {
  const values = matrixOf(batch, names)
  return values.shape[1] === names.length ? { ...values, columns: names } : values
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
