/**
 * @file Networks that answer at several positions of an example. Variances and K-FAC are compared with torch in
 * test/peers/test_positions.py; here: what leaving positions or examples out means, shapes, partial fits and files.
 */
import t from 'tap'
import { withoutEachExample } from '../../../core/answer/left-out-examples.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { regression } from '../../../core/likelihood/regression.js'
import { outputFamily } from '../../../core/linear-model/regression-model.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import { structuredPosterior } from '../../../core/posterior/structured.js'
import { mergePartialFits } from '../../../core/sums/partial-fit.js'
import { float64, rows, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { uniform } from '../ops/check-derivative.js'

const random = uniform(17)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))
const classes = (count: number, ...shape: number[]): Tensor =>
  tensor('int64', shape, Array.from({ length: sizeOf(shape) }, () => Math.floor(count * random())))

/** Weights that networks of every length share. */
const W = { hidden: draw(5, 2), hiddenBias: draw(5), head: draw(3, 5), headBias: draw(3) }

/** N x T x 2 to N x T x 3, each position on its own; `ends` may move the axes. */
function sequence(length: number, end: (b: GraphBuilder, z: string) => string = (_, z) => z): Graph {
  const b = new GraphBuilder('float64')
  const dense = (a: string, name: 'hidden' | 'head'): string =>
    b.node('Add', [b.node('MatMul', [a, b.node('Transpose', [b.parameter(name, W[name])], { perm: [1, 0] })]),
      b.parameter(`${name}Bias`, W[`${name}Bias`])])
  const z = dense(b.node('Tanh', [dense(b.input('x', [BATCH, length, 2]), 'hidden')]), 'head')
  return b.build([end(b, z)])
}

const fit = async (graph: Graph, x: Tensor, y: Tensor,
  options: Partial<LaplaceOptions> = {}): Promise<LaplacePosterior> =>
  laplace(graph, { likelihood: 'classification', ...options }).fit(x, y)

const values = (part: Tensor | undefined): Float64Array => part?.data as Float64Array

t.test('a position that is left out is not there: as the sequences without it', async t => {
  const [x, y] = [draw(6, 4, 2), classes(3, 6, 4)]
  const cut = { x: float64([6, 3, 2], Array.from(x.data).filter((_, i) => i % 8 < 6)),
    y: tensor('int64', [6, 3], Array.from(y.data).filter((_, i) => i % 4 < 3)) }
  const marked = tensor('int64', [6, 4], Array.from(y.data, (value, i) => (i % 4 < 3 ? value : -100)))
  const all: Partial<LaplaceOptions>[] = (['kron', 'diag', 'full', 'lowrank'] as const).map(structure => ({
    subset: 'all',
    structure,
    ...(structure === 'lowrank' ? {} : { priorPrecision: 0.5 }),
  }))
  const last: Partial<LaplaceOptions>[] = (['kron', 'diag', 'full'] as const).map(structure => ({
    subset: 'last_layer',
    structure,
    tune: structure === 'diag' ? 'marglik' : 'auto',
  }))
  for (const options of [...all, ...last, {}]) {
    const name = `${options.subset ?? 'auto'} ${options.structure ?? ''}`
    const [masked, shorter] = [await fit(sequence(4), x, marked, options),
      await fit(sequence(3), cut.x, cut.y, options)]
    t.ok(Math.abs(masked.logLikelihood / shorter.logLikelihood - 1) < 1e-12, `log likelihood ${name}`)
    const [one, other] = [await masked.predict(x), await shorter.predict(cut.x)]
    const inside = values(one.variance).filter((_, i) => i % 12 < 9)
    t.ok(relativeDifference(inside, values(other.variance)) < 1e-6, `variance ${name}`)
    t.ok(relativeDifference(values(one.probabilities).filter((_, i) => i % 12 < 9), values(other.probabilities)) < 1e-6,
      `probabilities ${name}`)
    t.ok(masked.notes.some(note => note.includes('6 of 24 positions have no label')), `note ${name}`)
  }
})

t.test('classes on another axis: the same fit in the layout of the output', async t => {
  const [x, y] = [draw(6, 4, 2), classes(3, 6, 4)]
  const moved = sequence(4, (b, z) => b.node('Transpose', [z], { perm: [0, 2, 1] }))
  const turned = (part: Tensor): Float64Array =>
    values(part).map((_, i) => values(part)[Math.floor(i / 12) * 12 + i % 3 * 4 + Math.floor(i % 12 / 3)])
  for (const options of [{}, { subset: 'last_layer' }, { subset: 'all', structure: 'kron',
    priorPrecision: 1 }] as const) {
    const [plain, other] = [await fit(sequence(4), x, y, options), await fit(moved, x, y, options)]
    const [a, b] = [await plain.predict(x, { joint: true }), await other.predict(x, { joint: true })]
    t.same([a.mean.shape, b.mean.shape, a.epistemic?.shape, b.novelty?.shape ?? [6, 4]], [[6, 4, 3], [6, 3, 4], [6, 4],
      [6, 4]])
    for (const part of ['mean', 'variance', 'probabilities'] as const) {
      t.ok(relativeDifference(turned(b[part]!), values(a[part])) < 1e-9, part)
    }
    t.ok(
      [0, 1, 5, 30, 71].every(i =>
        Math.abs(values(b.covariance)[i * 73] - values(b.variance)[i]) < 1e-9 * values(b.variance)[i]
      ),
      'the joint covariance is in the order of the outputs',
    )
    const samples = await other.functionalSamples(rows(x, 0, 1), 4000, { seed: 1 })
    t.same(samples.shape, [4000, 1, 3, 4])
    const spread = Array.from({ length: 12 }, (_, j) => {
      const own = Array.from({ length: 4000 }, (_, s) => samples.data[s * 12 + j])
      const mean = own.reduce((sum, value) => sum + value / 4000, 0)
      return own.reduce((sum, value) => sum + (value - mean) ** 2 / 3999, 0)
    })
    t.ok(spread.every((value, j) => Math.abs(value / values(b.variance)[j] - 1) < 0.15), 'variances of draws')
  }
})

t.test('as many positions as classes: the head says which axis is which, or the option', async t => {
  const [x, y] = [draw(5, 3, 2), classes(3, 5, 3)]
  const own = await fit(sequence(3), x, y, { subset: 'all', structure: 'diag', priorPrecision: 1 })
  t.ok(own.notes.some(note => note.includes('3 positions of every example with 3 classes on axis 2')))
  const hidden = sequence(3, (b, z) => b.node('Softsign', [z]))
  await t.rejects(fit(hidden, x, y, { subset: 'all', structure: 'diag' }), { code: 'AMBIGUOUS_NETWORK',
    message: /option classAxis/ })
  const said = await fit(hidden, x, y, { subset: 'all', structure: 'diag', classAxis: -1, priorPrecision: 1 })
  t.same((await loadPosterior(said.save()).predict(x)).variance, (await said.predict(x)).variance, 'saved')
  await t.rejects(fit(hidden, x, y, { classAxis: 3 }), { code: 'BAD_OPTION', message: /1 to 2/ })
})

t.test('one label a row: the mean, the first or the last position answers', async t => {
  const [x, y] = [draw(8, 4, 2), classes(3, 8)]
  await t.rejects(fit(sequence(4), x, y), { code: 'SHAPE_MISMATCH', message: /one label a row.*option positions/ })
  await t.rejects(fit(sequence(4), x, classes(3, 8, 4, 3)), { code: 'BAD_LABELS', message: /one-hot/ })
  await t.rejects(fit(sequence(4), x, classes(3, 8, 5)), { code: 'SHAPE_MISMATCH', message: /N x 4/ })
  for (const [positions, at] of [['first', 0], ['last', 3]] as const) {
    const options = { subset: 'last_layer', structure: 'full', priorPrecision: 1 } as const
    const pooled = await fit(sequence(4), x, y, { ...options, positions })
    const only = float64([8, 1, 2], Array.from(x.data).filter((_, i) => Math.floor(i % 8 / 2) === at))
    const alone = await fit(sequence(1), only, y, options)
    t.ok(relativeDifference(values((await pooled.predict(x)).variance), values((await alone.predict(only)).variance)) <
      1e-12, positions)
  }
  const pooled = await fit(sequence(4), x, y, { positions: 'mean' })
  const f = await (await fit(sequence(4), x, classes(3, 8, 4))).forward(x)
  const averaged = Float64Array.from({ length: 24 },
    (_, i) => [0, 1, 2, 3].reduce((sum, at) => sum + f.data[Math.floor(i / 3) * 12 + at * 3 + i % 3] / 4, 0))
  t.ok(relativeDifference(values((await pooled.predict(x)).mean), averaged) < 1e-12, 'mean')
})

t.test('partial fits, streams and files', async t => {
  const [x, y] = [draw(9, 4, 2), classes(3, 9, 4)]
  y.data[5] = -100
  const options = { likelihood: 'classification', subset: 'all', structure: 'kron', priorPrecision: 1 } as const
  const prepared = laplace(sequence(4), options)
  const whole = await prepared.fit(x, y)
  const parts = await Promise.all(
    [[0, 4], [4, 9]].map(([from, to]) => prepared.fitPartial(rows(x, from, to), rows(y, from, to))),
  )
  const merged = await prepared.fitMerged(mergePartialFits(parts[0], parts[1]))
  const streamed = await prepared.fit([{ x: rows(x, 0, 4), y: rows(y, 0, 4) }, { x: rows(x, 4, 9), y: rows(y, 4, 9) }])
  const expected = values((await whole.predict(x)).variance)
  for (const [name, other] of Object.entries({ merged, streamed, loaded: loadPosterior(whole.save()) })) {
    t.ok(relativeDifference(values((await other.predict(x)).variance), expected) < 1e-12, name)
  }
  t.same([whole.examples, whole.positions, whole.outputs], [9, [4], 3])
})

t.test('scores and sets are over the positions that have a label', async t => {
  const [x, y] = [draw(30, 4, 2), classes(3, 30, 4)]
  const marked = tensor('int64', y.shape, Array.from(y.data, (value, i) => (i % 3 === 0 ? -100 : value)))
  const posterior = await fit(sequence(4), x, y)
  const { network } = await posterior.compare(x, marked)
  const f = await posterior.forward(x)
  let nll = 0
  marked.data.forEach((label, i) => {
    if (label < 0) return
    const logits = Array.from(f.data.subarray(i * 3, i * 3 + 3))
    nll += (Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0)) - logits[label]) / 80
  })
  t.ok(Math.abs(network.nll / nll - 1) < 1e-12)
  // Rows that are no data: a row's doubt is the mean over its positions.
  const others = draw(8, 4, 2)
  const doubts = await Promise.all([x, others].map(async rows => {
    const { data } = (await posterior.predict(rows)).probabilities!
    return Array.from({ length: rows.shape[0]! },
      (_, n) =>
        [0, 1, 2, 3].reduce((sum, at) => sum + 1 - Math.max(...data.subarray(12 * n + 3 * at, 12 * n + 3 * at + 3)), 0))
  }))
  const higher = doubts[1]!.flatMap(b => doubts[0]!.map(a => Number(b > a)))
  const { outliers } = await posterior.compare(x, marked, { outliers: others })
  t.ok(Math.abs(outliers!.find(({ of }) => of === 'posterior')!.auroc - higher.reduce((a, b) => a + b) / 240) < 1e-12)
  const calibrated = await posterior.conformalize(x, marked)
  t.same((await calibrated.predict(x, { level: 0.8 })).sets?.shape, [30, 4, 3])
})

/** Explicit ridge regression: mean and variance of f at `at` from the rows `from`, with noise sigma and prior delta. */
function ridge(phi: readonly Float64Array[], y: readonly number[], from: readonly number[], at: number, delta: number,
  sigma: number): { f: number, variance: number } {
  const size = phi[0].length
  const a = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size + 2 }, (_, j) => {
      if (j === size) return from.reduce((sum, n) => sum + phi[n][i] * y[n], 0) / sigma ** 2
      if (j === size + 1) return phi[at][i]
      return (i === j ? delta : 0) + from.reduce((sum, n) => sum + phi[n][i] * phi[n][j], 0) / sigma ** 2
    }))
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < size; k++) {
      if (k === i) continue
      const factor = a[k][i] / a[i][i]
      for (let j = i; j < size + 2; j++) a[k][j] -= factor * a[i][j]
    }
  }
  const dot = (column: number): number => a.reduce((sum, row, i) => sum + phi[at][i] * row[column] / row[i], 0)
  return { f: dot(size), variance: dot(size + 1) }
}

t.test('an example is left out whole: as a ridge regression without its positions', t => {
  const [examples, size] = [12, 4]
  const sizes = Int32Array.of(3, 2, 4, 1, 2)
  const phi = draw(examples, size).data as Float64Array
  const labels = draw(examples).data as Float64Array
  const features = Array.from({ length: examples }, (_, n) => phi.subarray(n * size, (n + 1) * size))
  const starts = Array.from(sizes, (_, n) => sizes.slice(0, n).reduce((sum, m) => sum + m, 0))
  const exampleOf = (row: number): number => starts.filter(start => start <= row).length - 1
  const others = (row: number): number[] => features.flatMap((_, n) => (exampleOf(n) === exampleOf(row) ? [] : [n]))
  const slots = [{ name: 'w', shape: [1, size], offset: 0, size }]
  const [delta, sigma] = [0.6, 0.4]
  const near = (f: ArrayLike<number>, variance: ArrayLike<number>, name: string): void => {
    t.ok(features.every((_, n) => {
      const expected = ridge(features, Array.from(labels), others(n), n, delta, sigma)
      return Math.abs(f[n] - expected.f) < 1e-9 && Math.abs(variance[n] / expected.variance - 1) < 1e-9
    }), name)
  }
  const jacobian = { seeds: 1, examples, factors: [{ kind: 'direct' as const, parameter: 0, gradient: phi }] }
  const family = outputFamily({ likelihood: regression, slots, examples, outputs: 1, labels, jacobian, sizes,
    f: new Float64Array(examples), f0: new Float64Array(examples), deviation: new Float64Array(size) }, 0, {}, {
    sigma,
  })
  const own = family.leftOutAt({ delta, sigma })
  near(own.f, own.variance, 'the linear model over all weights')
  const matrix = new Float64Array(size * size)
  features.forEach(row => row.forEach((a, i) => row.forEach((b, j) => (matrix[i * size + j] += a * b))))
  const curvature = { structure: 'full' as const, size, matrix }
  const settings = { priorPrecision: delta, sigmaNoise: sigma }
  const posterior = structuredPosterior(curvature, slots, new Float64Array(size), settings)
  const all = features.map((_, n) => n)
  const linear = Float64Array.from(features, (_, n) => ridge(features, Array.from(labels), all, n, delta, sigma).f)
  const last = withoutEachExample(posterior, curvature, { likelihood: regression, examples, outputs: 1, labels,
    features: phi, sizes }, linear, {})
  near(last.f, last.covariance, 'the last layer')
  t.end()
})
