/** @file Assignments against the best of all permutations. */
import t from 'tap'
import { assignment, movedCycles } from '../../../core/kernels/assignment.js'
import { randomGenerator } from '../../../core/tensor/random.js'

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]]
  return items.flatMap(item => permutations(items.filter(other => other !== item)).map(rest => [item, ...rest]))
}

const total = (cost: Float64Array, n: number, order: Iterable<number>): number =>
  Array.from(order).reduce((sum, column, row) => sum + cost[row * n + column], 0)

t.test('the cost is the least of all permutations, also with ties and negative costs', async t => {
  const random = randomGenerator(4)
  for (let n = 1; n <= 6; n++) {
    for (let trial = 0; trial < 20; trial++) {
      const cost = Float64Array.from({ length: n * n },
        () => (trial % 2 === 0 ? random.normal() : Math.floor(3 * random.uniform())))
      const found = assignment(cost, n)
      t.same(Array.from(found).sort(), Array.from({ length: n }, (_, i) => i), 'a permutation')
      const least = Math.min(
        ...permutations(Array.from({ length: n }, (_, i) => i)).map(order => total(cost, n, order)),
      )
      t.ok(Math.abs(total(cost, n, found) - least) < 1e-12, `n = ${n}`)
    }
  }
})

t.test('the cycles of a permutation that move something', async t => {
  t.same(movedCycles(Int32Array.of(0, 2, 1, 3, 5, 6, 4)), [[1, 2], [4, 5, 6]])
  t.same(movedCycles(Int32Array.of(0, 1)), [])
})
