/** @file The views for browsers against the package `ndarray`, over random views of views. */
import fc from 'fast-check'
import original, { type NdArray } from 'ndarray'
import t from 'tap'
import { ndarray } from '../../browser/ndarray.js'

type Change = (view: NdArray) => NdArray

const axisValues = (least: number, most: number): fc.Arbitrary<(number | null)[]> =>
  fc.array(fc.option(fc.integer({ min: least, max: most })), { minLength: 3, maxLength: 3 })

const changes: fc.Arbitrary<Change> = fc.oneof(
  axisValues(0, 1).map((at): Change => view => view.lo(...at as number[])),
  axisValues(1, 2).map((at): Change => view => view.hi(...at as number[])),
  axisValues(-2, 2).map((at): Change => view => view.step(...at.map(by => by === 0 ? 1 : by) as number[])),
  fc.constantFrom<Change>(view => view.transpose(...[2, 0, 1].filter(axis => axis < view.dimension)), view => view),
  fc.nat({ max: 1 }).map((at): Change => view => (view.dimension > 1 ? view.pick(null, at) : view)),
)

/** All entries in the order of the indices, and what the view says of itself. */
function facts(view: NdArray): unknown {
  const entries: unknown[] = []
  const visit = (at: number[]): void => {
    if (at.length === view.dimension) entries.push([view.index(...at), view.get(...at)])
    else for (let i = 0; i < view.shape[at.length]!; i++) visit([...at, i])
  }
  visit([])
  const { shape, stride, offset, dtype, size, dimension } = view
  return { entries, shape, stride, offset, dtype, size, dimension }
}

t.test('every view of a view is that of ndarray', async t => {
  fc.assert(fc.property(fc.array(changes, { maxLength: 4 }), fc.boolean(), (steps, typed) => {
    const numbers = Array.from({ length: 60 }, (_, i) => i)
    const data = typed ? Float32Array.from(numbers) : numbers
    const apply = (view: NdArray): unknown => facts(steps.reduce((shown, change) => change(shown), view))
    t.same(apply(ndarray(data, [3, 4, 5])), apply(original(data, [3, 4, 5]) as NdArray))
  }), { numRuns: 60 })
  const [own, theirs] = [ndarray, original].map(make => make(Float64Array.of(1, 2, 3, 4), [2, 2]) as NdArray)
  t.same(own!.order, theirs!.order)
  t.equal(own!.set(1, 0, 9), 9)
  t.equal(own!.get(1, 0), 9)
  t.same(facts(ndarray(Float64Array.of(1, 2))), facts(original(Float64Array.of(1, 2)) as NdArray))
})
