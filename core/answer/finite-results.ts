/** @file Refuses results with numbers that are none: NaN never leaves as if it were an answer. */
import { NumericalError } from '../errors/errors.js'
import { allFinite } from '../tensor/finite.js'
import type { Tensor } from '../tensor/tensor.js'

/**
 * Fields that may be infinite: ends of intervals where the rows held out are too few for the level, which a note says,
 * and the loss of a row that has no probability without itself.
 */
const MAY_BE_INFINITE: ReadonlySet<string> = new Set(['lower', 'upper', 'quantiles', 'loss'])

/**
 * The result, whose tensors are finite; what waits until it is read is checked then.
 * @param what of what the result is, for the message
 * @throws NumericalError OVERFLOW naming the field and the row
 */
export function finiteFields<Result extends object>(result: Result, what: string): Result {
  const descriptors = Object.getOwnPropertyDescriptors(result) as PropertyDescriptorMap
  const checked = (field: string, value: unknown): unknown => {
    if (isTensor(value)) demandFinite(value, `'${field}' of ${what}`, MAY_BE_INFINITE.has(field))
    return value
  }
  const lazy = Object.entries(descriptors).filter(([field, { get, value }]) => {
    if (get === undefined) checked(field, value)
    return get !== undefined
  })
  if (lazy.length === 0) return result
  for (const [field, { get }] of lazy) {
    descriptors[field] = { enumerable: true, configurable: true, get: () => checked(field, get?.call(result)) }
  }
  return Object.defineProperties({}, descriptors) as Result
}

/** Draws, which are finite. @throws NumericalError OVERFLOW naming the first that is not */
export function finiteDraws(draws: Tensor, what: string): Tensor {
  demandFinite(draws, what, false)
  return draws
}

function demandFinite({ data, shape }: Tensor, what: string, mayBeInfinite: boolean): void {
  if (allFinite(data)) return
  const at = data.findIndex((value: number) => mayBeInfinite ? Number.isNaN(value) : !Number.isFinite(value))
  if (at < 0) return
  throw new NumericalError('OVERFLOW',
    `${what} is ${data[at]} at index ${
      Math.floor(at * shape[0] / data.length)
    }: the outputs there, or their variances, `
      + 'are too large for double precision. Scale the data as in training, or choose a larger prior precision.', {
    what,
    value: String(data[at]),
  })
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'dtype' in value && 'data' in value
}
