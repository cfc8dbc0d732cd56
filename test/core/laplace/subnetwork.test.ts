/** @file Subnetworks against the part of the posterior of all weights that they are, on random networks. */
import fc from 'fast-check'
import t from 'tap'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks } from '../../support/random-network.js'

const labels = (n: number, outputs: number): Tensor =>
  float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))

const settings = fc.record({ kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  structure: fc.constantFrom('full' as const, 'diag' as const), seed: fc.nat(1000),
  share: fc.double({ min: 0.05, max: 0.9, noNaN: true }) })

t.test('H and functional variances of a subnetwork are those of its rows and columns', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ kind, structure, seed, share }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const y = labels(5, outputs)
    const options: LaplaceOptions = { likelihood: 'classification', subset: 'all', structure, priorPrecision: 2 }
    const all = await laplace(graph, options).fit(x, y)
    const size = all.parameterCount
    const chosen = Array.from({ length: size }, (_, i) => i).filter(i => (i * 0.618034 + seed * 0.1) % 1 < share)
    fc.pre(chosen.length > 0)
    const posterior = await laplace(graph, { ...options, subset: 'subnetwork', subnetwork: chosen }).fit(x, y)
    const H = all.H.toDense()
    const part = chosen.flatMap(i => chosen.map(j => H[i * size + j]))
    // A precision so large that the other parameters are as good as fixed.
    const fixed = all.withPrior({
      priorPrecision: Float64Array.from({ length: size }, (_, i) => (chosen.includes(i) ? 2 : 1e14)),
    })
    const again = loadPosterior(posterior.save())
    const { covariance } = await posterior.functionalVariance(x, { joint: true })
    const rows = (await posterior.functionalVariance(x)).covariance
    return posterior.subset === 'subnetwork' && posterior.parameterCount === chosen.length
      && relativeDifference(posterior.H.toDense(), part) < 1e-12
      && relativeDifference(rows.data, (await fixed.functionalVariance(x)).covariance.data) < 1e-8
      && relativeDifference((await posterior.predict(x)).variance.data, (await fixed.predict(x)).variance.data) < 1e-8
      && relativeDifference(covariance.data, (await fixed.functionalVariance(x, { joint: true })).covariance.data) <
        1e-8
      && relativeDifference((await again.functionalVariance(x)).covariance.data, rows.data) < 1e-14
      && relativeDifference(posterior.mean, chosen.map(i => all.mean[i])) === 0
  }), { numRuns: 30, seed: 2 })
  t.pass()
})

t.test('drawn weights change the chosen elements alone, also of weights that are stored transposed', async t => {
  const { graph, x } = mixedNetworks['positions'](drawer(2))
  const y = labels(5, 2)
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'subnetwork', structure: 'diag',
    subnetwork: [1, 13], priorPrecision: 1e10 }).fit(x, y)
  const f = (await posterior.forward(x)).data
  const drawn = (await posterior.functionalSamples(x, 3, { predictive: 'nn' })).data
  t.ok(relativeDifference(drawn.slice(0, f.length), f) < 1e-3)
})

t.test('an index that stands twice is refused', async t => {
  const { graph } = mixedNetworks['layers'](drawer(4))
  const options: LaplaceOptions = { likelihood: 'classification', subset: 'subnetwork', structure: 'full' }
  for (const subnetwork of [[3, 7, 3], [0, 0], new Float64Array([12, 5, 2, 12])]) {
    t.throws(() => laplace(graph, { ...options, subnetwork }), { code: 'BAD_OPTION', message: /named twice/ })
  }
})

t.test('ways of choosing', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(4))
  const y = labels(5, 3)
  const of = (subnetwork: LaplaceOptions['subnetwork'], more: Partial<LaplaceOptions> = {}) =>
    laplace(graph, { likelihood: 'classification', subset: 'subnetwork', subnetwork, priorPrecision: 1, ...more })
      .fit(x, y)
  const all = await laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'diag',
    priorPrecision: 1 }).fit(x, y)
  const named = await of(['2.weight'], { structure: 'kron' })
  t.equal(named.parameterCount, 15)
  t.equal((await of(['0'])).parameterCount, 25)
  t.equal((await of(['*.bias'])).parameterCount, 8)
  const largest = await of({ count: 4, by: 'magnitude' })
  t.same(Array.from(largest.mean, Math.abs).sort(),
    Array.from(all.mean, Math.abs).sort((a, b) => b - a).slice(0, 4).sort())
  const uncertain = await of({ count: 4, by: all.posteriorVariance() }, { structure: 'diag' })
  t.ok(
    relativeDifference(uncertain.posteriorVariance().slice().sort(), all.posteriorVariance().slice().sort().slice(-4)) <
      1e-12,
  )
  t.same((await of({ count: 4, by: 'random', seed: 3 })).mean, (await of({ count: 4, by: 'random', seed: 3 })).mean)
  t.equal(
    (await laplace(graph, { likelihood: 'classification', subset: 'subnetwork', subnetwork: [0] }).fit(x, y)).tuned,
    'marglik',
  )
})

t.test('indices in any order mean the same parameters', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(4))
  const means = await Promise.all([[7, 3, 20], [3, 7, 20]].map(async subnetwork => {
    const options = { likelihood: 'classification', subset: 'subnetwork', subnetwork, priorPrecision: 2 } as const
    return (await laplace(graph, options).fit(x, labels(5, 3))).mean
  }))
  t.same(means[0], means[1])
})

t.test('the bridge refuses outputs that do not vary', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(4))
  // The bias of one output alone: what sums to zero does not vary at all then.
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'subnetwork', subnetwork: [40],
    priorPrecision: 1 }).fit(x, labels(5, 3))
  for (const link of ['bridge', 'bridge_norm'] as const) {
    await t.rejects(posterior.predict(x, { link }), { code: 'NOT_POSITIVE_DEFINITE', message: /output \d of row 0/ })
  }
  t.equal((await posterior.predict(x, { link: 'zero_sum' })).probabilities?.shape[1], 3)
})

t.test('what does not go together is refused with a way out', t => {
  const { graph } = mixedNetworks['layers'](drawer(4))
  const refused = (options: Partial<LaplaceOptions>, code: string, message: RegExp): void => {
    t.throws(() => laplace(graph, { likelihood: 'classification', subset: 'subnetwork', ...options }), { code,
      message })
  }
  refused({}, 'BAD_COMBINATION', /flat indices/)
  refused({ subnetwork: [0, 99] }, 'BAD_OPTION', /0 to 42/)
  refused({ subnetwork: [] }, 'BAD_OPTION', /no parameters/)
  refused({ subnetwork: ['nothing'] }, 'BAD_OPTION', /nothing/)
  refused({ subnetwork: { count: 0, by: 'magnitude' } }, 'BAD_OPTION', /whole number from 1/)
  refused({ subnetwork: { count: 44, by: 'magnitude' } }, 'BAD_OPTION', /1 to 43/)
  refused({ subnetwork: { count: 2, by: [1, 2] } }, 'BAD_OPTION', /a score for each/)
  refused({ subnetwork: [0, 1], structure: 'kron' }, 'BAD_COMBINATION', /whole tensors/)
  refused({ subnetwork: [0, 1], structure: 'lowrank' }, 'BAD_COMBINATION', /all weights/)
  refused({ subnetwork: [0, 1], tune: 'auto' }, 'BAD_COMBINATION', /marglik/)
  refused({ subset: 'all', subnetwork: [0, 1] }, 'BAD_COMBINATION', /another subset/)
  refused({ subnetwork: [7, 3], priorPrecision: [1, 2] }, 'BAD_COMBINATION', /do not ascend/)
  refused({ subnetwork: new Float64Array([7, 3]), priorMean: [1, 2] }, 'BAD_COMBINATION', /sort them/)
  t.end()
})

t.test('numbers of single parameters that are set later are refused too where the indices do not ascend', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(4))
  const of = (subnetwork: readonly number[]): Promise<LaplacePosterior> =>
    laplace(graph, { likelihood: 'classification', subset: 'subnetwork', subnetwork, priorPrecision: 2 })
      .fit(x, labels(5, 3))
  const [posterior, sorted] = [await of([7, 3]), await of([3, 7])]
  const refusal = { code: 'BAD_COMBINATION', message: /do not ascend.*sort them/ }
  t.throws(() => posterior.withPrior({ priorPrecision: [1, 2] }), refusal)
  t.throws(() => posterior.withPrior({ priorMean: [1, 2] }), refusal)
  t.throws(() => posterior.logMarginalLikelihood({ priorPrecision: [1, 2] }), refusal)
  t.equal(posterior.withPrior({ priorPrecision: 3 }).logMarginalLikelihood(),
    sorted.withPrior({ priorPrecision: 3 }).logMarginalLikelihood())
  t.same(sorted.withPrior({ priorPrecision: [1, 2] }).priorPrecisionDiag, new Float64Array([1, 2]))
})

t.test('numbers of single parameters are said to be read with matrices as out x in', async t => {
  const { graph, x } = mixedNetworks['positions'](drawer(2))
  const of = async (options: Partial<LaplaceOptions>): Promise<LaplacePosterior> =>
    laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'diag', priorPrecision: 2, ...options })
      .fit(x, labels(5, 2))
  const plain = await of({})
  const turned = plain.parameters.filter(({ transposed }) => transposed)
  t.ok(turned.length > 0, 'the network multiplies from the right')
  const said = ({ notes }: LaplacePosterior): boolean => notes.some(note => note.startsWith('Numbers of single'))
  t.notOk(said(plain))
  t.ok(said(await of({ priorMean: plain.mean })))
  t.ok(said(await of({ priorPrecision: plain.mean.map(Math.abs) })))
  t.ok(said(await of({ subset: 'subnetwork', subnetwork: [0, 1, 2, 3, 4, 5, 6, 7, 8] })))
  t.notOk(said(await of({ subset: 'subnetwork', subnetwork: [turned[0].name] })))
  const layers = mixedNetworks['layers'](drawer(4))
  t.notOk(
    said(
      await laplace(layers.graph, { likelihood: 'classification', subset: 'subnetwork', subnetwork: [0, 1],
        priorPrecision: [1, 2] }).fit(layers.x, labels(5, 3)),
    ),
  )
})
