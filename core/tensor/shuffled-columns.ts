/**
 * @file Rows that are no data, made of data: each column holds what it held, in another order of the rows, so that
 * every number is ordinary and no row is.
 */
import { arraysOf, exampleCount, type Examples } from './examples.js'
import { randomGenerator } from './random.js'
import type { Tensor } from './tensor.js'

/** As many examples, their columns (pixels, tokens) shuffled each on its own. */
export function shuffledColumns(x: Examples, seed: number): Examples {
  const random = randomGenerator(seed)
  const count = exampleCount(x)
  const single = 'data' in x
  const shuffled = arraysOf(x).map(array => ({ ...array,
    values: shuffle(array.values, count, () => random.uniform()) })
  )
  return single ? shuffled[0].values : shuffled
}

function shuffle({ dtype, shape, data }: Tensor, count: number, uniform: () => number): Tensor {
  const width = data.length / Math.max(1, count)
  const shuffled = data.slice()
  for (let column = 0; column < width; column++) {
    for (let row = count - 1; row > 0; row--) {
      const [a, b] = [row * width + column, Math.floor(uniform() * (row + 1)) * width + column]
      const kept = shuffled[a]
      shuffled[a] = shuffled[b]
      shuffled[b] = kept
    }
  }
  return { dtype, shape, data: shuffled }
}
