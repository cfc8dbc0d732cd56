/** @file Curvatures known by some of their rows against the full one, references and definitions. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { lowRankWay } from '../../../core/fit/low-rank-way.js'
import { forward, laplace, type LaplaceOptions, type LaplacePosterior } from '../../../core/index.js'
import { gemm } from '../../../core/kernels/linear-algebra.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { withParameters } from '../../../core/network/parameters.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks, perceptron } from '../../support/random-network.js'
import { referenceCase } from '../../support/reference-case.js'

/* eslint-disable @typescript-eslint/no-explicit-any */
const near = (t: Test, actual: ArrayLike<number>, expected: ArrayLike<number>, message: string, tolerance = 1e-8) => {
  const difference = relativeDifference(actual, expected)
  t.ok(difference <= tolerance, `${message} (${difference.toExponential(1)})`)
}

const labels = (n: number, outputs: number): Tensor =>
  float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))

const settings = fc.record({ kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  structure: fc.constantFrom({ structure: 'functional' } as const, { structure: 'lowrank', rank: 1000 } as const),
  subset: fc.constantFrom('all' as const, 'last_layer' as const, 'subnetwork' as const),
  prior: fc.constantFrom('scalar', 'layerwise', 'diagonal'), seed: fc.nat(1000) })

t.test('all rows, or all eigenvectors, are the full posterior: every quantity, subset and prior', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ kind, structure, subset, prior, seed }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const y = labels(5, outputs)
    const options: LaplaceOptions = { likelihood: 'classification', subset, priorPrecision: 1,
      subnetwork: subset === 'subnetwork' ? { count: 9, by: 'random', seed } : undefined }
    const full = await laplace(graph, { ...options, structure: 'full' }).fit(x, y)
    const own = await laplace(graph, { ...options, ...structure }).fit(x, y)
    const size = full.parameterCount
    const tensors = full.state.structured.slots.length
    const priorPrecision = prior === 'scalar'
      ? 0.7
      : Float64Array.from({ length: prior === 'layerwise' ? tensors : size }, (_, i) => 0.5 + i % 3)
    const [a, b] = [own, full].map(posterior => posterior.withPrior({ priorPrecision, temperature: 2 }))
    const again = loadPosterior(a.save())
    const point = float64([size], a.mean.map((value, i) => value + 0.1 * Math.cos(i)))
    const f = async (posterior: typeof a, joint: boolean) =>
      (await posterior.functionalVariance(x, { joint })).covariance.data
    return own.structure === structure.structure
      && relativeDifference(own.H.toDense(), full.H.toDense()) < 1e-9
      && relativeDifference(a.posteriorPrecision.toDense(), b.posteriorPrecision.toDense()) < 1e-9
      && relativeDifference([a.logMarginalLikelihood()], [b.logMarginalLikelihood()]) < 1e-10
      && relativeDifference(a.posteriorVariance(), b.posteriorVariance()) < 1e-9
      && relativeDifference(a.posteriorCovariance().data, b.posteriorCovariance().data) < 1e-9
      && relativeDifference(a.logProb(point).data, b.logProb(point).data) < 1e-9
      && relativeDifference(await f(a, false), await f(b, false)) < 1e-8
      && relativeDifference(await f(a, true), await f(b, true)) < 1e-8
      && relativeDifference((await a.predict(x)).variance.data, (await b.predict(x)).variance.data) < 1e-8
      && relativeDifference(await f(again, false), await f(a, false)) < 1e-12
      && relativeDifference((await a.predict(x, { link: 'zero_sum' })).probabilities!.data,
          (await b.predict(x, { link: 'zero_sum' })).probabilities!.data) < 1e-8
  }), { numRuns: 40, seed: 3 })
  t.pass()
})

t.test('draws have the covariance P^-1', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(4))
  const posterior = await laplace(graph, { likelihood: 'classification', structure: 'functional', nSubset: 3,
    priorPrecision: Float64Array.of(1, 2, 3, 4) }).fit(x, labels(5, 3))
  const size = posterior.parameterCount
  const count = 20000
  const draws = posterior.sample(count, { seed: 1 }).data
  const covariance = new Float64Array(size * size)
  for (let s = 0; s < count; s++) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        covariance[i * size + j] += (draws[s * size + i] - posterior.mean[i]) *
          (draws[s * size + j] - posterior.mean[j]) / count
      }
    }
  }
  near(t, covariance, posterior.posteriorCovariance().data, 'covariance of draws', 0.05)
})

for (const name of ['functional-classification', 'functional-regression']) {
  t.test(`${name}: the reference's numbers`, async t => {
    const { graph, x, y, xTest, expected } = referenceCase(name)
    for (const wanted of expected.functional as any[]) {
      const posterior = await laplace(graph, { likelihood: expected.likelihood, subset: wanted.subset,
        structure: 'functional', priorPrecision: wanted.prior_precision,
        ...(expected.likelihood === 'regression' ? { sigmaNoise: wanted.sigma_noise } : {}) }).fit(x, y)
      near(t, (await posterior.functionalVariance(xTest)).covariance.data, wanted.f_var_weight_space.data,
        `f_var of ${wanted.subset}`)
    }
    for (const wanted of expected.lowrank.ranks as any[]) {
      const posterior = await laplace(graph, { likelihood: expected.likelihood, subset: 'all', structure: 'lowrank',
        rank: wanted.rank, priorPrecision: wanted.prior_precision,
        ...(expected.likelihood === 'regression' ? { sigmaNoise: 1 } : {}) }).fit(x, y)
      const { values } = posterior.state.structured.spectrum()
      near(t, values[0].slice(0, wanted.rank), wanted.eigenvalues.data, `eigenvalues of rank ${wanted.rank}`)
      near(t, [posterior.logMarginalLikelihood()], [wanted.marglik.log_marginal_likelihood], 'log marginal likelihood')
      near(t, posterior.posteriorVariance(), wanted.posterior_variance.data, 'posterior variance')
      near(t, (await posterior.functionalVariance(xTest)).covariance.data, wanted.f_var.data, 'f_var')
    }
  })
}

t.test('a share of the trace decides the rank', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(9))
  const y = labels(5, 3)
  const of = (rank: number) =>
    laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'lowrank', rank, priorPrecision: 1 }).fit(
      x,
      y,
    )
  const all = await of(43)
  const spectrum = Array.from(all.state.structured.spectrum().values[0])
  const total = spectrum.reduce((a, b) => a + b, 0)
  const some = await of(0.9)
  const values = Array.from(some.state.structured.spectrum().values[0]).filter(value => value > 0)
  const sum = (list: number[]): number => list.reduce((a, b) => a + b, 0)
  t.ok(sum(values) >= 0.9 * total)
  t.ok(sum(values.slice(0, -1)) < 0.9 * total)
})

/** H v and v'v for the rows v of one posterior, by the rows of V of another, which are all of H. */
const eigenpairsOf = (found: LaplacePosterior, exact: LaplacePosterior) => {
  const [U, V] = [found, exact].map(posterior => {
    const { curvature } = posterior.state.structured
    return curvature.structure === 'factored' ? curvature.rows : new Float64Array(0)
  })
  const size = found.parameterCount
  return Array.from({ length: U.length / size }, (_, k) => {
    const u = U.subarray(k * size, (k + 1) * size)
    const image = new Float64Array(size)
    for (let r = 0; r < V.length; r += size) {
      let product = 0
      for (let i = 0; i < size; i++) product += V[r + i] * u[i]
      for (let i = 0; i < size; i++) image[i] += product * V[r + i]
    }
    return { u, image, value: u.reduce((sum, entry) => sum + entry * entry, 0) }
  })
}

t.test("more seeds and parameters than are decomposed: eigenpairs by V V', and by products with J alone", async t => {
  for (const [hidden, count, C, way] of [[42, 2600, 2, 'gram'], [36, 290, 10, 'products']] as const) {
    const draw = drawer(2)
    const wide = perceptron(draw, 60, hidden, C, 'Tanh')
    const rows = draw(count, 60)
    const large: LaplaceOptions = { likelihood: 'classification', subset: 'all', priorPrecision: 1 }
    const found = await laplace(wide, { ...large, structure: 'lowrank', rank: 6 }).fit(rows, labels(count, C))
    const { evaluator, options } = found.state
    t.equal(lowRankWay({ evaluator, options }, 6, count), way)
    const exact = await laplace(wide, { ...large, structure: 'functional' }).fit(rows, labels(count, C))
    for (const [k, { u, image, value }] of eigenpairsOf(found, exact).entries()) {
      near(t, image, u.map(entry => value * entry), `eigenpair ${k} of ${count} rows by ${way}`, 1e-7)
    }
  }
})

t.test('a last layer, and parts of tensors, of more seeds than are decomposed', async t => {
  const draw = drawer(3)
  const [count, C] = [510, 6]
  const graph = perceptron(draw, 10, 420, C, 'Tanh')
  const x = draw(count, 10)
  for (const own of [{ subset: 'last_layer' }, { subset: 'subnetwork',
    subnetwork: { count: 2510, by: 'random' } }] as const) {
    const options: LaplaceOptions = { likelihood: 'classification', priorPrecision: 1, ...own }
    const found = await laplace(graph, { ...options, structure: 'lowrank', rank: 2 }).fit(x, labels(count, C))
    const H = (await laplace(graph, { ...options, structure: 'full' }).fit(x, labels(count, C))).H.toDense()
    const size = found.parameterCount
    t.ok(size > 2500)
    const { curvature } = found.state.structured
    const U = curvature.structure === 'factored' ? curvature.rows : new Float64Array(0)
    const images = new Float64Array(U.length)
    gemm(false, false, 2, size, size, 1, U, H, 0, images)
    for (let k = 0; k < 2; k++) {
      const u = U.subarray(k * size, (k + 1) * size)
      const value = u.reduce((sum, entry) => sum + entry * entry, 0)
      near(t, images.subarray(k * size, (k + 1) * size), u.map(entry => value * entry), `${k}, ${own.subset}`, 1e-7)
    }
  }
})

t.test('few weights and any number of rows: H is summed and decomposed', async t => {
  const draw = drawer(4)
  const graph = perceptron(draw, 12, 20, 4, 'Tanh')
  const x = draw(3000, 12)
  for (const subset of ['all', 'last_layer'] as const) {
    const options: LaplaceOptions = { likelihood: 'classification', priorPrecision: 1, subset }
    const found = await laplace(graph, { ...options, structure: 'lowrank', rank: 400 }).fit(x, labels(3000, 4))
    const full = await laplace(graph, { ...options, structure: 'full' }).fit(x, labels(3000, 4))
    near(t, found.H.toDense(), full.H.toDense(), `H, ${subset}`, 1e-10)
    near(t, [found.logMarginalLikelihood()], [full.logMarginalLikelihood()], `evidence, ${subset}`, 1e-10)
  }
})

t.test('a part of the data is drawn by the seed; tuning is by evidence; wrong combinations are refused', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(4))
  const y = labels(5, 3)
  const base: LaplaceOptions = { likelihood: 'classification', structure: 'functional' }
  const variance = async (options: Partial<LaplaceOptions>) =>
    (await laplace(graph, { ...base, priorPrecision: 1, ...options }).fit(x, y)).posteriorVariance()
  t.same(await variance({ nSubset: 2, seed: 1 }), await variance({ nSubset: 2, seed: 1 }))
  t.notSame(await variance({ nSubset: 2, seed: 1 }), await variance({ nSubset: 2, seed: 5 }))
  const tuned = await laplace(graph, { ...base, nSubset: 4 }).fit(x, y)
  t.equal(tuned.tuned, 'marglik')
  const full = await (await laplace(graph, { ...base, structure: 'full', subset: 'all', priorPrecision: 1 }).fit(x, y))
    .tune({ tune: 'marglik' })
  const own = await (await laplace(graph, { ...base, priorPrecision: 1 }).fit(x, y)).tune({ tune: 'marglik' })
  near(t, [own.priorPrecision as number], [full.priorPrecision as number], 'optimum of the evidence', 1e-6)
  const refused = (options: Partial<LaplaceOptions>): void => {
    t.throws(() => laplace(graph, { ...base, ...options }), { code: /BAD_COMBINATION|BAD_OPTION/ })
  }
  refused({ tune: 'linearized' })
  refused({ priorStructure: 'layerwise' })
  refused({ structure: 'kron', nSubset: 3 })
  refused({ rank: 3 })
  refused({ structure: 'lowrank', rank: 1.5 })
  refused({ curvature: 'empirical_fisher' })
  await t.rejects(laplace(graph, base).fitPartial(x, y), { code: 'BAD_COMBINATION' })
})

t.test('fewer rows than weights: the eigenvectors come from the factors of J, and are those of H', async t => {
  const [N, C, kept] = [60, 3, 4]
  const draw = drawer(8)
  const graph = perceptron(draw, 400, 700, C, 'Tanh')
  const x = draw(N, 400)
  const small = { ...x, data: Float64Array.from(x.data, value => value / 20) }
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'lowrank',
    rank: kept, priorPrecision: 1 }).fit(small, labels(N, C))
  const { curvature, slots, mean } = posterior.state.structured
  if (curvature.structure !== 'factored') return t.fail('not factored')
  const size = mean.length
  t.ok((C - 1) * N * size > 1 << 25, 'more than is written out')
  const units = Array.from({ length: kept }, (_, k) => {
    const row = curvature.rows.slice(k * size, (k + 1) * size)
    const value = row.reduce((sum, entry) => sum + entry * entry, 0)
    return { value, vector: row.map(entry => entry / Math.sqrt(value)) }
  })
  const f = (theta: Float64Array) =>
    forward(withParameters(graph, slots, theta), small).then(({ data }) => Float64Array.from(data))
  const logits = await f(mean)
  const images = await Promise.all(units.map(async ({ vector }) => {
    const step = 1e-4
    const [up, down] = [await f(mean.map((w, i) => w + step * vector[i])),
      await f(mean.map((w, i) => w - step * vector[i]))]
    return up.map((value, i) => (value - down[i]) / (2 * step))
  }))
  for (let j = 0; j < kept; j++) {
    for (let k = 0; k < kept; k++) {
      let quadratic = 0
      for (let at = 0; at < N * C; at += C) {
        const e = Array.from(logits.subarray(at, at + C), Math.exp)
        const p = e.map(value => value / e.reduce((a, b) => a + b, 0))
        const mixed = (image: Float64Array) => p.reduce((sum, value, c) => sum + value * image[at + c], 0)
        for (let c = 0; c < C; c++) quadratic += p[c] * images[j][at + c] * images[k][at + c]
        quadratic -= mixed(images[j]) * mixed(images[k])
      }
      t.ok(Math.abs(quadratic - (j === k ? units[k].value : 0)) < 1e-6 * units[0].value, `${j} ${k}`)
    }
  }
  t.strictSame(units.map(({ value }) => value), units.map(({ value }) => value).sort((a, b) => b - a))
})
