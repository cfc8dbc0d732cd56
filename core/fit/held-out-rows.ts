/** @file Rows that the network has not been trained on: given, or drawn from the rows of a fit. */
import { DataError, LaplaceError, OptionError, ShapeError } from '../errors/errors.js'
import { checkLabels } from '../likelihood/labels.js'
import { networkInputs } from '../network/input-rows.js'
import type { Likelihood } from '../options/words.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { Batch } from '../tensor/batch.js'
import { arraysOf, exampleCount, type Examples, mapArrays } from '../tensor/examples.js'
import { randomGenerator } from '../tensor/random.js'
import { allocate, type Tensor } from '../tensor/tensor.js'
import type { TrainingRows } from './linear-fit-result.js'

/** Fewer held-out rows than this say nothing of a network. */
export const FEWEST_HELD_OUT = 5

/**
 * Held-out rows as the network takes them.
 * @throws OptionError BAD_OPTION for fewer than five; ShapeError, DataError as for training rows, naming `validation`
 */
export function heldOutRows({ x, y }: Batch, { network, precision }: Pick<Evaluator, 'network' | 'precision'>,
  likelihood: Likelihood): TrainingRows {
  const examples = exampleCount(x)
  try {
    const rows = networkInputs(x, network, precision, () => undefined)
    const { values } = checkLabels(y, likelihood, examples, network)
    if (examples >= FEWEST_HELD_OUT) return { x: rows, labels: values, examples }
  } catch (error) {
    throw named(error)
  }
  throw new OptionError('BAD_OPTION',
    `${
      examples === 1 ? 'There is 1 held-out row' : `There are ${examples} held-out rows`
    } (validation); at least ${FEWEST_HELD_OUT} are needed, `
      + 'and some fifty make a choice that lasts. '
      + 'Give more, or leave validation out.', { option: 'validation', value: examples })
}

/** The same error, saying that the held-out rows are meant and not those of the fit. */
function named(error: unknown): unknown {
  if (!(error instanceof LaplaceError)) return error
  const message = `In the held-out rows (validation): ${error.message}`
  const data = { ...error.data, option: 'validation' }
  if (error instanceof ShapeError) return new ShapeError(message, data)
  return error instanceof DataError ? new DataError(error.code as 'BAD_LABELS', message, data) : error
}

/** The rows of one batch, apart. */
export interface SplitBatch {
  /** Undefined where all rows of the batch are held out. */
  readonly fitted: Batch | undefined
  readonly heldOut: number
}

/** Holds a share of the rows out of a fit, batch by batch. */
export interface RowSplitter {
  split(batch: Batch): SplitBatch
  /** All that was held out so far. */
  heldOut(): Batch | undefined
}

/** Draws by a seed: of the first n rows together, round(share n) are held out, however they come in batches. */
export function rowSplitter(share: number, seed: number): RowSplitter {
  const random = randomGenerator(seed)
  const kept: Batch[] = []
  let [seen, held] = [0, 0]
  return {
    split({ x, y }) {
      const rows = exampleCount(x)
      if (rows === 0 || y.shape[0] !== rows) return { fitted: { x, y }, heldOut: 0 }
      seen += rows
      const count = Math.min(rows, Math.round(share * seen) - held)
      const out = drawRows(rows, count, () => random.uniform())
      held += count
      if (count > 0) kept.push(selectBatch({ x, y }, out, true))
      return { fitted: count === rows ? undefined : selectBatch({ x, y }, out, false), heldOut: count }
    },
    heldOut: () =>
      kept.length === 0
        ? undefined
        : { x: joinExampleRows(kept.map(({ x }) => x)), y: joinRows(kept.map(({ y }) => y)) },
  }
}

/**
 * `count` of the rows, each set of them equally likely: 1 where a row is drawn (selection sampling, Knuth, algorithm
 * S).
 */
export function drawRows(rows: number, count: number, uniform: () => number): Uint8Array {
  const drawn = new Uint8Array(rows)
  let wanted = count
  for (let i = 0; i < rows; i++) {
    if (uniform() * (rows - i) >= wanted) continue
    drawn[i] = 1
    wanted--
  }
  return drawn
}

/** The given examples, in their own order. */
export function takeExamples(x: Examples, rows: Int32Array): Examples {
  const drawn = new Uint8Array(exampleCount(x))
  for (const row of rows) drawn[row] = 1
  return mapArrays(x, values => selectRows(values, drawn, true))
}

/** The rows of a batch that are drawn, or those that are not. */
export function selectBatch({ x, y }: Batch, drawn: Uint8Array, which: boolean): Batch {
  return { x: mapArrays(x, values => selectRows(values, drawn, which)), y: selectRows(y, drawn, which) }
}

/** The rows of an array that are drawn, or those that are not. */
export function selectRows({ dtype, shape, data }: Tensor, drawn: Uint8Array, which: boolean): Tensor {
  const width = data.length / shape[0]
  const rows = Array.from(drawn.keys()).filter(row => (drawn[row] === 1) === which)
  const result = allocate(dtype, rows.length * width)
  rows.forEach((row, i) => {
    result.set(data.subarray(row * width, (row + 1) * width), i * width)
  })
  return { dtype, shape: [rows.length, ...shape.slice(1)], data: result }
}

function joinExampleRows(parts: readonly Examples[]): Examples {
  const [first] = parts
  if ('data' in first) return joinRows(parts.map(part => arraysOf(part)[0].values))
  return first.map((array, i) => ({ ...array, values: joinRows(parts.map(part => arraysOf(part)[i].values)) }))
}

function joinRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts
  if (parts.length === 1) return first
  const data = allocate(first.dtype, parts.reduce((sum, part) => sum + part.data.length, 0))
  let at = 0
  for (const part of parts) {
    data.set(part.data, at)
    at += part.data.length
  }
  return { dtype: first.dtype, shape: [parts.reduce((sum, { shape }) => sum + shape[0], 0), ...first.shape.slice(1)],
    data }
}
