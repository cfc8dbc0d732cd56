/** @file Checks that data are finite numbers. */
import { DataError } from '../errors/errors.js'
import type { Tensor, TensorData } from './tensor.js'

/**
 * @param columns their names, where they have some
 * @throws DataError NOT_FINITE naming the first such element
 */
export function checkFinite({ data }: Tensor, name: string, width: number, columns: readonly string[] = []): void {
  if (allFinite(data)) return
  const i = data.findIndex((value: number) => !Number.isFinite(value))
  const [row, column] = [Math.floor(i / width), i % width]
  const called = columns.length === width ? ` ('${columns[column]}')` : ''
  throw new DataError('NOT_FINITE',
    `${name} must hold finite numbers; found ${data[i]} in row ${row}, column ${column}${called}. Remove such rows or `
      + 'fill them in.', { array: name, row, column, value: String(data[i]) })
}

/** All bits of the exponent: those of NaN and of infinities, in single precision and in the high word of a double. */
const [EXPONENT, DOUBLE_EXPONENT] = [0x7f800000, 0x7ff00000]
/** Which word of a double is the high one here. */
const HIGH_WORD = new Uint8Array(Int32Array.of(1).buffer)[0] === 1 ? 1 : 0

/**
 * Whether all numbers are finite, by their exponents: until a loop over numbers is compiled each of them is an object,
 * 16 bytes of garbage, and integers are not.
 */
export function allFinite(data: TensorData): boolean {
  const { buffer, byteOffset, length } = data
  if (data instanceof Float32Array) return noneHasAll(EXPONENT, new Int32Array(buffer, byteOffset, length), 0, 1)
  if (!(data instanceof Float64Array)) return true
  return noneHasAll(DOUBLE_EXPONENT, new Int32Array(buffer, byteOffset, 2 * length), HIGH_WORD, 2)
}

/** Whether in no word, of every `step` from the first on, all of these bits are set. */
function noneHasAll(bits: number, words: Int32Array, first: number, step: number): boolean {
  for (let i = first; i < words.length; i += step) if ((words[i] & bits) === bits) return false
  return true
}
