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

/**
 * Whether all numbers are finite: one times zero is zero, any other is NaN. Four sums, as one would wait for itself.
 */
export function allFinite(data: TensorData): boolean {
  const whole = data.length - data.length % 4
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let i = 0; i < whole; i += 4) {
    a += data[i] * 0
    b += data[i + 1] * 0
    c += data[i + 2] * 0
    d += data[i + 3] * 0
  }
  for (let i = whole; i < data.length; i++) a += data[i] * 0
  return a + b + c + d === 0
}
