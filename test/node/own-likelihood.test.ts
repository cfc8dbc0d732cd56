/** @file A likelihood of the user's own: one of the library's written out, and one that the library has not. */
import t, { type Test } from 'tap'
import { laplace, loadPosterior, type OwnLikelihood } from '../../index.js'
import { relativeDifference } from '../support/compare.js'
import { drawer, perceptron } from '../support/random-network.js'

const N = 20
const draw = drawer(3)
const graph = perceptron(draw, 3, 4, 2, 'Tanh')
const single = perceptron(draw, 3, 4, 1, 'Tanh')
const x = draw(N, 3)
const counts = Array.from({ length: N }, (_, n) => [n % 3, n % 5])

const factorial = (k: number): number => (k < 2 ? 1 : k * factorial(k - 1))
const poisson: OwnLikelihood = {
  loss: (f, y) =>
    (y as number[][]).map((row, n) =>
      row.reduce((sum, k, c) => sum + Math.exp(f.get(n, c)) - k * f.get(n, c) + Math.log(factorial(k)), 0)
    ),
  residual: (f, y) => (y as number[][]).map((row, n) => row.map((k, c) => Math.exp(f.get(n, c)) - k)),
  root: (f, y) =>
    (y as number[][]).map((row, n) => row.map((_, c) => row.map((_, k) => (c === k ? Math.exp(f.get(n, c) / 2) : 0)))),
}

t.test("poisson written out is the library's", async (t: Test) => {
  for (const options of [{ structure: 'full', subset: 'all' }, { structure: 'kron', subset: 'all' }, {
    structure: 'diag',
    subset: 'all',
  }, { structure: 'full', subset: 'last_layer' }, { structure: 'kron', subset: 'last_layer' }, { structure: 'full',
    subset: 'all', curvature: 'empirical_fisher' }, { structure: 'full', subset: 'all',
    curvature: 'hessian' }] as const) {
    const own = await laplace(graph, { ...options, likelihood: poisson, priorPrecision: 5000 }).fit(x, counts)
    const named = await laplace(graph, { ...options, likelihood: 'poisson', priorPrecision: 5000 }).fit(x, counts)
    t.ok(Math.abs(own.logMarginalLikelihood() / named.logMarginalLikelihood() - 1) < 1e-10, JSON.stringify(options))
    const [a, b] = await Promise.all([own.predict(x), named.predict(x)])
    t.ok(relativeDifference(a.mean.data as Float64Array, b.mean.data as Float64Array) < 1e-12)
    t.ok(relativeDifference(a.variance.data as Float64Array, b.variance.data as Float64Array) < 1e-9)
    t.equal(a.predictiveVariance, undefined, 'of a new observation nothing is known')
    t.equal(a.aleatoric, undefined)
  }
})

t.test('a Cauchy likelihood, by its own evidence', async (t: Test) => {
  const y = Array.from({ length: N }, (_, n) => Math.sin(n))
  const cauchy: OwnLikelihood = {
    loss: (f, own) => (own as number[]).map((v, n) => Math.log(Math.PI * (1 + (f.get(n, 0) - v) ** 2))),
    residual: (f, own) => (own as number[]).map((v, n) => [2 * (f.get(n, 0) - v) / (1 + (f.get(n, 0) - v) ** 2)]),
    root: (_f, own) => (own as number[]).map(() => [[Math.SQRT1_2]]),
  }
  const own = await laplace(single, { likelihood: cauchy }).fit(x, y)
  t.equal(own.tuned, 'marglik')
  const given = await laplace(single, { likelihood: cauchy, subset: 'all', structure: 'full', priorPrecision: 3 }).fit(
    x,
    y,
  )
  // The Fisher information is that of a Gaussian of variance 2.
  const gaussian = await laplace(single, { likelihood: 'regression', subset: 'all', structure: 'full',
    priorPrecision: 3, sigmaNoise: Math.SQRT2 }).fit(x, y)
  const [a, b] = await Promise.all([given.predict(x), gaussian.predict(x)])
  t.ok(relativeDifference(a.variance.data as Float64Array, b.variance.data as Float64Array) < 1e-10)
  const f = a.mean.data as Float64Array
  const loss = y.reduce((sum, v, n) => sum + Math.log(Math.PI * (1 + (f[n] - v) ** 2)), 0)
  t.ok(Math.abs(given.logLikelihood + loss) < 1e-6)
  const again = loadPosterior(given.save())
  t.equal(again.logMarginalLikelihood(), given.logMarginalLikelihood())
  t.same((await again.predict(x, { level: 0.9 })).interval, 'credible')
  const parts = laplace(single, { likelihood: cauchy, structure: 'diag', subset: 'all', priorPrecision: 3 })
  const merged = await parts.fitMerged(await parts.fitPartial(x, y))
  t.equal(merged.examples, N)
  await t.rejects(given.compare(x, y), { code: 'BAD_COMBINATION' })
})

t.test('what is not there, and functions that give other shapes, are refused', async (t: Test) => {
  const fit = async (options: object, likelihood: OwnLikelihood = poisson): Promise<unknown> =>
    laplace(graph, { likelihood, priorPrecision: 1, ...options }).fit(x, counts)
  for (const options of [{ structure: 'functional' }, { structure: 'ekfac' }, { structure: 'lowrank' }, {
    curvature: 'mc_fisher',
  }, { tune: 'grid', priorPrecision: undefined, validation: { x, y: counts } }, { tune: 'auto',
    priorPrecision: undefined }]) {
    await t.rejects(fit(options), { code: 'BAD_COMBINATION' }, JSON.stringify(options))
  }
  await t.rejects(fit({}, { ...poisson, residual: () => [[1], [2]] }), { code: 'BAD_ARRAY' })
  await t.rejects(fit({}, { loss: poisson.loss } as unknown as OwnLikelihood), { code: 'BAD_OPTION' })
})
