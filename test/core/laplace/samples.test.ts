/** @file Posteriors by draws of the weights, against the whole matrix that they are never made of. */
import fc from 'fast-check'
import t from 'tap'
import { OptionError, ResourceError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import { firstComponents } from '../../../core/kernels/plain-eigen.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { conjugateSolutions } from '../../../core/linear-model/conjugate-solutions.js'
import { densityBeyondOne, sumOver } from '../../../core/linear-model/lanczos-quadrature.js'
import type { ROW_LIKELIHOODS } from '../../../core/options/words.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { drawer, mixedNetworks, perceptron } from '../../support/random-network.js'

type RowLikelihood = (typeof ROW_LIKELIHOODS)[number]

function labels(likelihood: RowLikelihood, n: number, outputs: number): Tensor {
  const width = likelihood === 'classification' ? 1 : likelihood === 'heteroscedastic' ? outputs / 2 : outputs
  const real = likelihood === 'regression' || likelihood === 'heteroscedastic'
  const values = Float64Array.from({ length: n * width },
    (_, i) => likelihood === 'classification' ? (i * 7 + 3) % outputs : real ? Math.sin(3 * i) : (i * 5 + 1) % 3 % 2)
  return float64(likelihood === 'classification' ? [n] : [n, width], values)
}

const covariance = (posterior: LaplacePosterior): Float64Array => posterior.posteriorCovariance().data as Float64Array

/** The largest difference of two covariances of P weights, in standard deviations of an estimate by K draws. */
function largestScore(estimate: Float64Array, exact: Float64Array, draws: number): number {
  const size = Math.sqrt(exact.length)
  return exact.reduce((most, value, at) => {
    const [i, j] = [Math.floor(at / size), at % size]
    const variance = (exact[i * (size + 1)] * exact[j * (size + 1)] + value * value) / draws
    return Math.max(most, Math.abs(estimate[at] - value) / Math.sqrt(variance))
  }, 0)
}

t.test('the draws have the covariance P^-1, and the evidence is that of the matrix, within their error', async t => {
  const samples = 600
  const cases = fc.record({ kind: fc.constantFrom(...Object.keys(mixedNetworks)), seed: fc.nat(1000),
    subset: fc.constantFrom('all' as const, 'last_layer' as const, 'subnetwork' as const),
    likelihood: fc.constantFrom('classification' as const, 'regression' as const, 'multilabel' as const,
      'poisson' as const), prior: fc.constantFrom(0.5, 4, 'layers' as const, 'weights' as const),
    temperature: fc.constantFrom(1, 2) })
  await fc.assert(fc.asyncProperty(cases, async ({ kind, seed, subset, likelihood, prior, temperature }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const y = labels(likelihood, 5, outputs)
    const shared: LaplaceOptions = { likelihood, subset, priorPrecision: 1, temperature, seed,
      ...(subset === 'subnetwork' ? { subnetwork: { count: 9, by: 'random', seed } } : {}) } as LaplaceOptions
    const fit = (own: Partial<LaplaceOptions>) => laplace(graph, { ...shared, ...own } as LaplaceOptions).fit(x, y)
    const plain = await fit({ structure: 'full' })
    const count = prior === 'layers' ? plain.state.evaluator.slots.length : plain.parameterCount
    const priorPrecision = typeof prior === 'number' ? prior : Float64Array.from({ length: count }, (_, i) => 1 + i % 3)
    const full = plain.withPrior({ priorPrecision })
    const own = await fit({ structure: 'samples', samples, priorPrecision })
    const error = Math.abs(own.logDetRatio - full.logDetRatio)
    // |log A|_F is at most log |A|.
    return largestScore(covariance(own), covariance(full), samples) < 5.5
      && error < 5 * full.logDetRatio * Math.sqrt(2 / samples) + 1e-6
  }), { numRuns: 15, seed: 4 })
  t.pass('nothing failed')
})

t.test('solutions of several systems: residuals as they are said, and log |A| from their tridiagonals', async t => {
  const [n, count] = [12, 5]
  const root = drawer(2)(n, n).data
  const A = Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    let sum = i === j ? 1 : 0
    for (let k = 0; k < n; k++) sum += root[i * n + k] * root[j * n + k]
    return sum
  })
  const times = (v: Float64Array, rows: number): Promise<Float64Array> =>
    Promise.resolve(Float64Array.from({ length: rows * n }, (_, at) => {
      let sum = 0
      for (let j = 0; j < n; j++) sum += A[at % n * n + j] * v[Math.floor(at / n) * n + j]
      return sum
    }))
  const b = Float64Array.from(drawer(3)(count, n).data)
  const solved = await conjugateSolutions(times, b, count, { residual: 1e-10, products: 200 })
  t.ok(solved.converged)
  const images = await times(solved.x, count)
  t.ok(images.every((value, i) => Math.abs(value - b[i]) < 1e-9))
  t.ok(solved.residuals.every(residual => residual < 1e-9))
  const early = await conjugateSolutions(times, b, count, { residual: 1e-10, products: 2 })
  t.notOk(early.converged)
  t.ok(early.residuals.every(residual => residual > 1e-6), 'what is not solved says so')
  // E b' A^-1 h(A) b for b of N(0, A) is tr h(A); of h(A) = A - 1 for one b it is b'b - b' A^-1 b.
  const [lanczos] = [solved.lanczos]
  const squares = Float64Array.from({ length: count },
    (_, k) => b.slice(k * n, (k + 1) * n).reduce((s, v) => s + v * v, 0))
  const trace = sumOver(densityBeyondOne(lanczos, squares), value => value)
  const expected = b.reduce((sum, value, i) => sum + value * (value - solved.x[i]), 0) / count
  t.ok(Math.abs(trace - expected) < 1e-8 * expected)
  const { values, components } = firstComponents(Float64Array.of(2, 2, 2), Float64Array.of(1, 1))
  t.same([...values].sort((p, q) => p - q).map(value => value.toFixed(9)),
    [2 - Math.SQRT2, 2, 2 + Math.SQRT2].map(value => value.toFixed(9)))
  t.ok(Math.abs(components.reduce((sum, value) => sum + value * value, 0) - 1) < 1e-12)
})

t.test('every likelihood: the prior that maximises the evidence of the matrix, and variances of its own', async t => {
  for (const likelihood of ['classification', 'binary', 'multilabel', 'regression', 'heteroscedastic',
    'poisson'] as const) {
    const outputs = likelihood === 'binary' ? 1 : 2
    const [graph, x] = [perceptron(drawer(3), 3, 6, outputs, 'Tanh'), drawer(4)(60, 3)]
    const y = labels(likelihood, 60, outputs)
    const fit = (own: Partial<LaplaceOptions>) =>
      laplace(graph, { likelihood, subset: 'all', tune: 'marglik', seed: 2, ...own } as LaplaceOptions).fit(x, y)
    const [full, own] = [await fit({ structure: 'full' }), await fit({ structure: 'samples', samples: 400 })]
    const [theirs, ours] = [full, own].map(({ state }) => state.structured.settings)
    t.ok(Math.abs(Math.log(Number(ours.priorPrecision) / Number(theirs.priorPrecision))) < 0.15, likelihood)
    t.ok(Math.abs(Math.log(ours.sigmaNoise / theirs.sigmaNoise)) < 0.05, likelihood)
    t.equal(own.state.tuned, 'marglik')
    const same = full.withPrior({ priorPrecision: ours.priorPrecision, sigmaNoise: ours.sigmaNoise })
    const [a, b] = [await own.predict(x, { uncertainty: false }), await same.predict(x, { uncertainty: false })]
    const ratio = Array.from<number>(a.variance.data).reduce((sum, value, i) => sum + value / b.variance.data[i], 0) /
      a.variance.data.length
    t.ok(Math.abs(ratio - 1) < 0.2, `${likelihood} ${ratio}`)
    for (const predictive of ['glm', 'nn'] as const) {
      t.ok((await own.predict(x, { predictive, samples: 20 })).mean.data.every(Number.isFinite), predictive)
    }
  }
})

t.test('few rows: the equations are those of the rows, and the evidence is exact', async t => {
  const [graph, x] = [perceptron(drawer(1), 3, 5, 2, 'Tanh'), drawer(2)(8, 3)]
  for (const likelihood of ['classification', 'regression', 'poisson'] as const) {
    const fit = (own: Partial<LaplaceOptions>) =>
      laplace(graph, { likelihood, subset: 'all', tune: 'marglik', ...own } as LaplaceOptions).fit(x,
        labels(likelihood, 8, 2))
    const [full, own] = [await fit({ structure: 'full' }), await fit({ structure: 'samples', samples: 4 })]
    const [theirs, ours] = [full, own].map(({ state }) => state.structured.settings)
    t.ok(Math.abs(Number(ours.priorPrecision) / Number(theirs.priorPrecision) - 1) < 1e-5, likelihood)
    const { priorPrecision, sigmaNoise } = ours
    const exact = full.logMarginalLikelihood({ priorPrecision, sigmaNoise })
    t.ok(Math.abs(own.logMarginalLikelihood() - exact) < 1e-8 * Math.abs(exact), likelihood)
  }
})

t.test('progress comes to its end, and a fit can be cancelled; several given precisions are left for the one that is '
  + 'tuned', async t => {
  // More rows times outputs than weights: by conjugate gradients.
  const [graph, x, y] = [perceptron(drawer(1), 3, 5, 2, 'Tanh'), drawer(2)(60, 3), labels('classification', 60, 2)]
  const prepared = (own: Partial<LaplaceOptions>) =>
    laplace(graph,
      { likelihood: 'classification', subset: 'all', structure: 'samples', samples: 12, ...own } as LaplaceOptions)
  const ends: number[] = []
  await prepared({ priorPrecision: 1 }).fit(x, y, { onProgress: ({ stage, done, total }) => {
    if (stage === 'fit' && total === 12) ends.push(done)
  } })
  t.equal(ends[ends.length - 1], 12)
  const signal = { aborted: false }
  await t.rejects(
    prepared({ priorPrecision: 1 }).fit(x, y, { signal, onProgress: ({ total }) => {
      signal.aborted ||= total === 12
    } }),
    { code: 'CANCELLED' },
  )
  const [plain, given] = [await prepared({ tune: 'marglik' }).fit(x, y),
    await prepared({ tune: 'marglik', priorPrecision: [1, 2, 3, 4] }).fit(x, y)]
  t.equal(given.state.structured.settings.priorPrecision, plain.state.structured.settings.priorPrecision)
})

t.test('one seed, one posterior: threads, batches, a file and joint covariances change nothing', async t => {
  const [graph, x, y] = [perceptron(drawer(1), 3, 5, 2, 'Tanh'), drawer(2)(9, 3), labels('classification', 9, 2)]
  const options: LaplaceOptions = { likelihood: 'classification', subset: 'all', structure: 'samples', samples: 20,
    priorPrecision: 1, seed: 3 }
  const variance = async (
    own: LaplacePosterior,
  ): Promise<number[]> => [...(await own.predict(x, { uncertainty: false })).variance.data]
  const posterior = await laplace(graph, options).fit(x, y)
  const expected = await variance(posterior)
  t.same(await variance(await laplace(graph, options).fit(x, y)), expected)
  t.notSame(await variance(await laplace(graph, { ...options, seed: 4 }).fit(x, y)), expected)
  t.same(await variance(loadPosterior(posterior.save())), expected)
  const single = await laplace(graph, { ...options, precision: 'float32' }).fit(x, y)
  t.ok((await variance(single)).every((value, i) => Math.abs(value - expected[i]) < 1e-3 * expected[i]))
  t.same(await variance(loadPosterior(single.save())), await variance(single))
  t.ok(posterior.notes.some(note => note.includes('relative standard error of 32 %')), 'the error of the estimates')
  const draws = posterior.sample(4000, { seed: 5 }).data
  const size = posterior.parameterCount
  const own = posterior.posteriorVariance()
  const seen = own.map((_, i) => {
    let sum = 0
    for (let s = 0; s < 4000; s++) sum += (draws[s * size + i] - posterior.mean[i]) ** 2 / 4000
    return sum
  })
  t.ok(seen.every((value, i) => Math.abs(value / own[i] - 1) < 0.12), 'draws have the variances that are kept')
})

t.test('what the draws do not tell is refused, with what to do', async t => {
  const [graph, x, y] = [perceptron(drawer(1), 3, 5, 2, 'Tanh'), drawer(2)(9, 3), labels('classification', 9, 2)]
  const options: LaplaceOptions = { likelihood: 'classification', structure: 'samples', samples: 8, priorPrecision: 1 }
  const posterior = await laplace(graph, options).fit(x, y)
  for (
    const ask of [
      () => posterior.withPrior({ priorPrecision: 2 }),
      () => posterior.withPrior({ temperature: 2 }),
      () => posterior.logMarginalLikelihood({ priorPrecision: 2 }),
      () => posterior.logProb(float64([posterior.parameterCount], posterior.mean)),
      () => posterior.posteriorPrecision,
      () => posterior.H,
      () => laplace(graph, { ...options, tune: 'grid', validation: { x, y } } as LaplaceOptions),
      () => laplace(graph, { ...options, priorPrecision: undefined, validation: { x, y } } as LaplaceOptions),
      () => laplace(graph, { ...options, tune: 'auto' } as LaplaceOptions),
      () => laplace(graph, { ...options, curvature: 'empirical_fisher' }),
      () => laplace(graph, { ...options, structure: 'kron' }),
      () => laplace(graph, { ...options, samples: 0 }),
      () => laplace(graph, { ...options, priorStructure: 'layerwise', tune: 'marglik' } as LaplaceOptions),
      () => laplace(graph, { ...options, classWeight: 'balanced' } as LaplaceOptions),
    ]
  ) t.throws(ask, OptionError, String(ask))
  t.ok(posterior.withPrior({ priorMean: 0.1 }), 'the mean of the prior is no part of the precision')
  const changes: readonly Promise<unknown>[] = [posterior.tune({ tune: 'marglik' }), posterior.influence(x, y),
    posterior.addRows(x, y), posterior.forget(x, y)]
  for (const change of changes) await t.rejects(Promise.resolve(change), OptionError)
  await t.rejects(laplace(graph, { ...options, samples: 1e9 }).fit(x, y), ResourceError)
})

t.test('equations that are not solved are said', async t => {
  const [graph, x] = [perceptron(drawer(1), 6, 30, 2, 'Tanh'), drawer(2)(150, 6)]
  const posterior = await laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'samples', samples: 1,
    priorPrecision: 1e-9, sigmaNoise: 1e-3 }).fit(x, labels('regression', 150, 2))
  t.ok(posterior.notes.some(note => note.startsWith('Not converged')))
})
