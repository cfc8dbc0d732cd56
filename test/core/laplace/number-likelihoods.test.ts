/**
 * @file Likelihoods poisson and heteroscedastic against their definitions: curvature by central differences of a
 * network that is written out here, the evidence by log densities, predictions by sums over fine grids.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { curvatureArrays } from '../../../core/curvature/accumulate.js'
import { isSum } from '../../../core/curvature/curvature.js'
import { laplace, type LaplaceOptions, type LaplacePosterior, mergePartialFits } from '../../../core/index.js'
import { logGamma, upperGammaShare } from '../../../core/kernels/gamma.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { countLogProbability, countQuantile } from '../../../core/likelihood/poisson-mixture.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { repeated } from '../../../core/tensor/sample-weights.js'
import type { Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const N = 6
const [INPUTS, HIDDEN, OUTPUTS] = [3, 4, 2]
const LIKELIHOODS = ['poisson', 'heteroscedastic'] as const
type Name = (typeof LIKELIHOODS)[number]

function labelsFor(likelihood: Name, seed: number): Tensor {
  const y = drawer(seed + 1)(N, likelihood === 'poisson' ? OUTPUTS : OUTPUTS / 2)
  return likelihood === 'poisson' ? { ...y, data: Float64Array.from(y.data, v => Math.floor(v * v * 3)) } : y
}

/** f of theta, in the order of `perceptron`, N x C. */
function outputsOf(theta: Float64Array, x: Tensor): number[] {
  const bias = HIDDEN * INPUTS
  const second = bias + HIDDEN
  const last = second + OUTPUTS * HIDDEN
  return Array.from({ length: N }, (_, n) => {
    const a = Array.from({ length: HIDDEN }, (_, h) => {
      let z = theta[bias + h]
      for (let i = 0; i < INPUTS; i++) z += theta[h * INPUTS + i] * x.data[n * INPUTS + i]
      return Math.tanh(z)
    })
    return Array.from({ length: OUTPUTS },
      (_, c) => a.reduce((sum, value, h) => sum + theta[second + c * HIDDEN + h] * value, theta[last + c]))
  }).flat()
}

/** -log p(y | f) and the Fisher matrix's diagonal, as the conventions state them. */
const definitions: Record<Name, { nll(f: number[], y: ArrayLike<number>): number, lambda(f: number[]): number[] }> = {
  poisson: {
    nll: (f, y) =>
      f.reduce((sum, z, i) => {
        let factorial = 0
        for (let k = 2; k <= y[i]; k++) factorial += Math.log(k)
        return sum + Math.exp(z) - y[i] * z + factorial
      }, 0),
    lambda: f => f.map(Math.exp),
  },
  heteroscedastic: {
    nll: (f, y) =>
      Array.from(y).reduce(
        (sum, value, n) =>
          sum + 0.5 * (Math.log(2 * Math.PI) + f[2 * n + 1] + (value - f[2 * n]) ** 2 / Math.exp(f[2 * n + 1])),
        0,
      ),
    lambda: f => f.map((_, i) => (i % 2 === 0 ? Math.exp(-f[i + 1]) : 0.5)),
  },
}

/** H = sum J' Lambda J, P x P. */
function ggn(likelihood: Name, theta: Float64Array, x: Tensor): Float64Array {
  const step = 1e-6
  const columns = Array.from(theta, (_, p) => {
    const [up, down] = [theta.slice(), theta.slice()]
    up[p] += step
    down[p] -= step
    const low = outputsOf(down, x)
    return outputsOf(up, x).map((value, i) => (value - low[i]) / (2 * step))
  })
  const lambda = definitions[likelihood].lambda(outputsOf(theta, x))
  return Float64Array.from({ length: theta.length ** 2 }, (_, at) => {
    const [a, b] = [columns[Math.floor(at / theta.length)], columns[at % theta.length]]
    return lambda.reduce((sum, value, i) => sum + a[i] * value * b[i], 0)
  })
}

function close(t: Test, actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, of: string): void {
  const difference = relativeDifference(actual, expected)
  t.ok(difference < tolerance, `${of}: ${difference}`)
}

for (const likelihood of LIKELIHOODS) {
  t.test(`${likelihood}: curvature, loss and evidence by their definitions`, async t => {
    const draw = drawer(3)
    const graph = perceptron(draw, INPUTS, HIDDEN, OUTPUTS, 'Tanh')
    const x = draw(N, INPUTS)
    const y = labelsFor(likelihood, 3)
    const fit = (structure: 'full' | 'diag') =>
      laplace(graph, { likelihood, subset: 'all', structure, priorPrecision: 2 }).fit(x, y)
    const full = await fit('full')
    const { mean: theta, parameterCount: size } = full
    const expected = ggn(likelihood, theta, x)
    const curvature = full.state.structured.curvature
    if (!isSum(curvature)) throw new Error('a sum')
    const [matrix] = curvatureArrays(curvature)
    const lower = (of: Float64Array): Float64Array => of.filter((_, i) => i % size <= Math.floor(i / size))
    close(t, lower(matrix), lower(expected), 1e-8, 'H')
    const diagonal = Float64Array.from(theta, (_, p) => expected[p * (size + 1)])
    const [ownDiagonal] = curvatureArrays((await fit('diag')).state.structured.curvature as typeof curvature)
    close(t, ownDiagonal, diagonal, 1e-8, 'its diagonal')
    const nll = definitions[likelihood].nll(outputsOf(theta, x), y.data)
    t.ok(Math.abs(full.logLikelihood + nll) < 1e-10, 'log p(D | theta)')
    t.match(full.training?.network.nll.toFixed(8), (nll / y.data.length).toFixed(8), 'the score of the network')
    const rebuilt = loadPosterior(full.save())
    t.equal(rebuilt.logMarginalLikelihood(), full.logMarginalLikelihood(), 'kept by its file')
  })

  t.test(`${likelihood}: residuals are slopes of the loss, draws have its moments`, async t => {
    const model = likelihoodModel(likelihood)
    const f = Float64Array.of(0.3, -0.7, 1.2, 0.4)
    const y = likelihood === 'poisson' ? Float64Array.of(2, 0, 5, 1) : Float64Array.of(0.5, -1)
    const slope = f.map((_, i) => {
      const at = (change: number) => model.loss(f.map((v, j) => (i === j ? v + change : v)), y, 2, 2)
      return (at(1e-6) - at(-1e-6)) / 2e-6
    })
    close(t, model.residual(f, y, 2, 2), slope, 1e-8, 'residual')
    const { randomGenerator } = await import('../../../core/tensor/random.js')
    const random = randomGenerator(5)
    const draws = Array.from({ length: 40_000 }, () => model.draw(f, 2, 2, random))
    const width = draws[0].length
    const mean = Float64Array.from({ length: width }, (_, i) =>
      draws.reduce((sum, row) => sum + row[i] / draws.length, 0))
    const variance = mean.map((m, i) => draws.reduce((sum, row) => sum + (row[i] - m) ** 2 / draws.length, 0))
    close(t, mean, model.observation!.means(f, 2, 2), 0.03, 'mean of draws')
    close(t, variance, model.observation!.variances(f, 2, 2), 0.04, 'variance of draws')
  })
}

const arraysOf = ({ state }: LaplacePosterior): number[] =>
  isSum(state.structured.curvature)
    ? curvatureArrays(state.structured.curvature).flatMap(array => Array.from(array))
    : []

const combination = fc.record({
  likelihood: fc.constantFrom(...LIKELIHOODS),
  subset: fc.constantFrom('all' as const, 'last_layer' as const),
  structure: fc.constantFrom('full' as const, 'kron' as const, 'diag' as const),
  curvature: fc.constantFrom('ggn' as const, 'empirical_fisher' as const),
  weights: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: N, maxLength: N }).filter(all => all.some(w => w > 0)),
  seed: fc.nat(1000),
})

t.test('a weight of 2 is the row twice; parts add up', async t => {
  await fc.assert(fc.asyncProperty(combination, async ({ weights, seed, ...options }) => {
    const draw = drawer(seed)
    const graph = perceptron(draw, INPUTS, HIDDEN, OUTPUTS, 'Tanh')
    const [x, y] = [draw(N, INPUTS), labelsFor(options.likelihood, seed)]
    const prepared = laplace(graph, { ...options, priorPrecision: 1 })
    const weighted = await prepared.fit(x, y, { sampleWeight: weights })
    const rows = repeated({ x, y }, Float64Array.from(weights))
    const twice = await prepared.fit(rows.x, rows.y)
    const [a, b] = [await prepared.fitPartial(x, y, { chunk: 'a' }), await prepared.fitPartial(rows.x, rows.y)]
    const merged = await prepared.fitMerged(mergePartialFits(a, b))
    return relativeDifference(arraysOf(weighted), arraysOf(twice)) < 1e-12
      && Math.abs(weighted.logMarginalLikelihood() - twice.logMarginalLikelihood()) < 1e-9
      && merged.examples === N + twice.examples
  }), { numRuns: 30, seed: 1 })
  t.pass()
})

const every: readonly Partial<LaplaceOptions>[] = [{ structure: 'full' }, { structure: 'kron' }, { structure: 'diag' },
  {
    structure: 'ekfac',
  }, { structure: 'lowrank', rank: 3 }, { structure: 'functional' }, { structure: 'full', curvature: 'mc_fisher' }]

t.test('covariance of draws is the inverse precision, in every structure', async t => {
  for (const likelihood of LIKELIHOODS) {
    const draw = drawer(8)
    const graph = perceptron(draw, INPUTS, HIDDEN, OUTPUTS, 'Tanh')
    const [x, y] = [draw(N, INPUTS), labelsFor(likelihood, 8)]
    for (const options of every) {
      const posterior = await laplace(graph, { likelihood, subset: 'all', priorPrecision: 1, ...options }).fit(x, y)
      const size = posterior.parameterCount
      const { data } = posterior.sample(20_000, { seed: 4 })
      const mean = posterior.mean
      const variance = Float64Array.from({ length: size }, (_, p) => {
        let sum = 0
        for (let i = p; i < data.length; i += size) sum += (data[i] - mean[p]) ** 2 / 20_000
        return sum
      })
      close(t, variance, posterior.posteriorVariance(), 0.04, `${likelihood} ${JSON.stringify(options)}`)
    }
  }
})

t.test('the gamma functions', async t => {
  t.ok(Math.abs(logGamma(1)) < 1e-14)
  t.ok(Math.abs(logGamma(0.5) - 0.5 * Math.log(Math.PI)) < 1e-14)
  t.ok(Math.abs(logGamma(11) - Math.log(3628800)) < 1e-13)
  for (const [k, rate] of [[0, 0.1], [3, 2.5], [40, 38], [7, 30], [900, 1000]]) {
    let [term, sum] = [Math.exp(-rate), Math.exp(-rate)]
    if (rate < 700) {
      for (let i = 1; i <= k; i++) sum += term *= rate / i
      t.ok(Math.abs(upperGammaShare(k + 1, rate) - sum) < 1e-13, `P(Y <= ${k}) at ${rate}`)
    }
  }
  // scipy.special.gammaincc
  t.ok(Math.abs(upperGammaShare(901, 1000) - 0.0006977673277963054) < 1e-12)
  t.ok(Math.abs(upperGammaShare(1001, 1000) - 0.508409367168506) < 1e-7)
  t.ok(Math.abs(upperGammaShare(2000, 1900) - 0.9883041796188499) < 1e-7)
  t.ok(Math.abs(upperGammaShare(1e6 + 1, 1e6) - 0.5002659614862837) < 1e-9)
})

/** P(Y <= k) of a Poisson whose log rate is Gaussian, by a fine sum over it and terms of the definition. */
function share(k: number, mean: number, variance: number): number {
  let [sum, total] = [0, 0]
  for (let z = -9; z <= 9; z += 0.002) {
    const weight = Math.exp(-z * z / 2)
    const rate = Math.exp(mean + Math.sqrt(variance) * z)
    let [term, part] = [Math.exp(-rate), Math.exp(-rate)]
    for (let i = 1; i <= k; i++) part += term *= rate / i
    sum += weight * part
    total += weight
  }
  return sum / total
}

t.test('quantiles and densities of counts whose rate is uncertain', async t => {
  for (const [mean, variance] of [[0.2, 0.3], [2, 0.01], [3, 1], [-2, 2], [1.5, 0]]) {
    for (const p of [0.05, 0.5, 0.95]) {
      const k = countQuantile(p, mean, variance)
      t.ok(share(k, mean, variance) >= p && (k === 0 || share(k - 1, mean, variance) < p), `${mean} ${variance} ${p}`)
    }
    const density = share(3, mean, variance) - share(2, mean, variance)
    t.ok(Math.abs(Math.exp(countLogProbability(3, mean, variance)) - density) < 1e-9, `density ${mean} ${variance}`)
  }
  t.ok(Math.abs(countQuantile(0.5, Math.log(1e6), 0) - 1e6) <= 1, 'large rates')
  t.equal(countQuantile(0.9, 800, 1), Infinity, 'rates beyond all numbers')
})

t.test('predictions: moments of a new observation, and its intervals', async t => {
  const draw = drawer(12)
  const graph = perceptron(draw, INPUTS, HIDDEN, OUTPUTS, 'Tanh')
  const x = draw(N, INPUTS)
  for (const likelihood of LIKELIHOODS) {
    const posterior = await laplace(graph, { likelihood, subset: 'all', structure: 'full', priorPrecision: 5 })
      .fit(x, labelsFor(likelihood, 12))
    const answer = await posterior.predict(x, { level: 0.9, quantiles: [0.25, 0.75] })
    const [f, v] = [answer.mean.data, answer.variance.data]
    const targets = likelihood === 'poisson' ? OUTPUTS : 1
    t.strictSame(answer.predictiveMean?.shape, [N, targets])
    const draws = await posterior.functionalSamples(x, 60_000, { seed: 2 })
    const size = N * OUTPUTS
    for (let i = 0; i < N * targets; i++) {
      const own = likelihood === 'poisson' ? i : 2 * i
      const mean = likelihood === 'poisson' ? Math.exp(f[i] + v[i] / 2) : f[own]
      t.ok(Math.abs(answer.predictiveMean!.data[i] - mean) < 1e-12)
      let [first, second, noise] = [0, 0, 0]
      for (let s = 0; s < 60_000; s++) {
        const z = draws.data[s * size + own]
        const value = likelihood === 'poisson' ? Math.exp(z) : z
        first += value / 60_000
        second += value * value / 60_000
        noise += (likelihood === 'poisson' ? value : Math.exp(draws.data[s * size + own + 1])) / 60_000
      }
      const [aleatoric, epistemic] = [answer.aleatoric!.data[i], answer.epistemic!.data[i]]
      t.ok(Math.abs(aleatoric / noise - 1) < 0.05, `aleatoric ${aleatoric} ${noise}`)
      t.ok(Math.abs(epistemic / (second - first * first) - 1) < 0.25, `epistemic ${epistemic}`)
      t.ok(Math.abs(answer.predictiveVariance!.data[i] - aleatoric - epistemic) < 1e-12 * (1 + aleatoric + epistemic))
      t.ok(answer.lower!.data[i] <= answer.quantiles!.data[2 * i])
      t.ok(answer.quantiles!.data[2 * i + 1] <= answer.upper!.data[i])
    }
    t.equal(answer.interval, likelihood === 'poisson' ? 'poisson' : 'gaussian')
    const sure = await posterior.predict(x, { level: 0.9, noise: false })
    t.equal(sure.interval, 'credible')
    const z = 1.6448536269514722
    close(t, sure.upper!.data, Float64Array.from({ length: N * targets }, (_, i) =>
      likelihood === 'poisson' ? Math.exp(f[i] + z * Math.sqrt(v[i])) : f[2 * i] + z * Math.sqrt(v[2 * i])), 1e-9,
      'credible')
    const drawn = await posterior.predict(x, { predictive: 'nn', samples: 2000, level: 0.9 })
    t.strictSame(drawn.predictiveMean?.shape, [N, targets])
    t.ok(drawn.aleatoric!.data.every(value =>
      value > 0
    ))
    const calibrated = await posterior.conformalize(x, labelsFor(likelihood, 12))
    const held = await calibrated.predict(x, { level: 0.5 })
    t.equal(held.interval, 'conformal')
    t.ok(likelihood !== 'poisson' || held.lower!.data.every(value => value >= 0))
  }
})

t.test('tuning: marglik without held-out rows, grid with them; what the linear model says is refused', async t => {
  const draw = drawer(1)
  const graph = perceptron(draw, INPUTS, HIDDEN, OUTPUTS, 'Tanh')
  const x = draw(N, INPUTS)
  for (const likelihood of LIKELIHOODS) {
    const y = labelsFor(likelihood, 1)
    const usual = await laplace(graph, { likelihood }).fit(x, y)
    t.equal(usual.tuned, 'marglik')
    t.match(usual.notes.join(' '), /does not have/)
    const held = await laplace(graph, { likelihood, validation: { x, y } }).fit(x, y)
    t.equal(held.tuned, 'grid')
    for (const refused of [{ tune: 'auto' }, { tune: 'linearized' }, { structure: 'lowrank' }] as const) {
      t.throws(() => laplace(graph, { likelihood, ...refused }), { code: 'BAD_COMBINATION' })
    }
    await t.rejects(usual.tune({ tune: 'auto' }, { data: { x, y } }), { code: 'BAD_COMBINATION' })
    // Counts have no intervals in closed form; noise that the network says is a normal one.
    const lower = () => usual.exportGraph({ outputs: ['lower'] })
    if (likelihood === 'poisson') t.throws(lower, { code: 'BAD_COMBINATION' })
    else t.doesNotThrow(lower)
  }
  const odd = perceptron(draw, INPUTS, HIDDEN, 3, 'Tanh')
  t.throws(() => laplace(odd, { likelihood: 'heteroscedastic' }), { code: 'BAD_COMBINATION', message: /odd/ })
  t.throws(() => laplace(graph, { likelihood: 'heteroscedastic', curvature: 'hessian', priorPrecision: 1 }), {
    code: 'BAD_COMBINATION',
  })
  await t.rejects(
    laplace(graph, { likelihood: 'poisson' }).fit(x, { ...labelsFor('poisson', 1),
      data: new Float64Array(N * OUTPUTS).fill(-1) }),
    { code: 'BAD_LABELS' },
  )
})

t.test('a network that ends in an exponential, or cannot be negative, has its logarithm taken', async t => {
  const draw = drawer(2)
  const { GraphBuilder } = await import('../../../core/graph/builder.js')
  const { BATCH } = await import('../../../core/graph/graph.js')
  const x = draw(N, INPUTS)
  const y = { ...labelsFor('poisson', 2) }
  const [w, c] = [draw(OUTPUTS, INPUTS), draw(OUTPUTS)]
  const network = (end: string | undefined) => {
    const b = new GraphBuilder('float64')
    const f = b.node('Gemm', [b.input('x', [BATCH, INPUTS]), b.parameter('w', w), b.parameter('c', c)], { transB: 1 })
    return b.build([end === undefined ? f : b.node(end, [f])])
  }
  const options: LaplaceOptions = { likelihood: 'poisson', subset: 'all', structure: 'full', priorPrecision: 1 }
  const plain = await laplace(network(undefined), options).fit(x, y)
  const ended = await laplace(network('Exp'), options).fit(x, y)
  t.match(ended.notes.join(' '), /ends in Exp/)
  close(t, arraysOf(ended), arraysOf(plain), 1e-14, 'the same posterior')
  const positive = await laplace(network('Softplus'), options).fit(x, y)
  t.match(positive.notes.join(' '), /never negative/)
  const answer = await positive.predict(x, { uncertainty: false })
  t.ok(answer.mean.data.every(Number.isFinite))
})
