/** @file Roots of a likelihood of one's own: those of zeros travel nowhere. */
import fc from 'fast-check'
import t from 'tap'
import { customLikelihood } from '../../../core/likelihood/custom.js'

const [C, K] = [3, 5]
const rowsOfRoots = fc.array(
  fc.array(fc.oneof(fc.constant([0, 0, 0]), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: C, maxLength: C })), {
    minLength: K,
    maxLength: K,
  }),
  { minLength: 1, maxLength: 6 },
)

t.test('the seeds of every row make its Lambda, and are as many as the row with the most roots needs', t => {
  fc.assert(fc.property(rowsOfRoots, rows => {
    const labels = Float64Array.from(
      rows.flatMap(roots => [0, 0, 0, 0, ...Array.from({ length: C }, (_, c) => roots.map(root => root[c])).flat()]),
    )
    const own = customLikelihood(K).ofLabels!(labels)
    const count = own.seedCount(C)
    const most = Math.max(...rows.map(roots => roots.filter(root => root[0] !== 0).length))
    const seeds = own.hessianSeeds(new Float64Array(rows.length * C), rows.length, C)
    const lambda = (columns: readonly (readonly number[])[], c: number, d: number) =>
      columns.reduce((sum, column) => sum + column[c] * column[d], 0)
    return count <= K && count >= most && (count === K || count < 2 * Math.max(1, most)) &&
      rows.every((roots, n) => {
        const columns = Array.from({ length: count },
          (_, k) => Array.from(seeds.subarray((k * rows.length + n) * C, (k * rows.length + n + 1) * C)))
        return Array.from({ length: C * C }, (_, i) => [Math.floor(i / C), i % C]).every(([c, d]) =>
          lambda(columns, c, d) === lambda(roots, c, d)
        )
      })
  }))
  t.end()
})
