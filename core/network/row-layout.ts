/**
 * @file How rows of data lie beside a network's input: as the input, as a reshape that keeps the order of all axes, as
 * images with their channels on the other end, or in another order, which is refused.
 */
import { ShapeError } from '../errors/errors.js'
import { formatShape, sizeOf, type Tensor } from '../tensor/tensor.js'

/**
 * Rows of the wanted shape, of as many numbers: images H x W x C are transposed to C x H x W (and back) where the
 * lengths leave no doubt, rows that are flat or joined are reshaped, and both are said.
 * @param x N x ...
 * @param wanted the shape of one example
 * @throws ShapeError where the axes are in another order, or do not fit
 */
export function inLayout(x: Tensor, wanted: readonly number[], note: (sentence: string) => void): Tensor {
  const [n, ...given] = x.shape
  const shape = [n, ...wanted]
  if (withoutOnes(given) === withoutOnes(wanted)) {
    if (given.join() !== wanted.join()) note(reshaped(given, wanted))
    return { ...x, shape }
  }
  const moved = movedChannels(given, wanted)
  if (moved !== undefined) {
    note(
      `Rows of ${formatShape(given)} were transposed to the network's input ${formatShape(wanted)}: their channels ` +
        `are on the ${moved === 'last' ? 'last' : 'first'} axis, the network's on the ${
          moved === 'last' ? 'first' : 'last'
        }.`,
    )
    const channels = moved === 'last' ? given[given.length - 1] : given[0]
    const pixels = x.data.length / (n * channels)
    const data = moved === 'last' ? transposed(x.data, n, pixels, channels) : transposed(x.data, n, channels, pixels)
    return { dtype: x.dtype, shape, data }
  }
  if (!keepsOrder(given, wanted)) {
    const other = [...given].sort().join() === [...wanted].sort().join()
    throw new ShapeError(
      `Rows of x are ${formatShape(given)}, and the network's input is ${formatShape(wanted)} an example: ${
        other ? 'the same axes in another order' : 'as many numbers, but on axes that do not fit'
      }. Bring x to N x ${formatShape(wanted)}; a reshape alone would mix its numbers up.`,
      { expected: ['N', ...wanted], actual: x.shape },
    )
  }
  note(reshaped(given, wanted))
  return { ...x, shape }
}

function reshaped(given: readonly number[], wanted: readonly number[]): string {
  return `Rows of ${formatShape(given)} were reshaped to the network's input ${formatShape(wanted)}.`
}

function withoutOnes(shape: readonly number[]): string {
  return shape.filter(extent => extent !== 1).join()
}

/** Where the channels of images are, if they are on the other end of the network's input, and surely so. */
function movedChannels(given: readonly number[], wanted: readonly number[]): 'first' | 'last' | undefined {
  if (given.length !== 3 || wanted.length !== 3) return undefined
  const [a, b, c] = given
  // Another length than height and width: else it could be either of them.
  if (c !== a && c !== b && wanted.join() === [c, a, b].join()) return 'last'
  return a !== b && a !== c && wanted.join() === [b, c, a].join() ? 'first' : undefined
}

/** The matrices rows x columns of n examples, transposed: pixels x channels as channels x pixels, or the other way. */
function transposed<A extends Tensor['data']>(values: A, n: number, rows: number, columns: number): A {
  const result = values.slice() as A
  for (let example = 0, at = 0; example < n; example++) {
    const first = at
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) result[first + column * rows + row] = values[at++]
    }
  }
  return result
}

/** Whether one shape is the other with some axes that follow each other joined. */
function keepsOrder(a: readonly number[], b: readonly number[]): boolean {
  const ends = (shape: readonly number[]): number[] => shape.map((_, axis) => sizeOf(shape.slice(0, axis + 1)))
  const [one, other] = [ends(a), ends(b)]
  return one.every(end => other.includes(end)) || other.every(end => one.includes(end))
}
