/**
 * @file Rows in another layout than the network's input: transposed where that is certain, reshaped in order, refused.
 */
import t from 'tap'
import { BATCH, type GraphInput } from '../../../core/graph/graph.js'
import { checkExamplesFirst, networkInputs } from '../../../core/network/input-rows.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'

const input = (...shape: number[]): GraphInput => ({ name: 'x', dtype: 'float64', shape: [BATCH, ...shape] })
const count = (...shape: number[]): Tensor => float64(shape, Array.from({ length: sizeOf(shape) }, (_, i) => i))

/** The rows of a network of one input. */
function networkInput(x: Tensor, only: GraphInput, precision: 'float64', note: (sentence: string) => void): Tensor {
  return networkInputs(x, { inputs: [only], declared: ['x'] }, precision, note).get('x')!
}

function rowsIn(x: Tensor, ...wanted: number[]): { data: number[], notes: string[] } {
  const notes: string[] = []
  const { data, shape } = networkInput(x, input(...wanted), 'float64', note => notes.push(note))
  t.same(shape, [x.shape[0], ...wanted])
  return { data: Array.from(data), notes }
}

t.test('channels on the other end are transposed, and it is said', t => {
  const [images, turned] = [count(2, 4, 5, 3), count(2, 3, 4, 5)]
  const first = rowsIn(images, 3, 4, 5)
  t.same(first.data, Array.from(turned.data, at => {
    const [n, c, pixel] = [Math.floor(at / 60), Math.floor(at / 20) % 3, at % 20]
    return (n * 20 + pixel) * 3 + c
  }))
  t.match(first.notes, [/transposed/])
  t.same(rowsIn(float64([2, 3, 4, 5], first.data), 4, 5, 3).data, Array.from(images.data), 'and back')
  t.same(rowsIn(count(2, 4, 4, 3), 3, 4, 4).notes.length, 1, 'square images')
  t.end()
})

t.test('a reshape keeps the order of all axes, or is refused', t => {
  for (const [given, wanted] of [[[6], [2, 3]], [[2, 3], [6]], [[1, 4, 5], [4, 5]], [[2, 12], [2, 3, 4]]]) {
    const { data } = rowsIn(count(2, ...given), ...wanted)
    t.same(data, Array.from(count(2, ...given).data), `${given.join()} to ${wanted.join()}`)
  }
  const refused = (given: number[], wanted: number[], message: RegExp): void => {
    t.throws(() => networkInput(count(2, ...given), input(...wanted), 'float64', () => undefined), {
      code: 'SHAPE_MISMATCH',
      message,
    })
  }
  refused([5, 3], [3, 5], /the same axes in another order/)
  refused([5, 4, 3], [3, 4, 5], /the same axes in another order/)
  refused([3, 4, 5], [3, 5, 4], /another order/)
  // Which of two axes of 3 holds the channels?
  refused([3, 4, 3], [3, 3, 4], /another order/)
  refused([4, 6], [8, 3], /do not fit/)
  t.end()
})

t.test('sequences with the times first: examples first', t => {
  const recurrent: GraphInput = { name: 'x', dtype: 'float64', shape: [7, BATCH, 2] }
  t.throws(() => networkInput(count(7, 5, 2), recurrent, 'float64', () => undefined), { message: /examples first/ })
  t.throws(() => checkExamplesFirst(count(7, 5, 2), count(5), recurrent), { message: /examples first/ })
  const squeezed = { ...recurrent, shape: [BATCH, 5, 6] }
  t.throws(() => checkExamplesFirst(count(1, 10, 6), count(10), squeezed), {
    message: /x is 1 x 10 x 6 and y has 10 rows.*second axis open.*examples first, 10 x 6/,
  })
  t.doesNotThrow(() => checkExamplesFirst(count(1, 5, 6), count(1), squeezed))
  t.doesNotThrow(() => checkExamplesFirst(count(5, 7, 2), count(5), recurrent))
  t.same(networkInput(count(5, 7, 2), recurrent, 'float64', () => undefined).shape, [7, 5, 2])
  t.end()
})
