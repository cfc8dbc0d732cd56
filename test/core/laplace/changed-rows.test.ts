/** @file Rows that are added and taken away against fits of the rows that are there then. */
import fc from 'fast-check'
import t from 'tap'
import { laplace, mergePartialFits, subtractPartialFit } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { exampleRange } from '../../../core/tensor/examples.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const N = 12
const draw = drawer(3)
const graph = perceptron(draw, 3, 4, 2, 'Tanh')
const x = draw(N, 3)

function labels(likelihood: string): Tensor {
  const y = drawer(5)(N, likelihood === 'classification' ? 1 : 2)
  return likelihood === 'regression'
    ? y
    : float64(likelihood === 'classification' ? [N] : [N, 2], y.data.map((v: number) => Number(v > 0)))
}

const part = (values: Tensor, from: number, to: number): Tensor => {
  const width = values.data.length / N
  return float64([to - from, ...values.shape.slice(1)], values.data.slice(from * width, to * width))
}
const rows = (from: number, to: number): Tensor => exampleRange(x, from, to) as Tensor

const settings = fc.record({ likelihood: fc.constantFrom('classification', 'regression', 'multilabel', 'poisson'),
  subset: fc.constantFrom('all', 'last_layer'), structure: fc.constantFrom('full', 'kron', 'diag', 'blockdiag'),
  curvature: fc.constantFrom('ggn', 'empirical_fisher'), at: fc.integer({ min: 1, max: N - 1 }) })

t.test('added rows are fitted together, forgotten ones have never been there', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ at, ...options }) => {
    const y = labels(options.likelihood)
    const prepared = laplace(graph, { ...options as { likelihood: 'classification' }, priorPrecision: 2 })
    const first = await prepared.fit(rows(0, at), part(y, 0, at))
    const all = await prepared.fit(x, y)
    const added = await loadPosterior(first.save()).addRows(rows(at, N), part(y, at, N))
    const left = await added.forget(rows(at, N), part(y, at, N))
    const same = (a: typeof all, b: typeof all): boolean =>
      a.examples === b.examples && Math.abs(a.logMarginalLikelihood() - b.logMarginalLikelihood()) < 1e-8
      && relativeDifference(a.posteriorVariance(), b.posteriorVariance()) < 1e-9
    return same(added, all) && same(left, first)
  }), { numRuns: 40, seed: 2 })
  t.pass()
})

t.test('a part of merged fits is taken away again', async t => {
  const y = labels('classification')
  const prepared = laplace(graph, { likelihood: 'classification', structure: 'kron', priorPrecision: 1 })
  const [a, b] = [await prepared.fitPartial(rows(0, 5), part(y, 0, 5)),
    await prepared.fitPartial(rows(5, N), part(y, 5, N))]
  const rest = await prepared.fitMerged(subtractPartialFit(mergePartialFits(a, b), b))
  const alone = await prepared.fitMerged(a)
  t.ok(Math.abs(rest.logMarginalLikelihood() - alone.logMarginalLikelihood()) < 1e-10)
  t.equal(rest.examples, 5)
  t.throws(() => subtractPartialFit(a, b), { code: 'DIGEST_MISMATCH', message: /chunks/ })
  t.throws(() => subtractPartialFit(a, a), { code: 'EMPTY_DATA' })
})

t.test('what cannot be changed is refused, and the old posterior stays', async t => {
  const y = labels('classification')
  const fit = (options: object) => laplace(graph, { likelihood: 'classification', ...options }).fit(x, y)
  await t.rejects((await fit({})).addRows(x, y), { code: 'BAD_COMBINATION', message: /marglik/ })
  await t.rejects((await fit({ structure: 'functional', priorPrecision: 1 })).addRows(x, y), {
    code: 'BAD_COMBINATION',
  })
  const sums = await fit({ subset: 'all', structure: 'diag', priorPrecision: 1 })
  await t.rejects(sums.forget(x, y), { code: 'EMPTY_DATA' })
  const fewer = await sums.forget(rows(0, 8), part(y, 0, 8))
  await t.rejects(fewer.forget(rows(0, 3), part(y, 0, 3)), { code: 'BAD_ARRAY', message: /not among/ })
  t.equal(sums.examples, N)
})
