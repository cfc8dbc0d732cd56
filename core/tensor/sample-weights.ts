/** @file How often each row counts. */
import { DataError, OptionError, ResourceError, ShapeError } from '../errors/errors.js'
import type { Batch } from './batch.js'
import { arraysOf, exampleCount, mapArrays } from './examples.js'
import { allocate, type Tensor } from './tensor.js'

/**
 * Weights of N rows, checked; undefined where none are given.
 * @throws ShapeError unless there is one a row; DataError BAD_ARRAY for numbers that are negative or not finite,
 *   EMPTY_DATA where all are 0
 */
export function checkWeights(weights: ArrayLike<number> | undefined, examples: number): Float64Array | undefined {
  if (weights === undefined) return undefined
  const values = Float64Array.from(weights)
  if (values.length !== examples) {
    throw new ShapeError(`There are ${examples} rows and ${values.length} weights (sampleWeight); give one a row.`, {
      expected: examples,
      actual: values.length,
    })
  }
  const wrong = values.findIndex(value => !(value >= 0 && value < Infinity))
  if (wrong >= 0) {
    throw new DataError('BAD_ARRAY',
      `Weights of rows (sampleWeight) must be finite and not negative; that of row ${wrong} is ${values[wrong]}.`, {
      array: 'sampleWeight',
      row: wrong,
      value: String(values[wrong]),
    })
  }
  return values
}

/** Bytes that rows may take, each as often as its weight says: the default limit of a posterior. */
const MOST_BYTES = 4 * 2 ** 30

/**
 * The batch with every row as often as its weight says.
 * @param weights whole numbers
 * @throws ResourceError OUT_OF_MEMORY where they are too many
 */
export function repeated({ x, y }: Batch, weights: Float64Array): Batch {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const numbers = [y, ...arraysOf(x).map(({ values }) => values)].reduce((sum, { data }) => sum + data.length, 0)
  if (total * (4 + 8 * numbers / Math.max(1, weights.length)) > MOST_BYTES) {
    throw new ResourceError('OUT_OF_MEMORY',
      `This fit reads each row as often as its weight (sampleWeight) says, ${total} times in all: more than 4 GiB. ` +
        "Give smaller weights (their ratios may stay), or tune by 'marglik' or 'grid'.", { option: 'sampleWeight',
      needed: total })
  }
  const rows = new Int32Array(total)
  let at = 0
  weights.forEach((weight, row) => {
    rows.fill(row, at, at += weight)
  })
  return { x: mapArrays(x, values => taken(values, rows)), y: taken(y, rows) }
}

/**
 * Rows that are read once more, with their weights taken as how often each is there.
 * @param option the name under which they were given
 * @throws ShapeError, DataError as of weights; OptionError BAD_COMBINATION where a weight is no whole number
 */
export function inFull({ sampleWeight, ...batch }: Batch, option: string): Batch {
  const weights = checkWeights(sampleWeight, exampleCount(batch.x))
  if (weights === undefined) return batch
  if (areWhole(weights)) return repeated(batch, weights)
  throw new OptionError('BAD_COMBINATION',
    `The rows in ${option} are read once more, where a weight (sampleWeight) is a whole number: how often the row is `
      + "there. For other weights tune by 'marglik' or 'grid', or give the prior precision.", { option })
}

/** How many rows count by weights: all of them, unless each counts once. */
export function countWeighted(weights: Float64Array | undefined): number {
  return weights?.some(weight => weight !== 1) === true ? weights.length : 0
}

/** How many rows counted by weights, where any did; Infinity of a file that does not say how many. */
export interface Weighted {
  readonly weighted?: number | undefined
}

/** Of both, or of the first without the second. */
export function withWeighted(a = 0, b = 0, sign: 1 | -1 = 1): Weighted {
  const weighted = a === Infinity ? a : a + sign * b
  return weighted > 0 ? { weighted } : {}
}

/**
 * Rows of a fit that are read once more count as they did in it.
 * @throws OptionError BAD_COMBINATION where the fit had weights, and the rows come without
 */
export function demandWeightsAgain(weighted: number | undefined, sampleWeight: unknown): void {
  if (weighted === undefined || sampleWeight !== undefined) return
  throw new OptionError('BAD_COMBINATION',
    'The rows of this fit counted by weights (sampleWeight), which are not kept: give those of these rows again.', {
    option: 'sampleWeight',
  })
}

/** Whether every weight is a whole number, so that rows can be repeated. */
export function areWhole(weights: Float64Array): boolean {
  return weights.every(Number.isInteger)
}

function taken({ dtype, shape, data }: Tensor, rows: Int32Array): Tensor {
  const width = shape[0] === 0 ? 0 : data.length / shape[0]
  const result = allocate(dtype, rows.length * width)
  rows.forEach((row, i) => {
    result.set(data.subarray(row * width, (row + 1) * width), i * width)
  })
  return { dtype, shape: [rows.length, ...shape.slice(1)], data: result }
}
