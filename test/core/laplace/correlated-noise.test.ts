/** @file A regression whose noises are correlated, against the same network of whitened targets and definitions. */
import t, { type Test } from 'tap'
import { curvatureArrays } from '../../../core/curvature/accumulate.js'
import { isSum } from '../../../core/curvature/curvature.js'
import { OptionError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions, type LaplacePosterior } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'
import { graphAt } from '../../support/graph-at.js'
import { drawer, perceptron } from '../../support/random-network.js'

const N = 20
const draw = drawer(3)
const graph = perceptron(draw, 3, 4, 2, 'Tanh')
const x = draw(N, 3)
const y = draw(N, 2)
const SIGMA = [[0.5, 0.3], [0.3, 0.8]]
const PRECISION = [[0.8, -0.3], [-0.3, 0.5]].map(row => row.map(value => value / (0.5 * 0.8 - 0.09)))
const noiseCovariance = Float64Array.from(SIGMA.flat())

const fit = (options: Partial<LaplaceOptions> = {}): Promise<LaplacePosterior> =>
  laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'full', priorPrecision: 2, sigmaNoise: SIGMA,
    ...options }).fit(x, y)
const sumsOf = ({ state: { fitted } }: LaplacePosterior): Float64Array[] =>
  fitted !== undefined && isSum(fitted) ? curvatureArrays(fitted) : []

t.test('loss, gradient, Hessian and normaliser are those of N(f, Sigma)', (t: Test) => {
  const term = likelihoodModel('regression', { noiseCovariance })
  const f = drawer(9)(N, 2).data as Float64Array
  const targets = y.data as Float64Array
  const error = (n: number, c: number): number => f[2 * n + c] - targets[2 * n + c]
  let [loss, logDensity] = [0, 0]
  for (let n = 0; n < N; n++) {
    const square = [0, 1].reduce(
      (sum, c) => sum + [0, 1].reduce((part, d) => part + error(n, c) * PRECISION[c][d] * error(n, d), 0),
      0,
    )
    loss += square / 2
    logDensity -= square / 2 + Math.log(2 * Math.PI) + Math.log(0.5 * 0.8 - 0.09) / 2
  }
  t.ok(Math.abs(term.loss(f, targets, N, 2) - loss) < 1e-12)
  t.ok(Math.abs(term.logNormaliser(1, N, 2) - loss - logDensity) < 1e-10)
  const gradient = f.map((_, i) =>
    [0, 1].reduce((sum, d) => sum + PRECISION[i % 2][d] * error(Math.floor(i / 2), d), 0)
  )
  t.ok(relativeDifference(term.residual(f, targets, N, 2), gradient) < 1e-12)
  const seeds = term.hessianSeeds(f, N, 2)
  const lambda = (c: number, d: number): number =>
    [0, 1].reduce((sum, k) => sum + seeds[k * N * 2 + c] * seeds[k * N * 2 + d], 0)
  for (const [c, d] of [[0, 0], [0, 1], [1, 0], [1, 1]]) t.ok(Math.abs(lambda(c, d) - PRECISION[c][d]) < 1e-12)
  t.ok(
    relativeDifference(term.hessianPairs?.(f, N, 2).slice(0, 3) ?? [], [PRECISION[0][0], PRECISION[0][1],
      PRECISION[1][1]]) < 1e-12,
  )
  t.ok(relativeDifference(term.hessianDiagonal(f, N, 2).slice(0, 2), [PRECISION[0][0], PRECISION[1][1]]) < 1e-12)
  t.ok(relativeDifference(term.sumHessian(f, N, 2), PRECISION.flat().map(value => N * value)) < 1e-12)
  const many = 40_000
  const drawn = term.draw(new Float64Array(2 * many), many, 2, randomGenerator(1))
  for (const [c, d] of [[0, 0], [0, 1], [1, 1]]) {
    let sum = 0
    for (let n = 0; n < many; n++) sum += drawn[2 * n + c] * drawn[2 * n + d] / many
    t.ok(Math.abs(sum - SIGMA[c][d]) < 0.03)
  }
  t.end()
})

t.test('a diagonal covariance is one noise an output', async (t: Test) => {
  for (const options of [{ structure: 'full' }, { structure: 'diag' }, { structure: 'kron' }, { structure: 'ekfac' }, {
    structure: 'functional',
  }, { structure: 'lowrank', rank: 4 }, { structure: 'full', subset: 'last_layer' }, { structure: 'full',
    curvature: 'empirical_fisher' }, { structure: 'full', curvature: 'hessian', priorPrecision: 500 }, {
    structure: 'kron',
    kfacApprox: 'reduce',
  }] as Partial<LaplaceOptions>[]) {
    const own = await fit({ ...options, sigmaNoise: [[0.25, 0], [0, 0.81]] })
    const apart = await fit({ ...options, sigmaNoise: [0.5, 0.9] })
    t.ok(Math.abs(own.logMarginalLikelihood() / apart.logMarginalLikelihood() - 1) < 1e-9, JSON.stringify(options))
    const [one, other] = await Promise.all([own.predict(x), apart.predict(x)])
    t.ok(relativeDifference(one.predictiveVariance?.data ?? [], other.predictiveVariance?.data ?? []) < 1e-8)
  }
})

t.test('correlated noises: the curvature by the Jacobian, and what predictions add', async (t: Test) => {
  const plain = await fit({ sigmaNoise: 1 })
  const own = await fit()
  const { mean, covariance, predictiveCovariance, predictiveVariance } = await own.predict(x, { covariance: true })
  t.ok(
    relativeDifference(predictiveCovariance?.data ?? [],
      Float64Array.from(covariance?.data ?? [], (value: number, i: number) => value + noiseCovariance[i % 4])) < 1e-12,
  )
  t.ok(
    relativeDifference(predictiveVariance?.data ?? [], [...Array(2 * N).keys()].map(i =>
      (covariance?.data[2 * i + i % 2] ?? NaN) + SIGMA[i % 2][i % 2]
    )) < 1e-12,
  )
  t.equal(mean.shape[0], N)
  // The outputs of whitened rows: J' Sigma^-1 J is not a multiple of J' J, and its trace is that of Lambda on J J'.
  t.not(relativeDifference(sumsOf(own)[0], sumsOf(plain)[0]), 0)
  const again = loadPosterior(own.save())
  t.equal(again.logMarginalLikelihood(), own.logMarginalLikelihood())
  t.same(Array.from(again.noiseCovariance?.data ?? []), SIGMA.flat())
  const twice = await again.addRows(x, y)
  t.ok(relativeDifference(sumsOf(twice)[0], sumsOf(own)[0].map(value => 2 * value)) < 1e-12)
  const kron = await fit({ structure: 'kron', subset: 'last_layer' })
  const [, , B] = sumsOf(kron)
  t.ok(relativeDifference(B, PRECISION.flat().map(value => N * value)) < 1e-12, 'the bias block is N Sigma^-1')
})

t.test('what is no covariance, and what it does not go with, is refused', async (t: Test) => {
  for (const options of [{ sigmaNoise: [[1, 2], [2, 1]] }, { sigmaNoise: [[1, 0.5], [0.4, 1]] }, {
    sigmaNoise: [[1, 0]],
  }, { sigmaNoise: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] }, { structure: 'lowrank', priorPrecision: undefined }, {
    tune: 'auto',
    priorPrecision: undefined,
  }] as Partial<LaplaceOptions>[]) {
    await t.rejects(async () => fit(options), OptionError, JSON.stringify(options))
  }
  const open = await laplace(graph, { likelihood: 'regression', sigmaNoise: SIGMA }).fit(x, y)
  t.equal(open.tuned, 'marglik')
  t.match(open.notes.join(' '), /correlated noise/)
})

t.test("H = J' Sigma^-1 J by differences", async (t: Test) => {
  const own = await fit()
  const theta = own.mean
  const columns = await Promise.all(Array.from(theta, async (_, p) => {
    const at = async (step: number): Promise<ArrayLike<number>> => {
      const moved = theta.slice()
      moved[p] += step
      const other = laplace(graphAt(graph, moved), { likelihood: 'regression', structure: 'diag', subset: 'all',
        priorPrecision: 1, sigmaNoise: 1 })
      return (await (await other.fit(x, y)).forward(x)).data
    }
    const [up, down] = [await at(1e-5), await at(-1e-5)]
    return Array.from(up, (value, i) => (value - down[i]) / 2e-5)
  }))
  const P = theta.length
  const H = Float64Array.from({ length: P * P }, (_, k) => {
    const [a, b] = [columns[Math.floor(k / P)], columns[k % P]]
    let sum = 0
    for (let n = 0; n < N; n++) {
      for (const c of [0, 1]) for (const d of [0, 1]) sum += a[2 * n + c] * PRECISION[c][d] * b[2 * n + d]
    }
    return sum
  })
  t.ok(relativeDifference(sumsOf(own)[0], H) < 1e-6)
})

t.test('the covariance that the evidence chooses: no other near it has more', async (t: Test) => {
  const many = drawer(21)
  const rows = many(60, 3)
  const noise = many(60, 2).data
  const wide = await laplace(graph, { likelihood: 'regression', subset: 'all', priorPrecision: 1, sigmaNoise: 1,
    structure: 'diag' }).fit(rows, many(60, 2))
  const { mean } = await wide.predict(rows)
  const targets = { ...mean,
    data: Float64Array.from(mean.data,
      (value: number, i: number) => value + (i % 2 === 0 ? 0.5 * noise[i] : 0.3 * noise[i] + 0.6 * noise[i - 1])) }
  for (const options of [{ structure: 'full', subset: 'all' }, { structure: 'blockdiag', subset: 'all' }, {
    structure: 'diag',
    subset: 'all',
  }, { structure: 'kron', subset: 'last_layer' }, { subset: 'last_layer', tune: 'none', priorPrecision: 3 }, {
    structure: 'full',
    subset: 'subnetwork',
    subnetwork: [0, 3, 9],
  }] as Partial<LaplaceOptions>[]) {
    const own = await laplace(graph, { likelihood: 'regression', sigmaNoise: 'full', ...options }).fit(rows, targets)
    const found = Float64Array.from(own.noiseCovariance?.data ?? [])
    const delta = own.priorPrecision
    const evidence = async (Sigma: Float64Array): Promise<number> =>
      (await laplace(graph, { likelihood: 'regression', ...options, tune: 'none', priorPrecision: delta,
        sigmaNoise: [Sigma.slice(0, 2), Sigma.slice(2)] }).fit(rows, targets)).logMarginalLikelihood()
    const best = await evidence(found)
    t.ok(Math.abs(best - own.logMarginalLikelihood()) < 1e-9 * Math.abs(best), 'the posterior is that of this noise')
    for (const direction of [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]) {
      const step = 1e-4 * Math.sqrt(found[0] * found[3])
      const [up, down] = await Promise.all(
        [1, -1].map(sign => evidence(found.map((value, i) => value + sign * step * direction[i]))),
      )
      // The slope over the curvature: how far the maximum is, in steps.
      t.ok(best > Math.max(up, down) && Math.abs(up - down) / 2 / (2 * best - up - down) < 2e-3,
        `${JSON.stringify(options)} ${direction.join()} ${up - best} ${down - best}`)
    }
    t.ok(found[1] > 0.05, 'errors of the same sign')
    const again = loadPosterior(own.save())
    t.ok(relativeDifference(again.noiseCovariance?.data ?? [], found) === 0)
  }
})

t.test('a tuned covariance is refused where its slope is another', async (t: Test) => {
  for (const options of [{ structure: 'kron', subset: 'all' }, { structure: 'functional' }, { structure: 'full',
    curvature: 'empirical_fisher' }, { structure: 'full', tune: 'auto' }] as Partial<LaplaceOptions>[]) {
    t.throws(() => laplace(graph, { likelihood: 'regression', sigmaNoise: 'full', ...options }), OptionError)
  }
  t.throws(() => laplace(graph, { likelihood: 'classification', sigmaNoise: 'full' }), OptionError)
  await t.rejects(laplace(graph, { likelihood: 'regression', sigmaNoise: 'full', structure: 'full' }).fitPartial(x, y),
    OptionError)
})
