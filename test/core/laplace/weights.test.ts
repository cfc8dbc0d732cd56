/** @file Weights of rows, and curvatures of gradients, against repeated rows and definitions on random networks. */
import fc from 'fast-check'
import t from 'tap'
import { curvatureArrays } from '../../../core/curvature/accumulate.js'
import { isSum } from '../../../core/curvature/curvature.js'
import { laplace, type LaplaceOptions, type LaplacePosterior, mergePartialFits, readPartialFit, subtractPartialFit,
  writePartialFit } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { repeated } from '../../../core/tensor/sample-weights.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks } from '../../support/random-network.js'

const LIKELIHOODS = ['classification', 'multilabel', 'regression'] as const

/** Labels of n rows as a likelihood takes them. */
function labelsFor(likelihood: (typeof LIKELIHOODS)[number], n: number, outputs: number, seed: number): Tensor {
  if (likelihood === 'classification') {
    return float64([n], Array.from({ length: n }, (_, i) => (i * 7 + seed) % outputs))
  }
  const y = drawer(seed)(n, outputs)
  return likelihood === 'regression' ? y : { ...y, data: Float64Array.from(y.data, value => Number(value > 0)) }
}

const arraysOf = ({ state }: LaplacePosterior): number[] =>
  isSum(state.structured.curvature)
    ? curvatureArrays(state.structured.curvature).flatMap(array => Array.from(array))
    : []

const combination = fc.record({
  kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  likelihood: fc.constantFrom(...LIKELIHOODS),
  subset: fc.constantFrom('all' as const, 'last_layer' as const),
  structure: fc.constantFrom('full' as const, 'kron' as const, 'diag' as const),
  curvature: fc.constantFrom('ggn' as const, 'empirical_fisher' as const),
  kfacApprox: fc.constantFrom('expand' as const, 'reduce' as const),
  weights: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 5, maxLength: 5 }).filter(all => all.some(w => w > 0)),
  seed: fc.nat(1000),
})

t.test('a weight of 2 is the row twice, one of 0 no row', async t => {
  await fc.assert(fc.asyncProperty(combination, async ({ kind, weights, seed, ...options }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const y = labelsFor(options.likelihood, 5, outputs, seed)
    const prepared = laplace(graph, { ...options, priorPrecision: 1 })
    const weighted = await prepared.fit(x, y, { sampleWeight: weights })
    const rows = repeated({ x, y }, Float64Array.from(weights))
    const twice = await prepared.fit(rows.x, rows.y)
    fc.pre(twice.examples > 0)
    return weighted.examples === twice.examples && Math.abs(weighted.loss - twice.loss) < 1e-12 * (1 + twice.loss)
      && relativeDifference(arraysOf(weighted), arraysOf(twice)) < 1e-12
      && Math.abs(weighted.logMarginalLikelihood() - twice.logMarginalLikelihood()) < 1e-10
  }), { numRuns: 60, seed: 1 })
  t.pass()
})

t.test('the default keeps rows: whole weights are the rows as often, others are refused with a way out', async t => {
  const draw = drawer(3)
  const { graph, x } = mixedNetworks['layers'](draw)
  const y = labelsFor('classification', 5, 3, 1)
  const prepared = laplace(graph, { likelihood: 'classification' })
  const rows = repeated({ x, y }, Float64Array.of(2, 1, 0, 3, 1))
  const [a, b] = [await prepared.fit(x, y, { sampleWeight: [2, 1, 0, 3, 1] }), await prepared.fit(rows.x, rows.y)]
  t.same(a.priorPrecision, b.priorPrecision)
  t.equal(a.structure, 'lowrank')
  await t.rejects(prepared.fit(x, y, { sampleWeight: [2, 1, 0.5, 3, 1] }), { code: 'BAD_COMBINATION',
    message: /marglik/ })
  await t.rejects(prepared.fit(x, y, { sampleWeight: [1, 2] }), { code: 'SHAPE_MISMATCH', message: /one a row/ })
  await t.rejects(prepared.fit(x, y, { sampleWeight: [1, 2, -1, 1, 1] }), { code: 'BAD_ARRAY', message: /row 2/ })
})

t.test('rows that are read once more are there as often as their weights say, or are refused', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(3))
  const y = labelsFor('classification', 5, 3, 1)
  const sampleWeight = [2, 1, 0, 3, 1]
  const [weighted, rows] = [{ x, y, sampleWeight }, repeated({ x, y }, Float64Array.from(sampleWeight))]
  const prepared = laplace(graph, { likelihood: 'classification', subset: 'last_layer', structure: 'kron' })
  const posterior = await prepared.fit(rows.x, rows.y)
  for (const tune of ['auto', 'linearized', 'validated', 'grid'] as const) {
    const [a, b] = await Promise.all([weighted, rows].map(data => posterior.tune({ tune }, { data, validation: data })))
    t.same(a.priorPrecision, b.priorPrecision, tune)
  }
  const partial = await prepared.fitPartial(x, y, { sampleWeight })
  const [merged, once] = [await prepared.fitMerged(partial, weighted), await prepared.fitMerged(partial, rows)]
  t.same(merged.priorPrecision, once.priorPrecision)
  const heldOut = (validation: typeof weighted | typeof rows): LaplaceOptions => ({ likelihood: 'classification',
    subset: 'last_layer', structure: 'kron', validation })
  t.same((await laplace(graph, heldOut(weighted)).fit(x, y)).priorPrecision,
    (await laplace(graph, heldOut(rows)).fit(x, y)).priorPrecision)
  const half = { x, y, sampleWeight: [0.5, 1, 1, 1, 1] }
  await t.rejects(posterior.tune({ tune: 'auto' }, { data: half }), { code: 'BAD_COMBINATION', message: /marglik/ })
  t.throws(() => laplace(graph, heldOut(half)), { code: 'BAD_COMBINATION', message: /validation/ })
})

t.test('weights that are no whole numbers: the evidence is that of the weighted loss, files keep them', async t => {
  const { graph, x, outputs } = mixedNetworks['layers'](drawer(5))
  const y = labelsFor('regression', 5, outputs, 2)
  const sampleWeight = [0.5, 1.25, 0, 2, 0.1]
  const options: LaplaceOptions = { likelihood: 'regression', subset: 'all', structure: 'kron', priorPrecision: 1 }
  const prepared = laplace(graph, options)
  const posterior = await prepared.fit(x, y, { sampleWeight })
  const f = (await posterior.forward(x)).data
  const loss = sampleWeight.reduce(
    (sum, weight, n) =>
      sum + weight * [0, 1, 2].reduce((own, c) => own + (f[n * 3 + c] - y.data[n * 3 + c]) ** 2 / 2, 0),
    0,
  )
  t.ok(Math.abs(posterior.loss - loss) < 1e-12)
  t.ok(Math.abs(posterior.examples - 3.85) < 1e-12)
  t.ok(Math.abs(posterior.logLikelihood + loss + 3.85 * 3 * Math.log(Math.sqrt(2 * Math.PI))) < 1e-10)
  const parts = [await prepared.fitPartial(x, y, { sampleWeight: sampleWeight.map(w => w / 4), chunk: 'a' }),
    await prepared.fitPartial(x, y, { sampleWeight: sampleWeight.map(w => w * 0.75), chunk: 'b' })]
  const merged = await prepared.fitMerged(
    mergePartialFits(parts[0], readPartialFit(writePartialFit(parts[1]))),
  )
  t.ok(relativeDifference(arraysOf(merged), arraysOf(posterior)) < 1e-12)
  t.same(arraysOf(loadPosterior(posterior.save())), arraysOf(posterior))
})

t.test('without the part whose rows counted by weights, rows count as any do', async t => {
  const { graph, x, outputs } = mixedNetworks['layers'](drawer(5))
  const y = labelsFor('regression', 5, outputs, 2)
  const prepared = laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'full', priorPrecision: 1 })
  const plain = await prepared.fitPartial(x, y, { chunk: 'plain' })
  const weighted = await prepared.fitPartial(x, y, { sampleWeight: [0.5, 1, 2, 1, 1], chunk: 'weighted' })
  const whole = readPartialFit(writePartialFit(mergePartialFits(plain, weighted)))
  const of = async (partial: typeof plain): Promise<LaplacePosterior> =>
    loadPosterior((await prepared.fitMerged(partial)).save())
  await t.rejects((await of(whole)).influence(x, y), { code: 'BAD_COMBINATION', message: /sampleWeight/ })
  await t.rejects((await of(subtractPartialFit(whole, plain))).influence(x, y), { code: 'BAD_COMBINATION' })
  const rest = await of(subtractPartialFit(whole, weighted))
  await t.resolves(rest.influence(x, y))
  const forgotten = await (await of(whole)).forget(x, y, { sampleWeight: [0.5, 1, 2, 1, 1] })
  await t.resolves(forgotten.influence(x, y))
})

t.test('files keep weights of classes and labels that are no whole numbers', async t => {
  const { graph, x, outputs } = mixedNetworks['layers'](drawer(5))
  for (const likelihood of ['classification', 'multilabel'] as const) {
    const y = labelsFor(likelihood, 5, outputs, 2)
    const sampleWeight = [0.5, 1.25, 0, 2, 0.1]
    const prepared = laplace(graph, { likelihood, structure: 'kron', priorPrecision: 1 })
    const posterior = await prepared.fit(x, y, { sampleWeight })
    t.same(loadPosterior(posterior.save()).summary().training, posterior.summary().training)
    const read = readPartialFit(writePartialFit(await prepared.fitPartial(x, y, { sampleWeight })))
    t.same((await prepared.fitMerged(read)).summary().training, posterior.summary().training)
  }
})

t.test('a part whose rows all weigh nothing adds nothing, and its file is one', async t => {
  const { graph, x, outputs } = mixedNetworks['layers'](drawer(5))
  const y = labelsFor('regression', 5, outputs, 2)
  const prepared = laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'full', priorPrecision: 1 })
  const part = async (sampleWeight: readonly number[], chunk: string) =>
    readPartialFit(writePartialFit(await prepared.fitPartial(x, y, { sampleWeight, chunk })))
  const [some, none] = [await part([1, 0, 2, 1, 1], 'some'), await part([0, 0, 0, 0, 0], 'none')]
  const whole = readPartialFit(writePartialFit(mergePartialFits(some, none)))
  t.same((await prepared.fitMerged(whole)).H.toDense(), (await prepared.fitMerged(some)).H.toDense())
})

t.test('mc_fisher: the same with any batches, and the GGN on average', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(7))
  for (const likelihood of LIKELIHOODS) {
    const y = labelsFor(likelihood, 5, 3, 1)
    const options: LaplaceOptions = { likelihood, subset: 'all', structure: 'full', priorPrecision: 1, seed: 4 }
    const of = async (more: Partial<LaplaceOptions>): Promise<Float64Array> =>
      (await laplace(graph, { ...options, ...more }).fit(x, y)).H.toDense()
    const ggn = await of({})
    const many = await of({ curvature: 'mc_fisher', draws: 800 })
    t.ok(relativeDifference(many, ggn) < 0.25, `${likelihood}: ${relativeDifference(many, ggn)}`)
    const single = await of({ curvature: 'mc_fisher', draws: 3, batchSize: 1 })
    t.ok(relativeDifference(single, await of({ curvature: 'mc_fisher', draws: 3 })) < 1e-12)
    t.notSame(single, await of({ curvature: 'mc_fisher', draws: 3, seed: 5 }))
  }
})

t.test('curvatures of gradients go with what has them, and are refused elsewhere', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(7))
  const y = labelsFor('classification', 5, 3, 1)
  const refused = (options: Partial<LaplaceOptions>): void => {
    t.throws(() => laplace(graph, { likelihood: 'classification', ...options }), { code: 'BAD_COMBINATION' })
  }
  refused({ curvature: 'empirical_fisher', structure: 'lowrank' })
  refused({ curvature: 'empirical_fisher', tune: 'linearized' })
  refused({ curvature: 'mc_fisher', tune: 'auto' })
  refused({ curvature: 'empirical_fisher', draws: 2 })
  const posterior = await laplace(graph, { likelihood: 'classification', curvature: 'empirical_fisher' }).fit(x, y)
  t.equal(posterior.tuned, 'marglik')
  await t.rejects(posterior.tune({ tune: 'auto' }, { data: { x, y } }), { code: 'BAD_COMBINATION' })
})
