/**
 * @file Fields of an untrusted container that are sums of squares, or of outer products. What no such sum can be is
 * refused: decompositions would take half of it, or pass it over, and answer as if nothing were wrong.
 */
import { arrayField, type Fields, wrong } from './fields.js'

/** Share of the largest number that rounding may leave, of sums in single precision or of rows that were forgotten. */
const ROUNDING = 1e-5

/** The field as an array of sums of squares. @throws UntrustedInputError where one is negative */
export function squaresField(fields: Fields, key: string, length?: number): Float64Array {
  const values = arrayField(fields, key, length)
  const least = -ROUNDING * largest(values)
  if (values.every(value => value >= least)) return values
  throw wrong(key, 'sums of squares, which are not negative')
}

/** The field as symmetric matrices one after another, each size x size. @throws UntrustedInputError where one is not */
export function symmetricField(fields: Fields, key: string, size: number, count = 1): Float64Array {
  const values = arrayField(fields, key, count * size * size)
  const most = ROUNDING * largest(values)
  for (let at = 0; at < values.length; at += size * size) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < i; j++) {
        if (Math.abs(values[at + i * size + j] - values[at + j * size + i]) > most) throw wrong(key, 'symmetric')
      }
    }
  }
  return values
}

/** The same of matrices that are sums of outer products. @throws UntrustedInputError also for a negative diagonal */
export function outerProductsField(fields: Fields, key: string, size: number, count = 1): Float64Array {
  const values = symmetricField(fields, key, size, count)
  const least = -ROUNDING * largest(values)
  for (let i = 0; i < count * size; i++) {
    if (values[i * size + i % size] < least) throw wrong(key, 'sums of outer products, with no negative diagonal')
  }
  return values
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}
