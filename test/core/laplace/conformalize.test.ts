/** @file Calibrated posteriors through the public functions: coverage, closed forms, files, refusals. */
import t from 'tap'
import { BATCH, type Graph, GraphBuilder, laplace, type LaplaceOptions, loadPosterior } from '../../../core/index.js'
import { centralHalfWidth, normalQuantile } from '../../../core/kernels/normal-quantile.js'
import { erf } from '../../../core/ops/erf.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { betaDistances } from '../../support/beta-law.js'
import { drawer, perceptron } from '../../support/random-network.js'

const REPETITIONS = 300
const GRID = Array.from({ length: 200 }, (_, i) => -2 + 4 * (i + 0.5) / 200)

const column = (values: readonly number[]): Tensor => float64([values.length, 1], values)
const cdf = (z: number): number => (1 + erf(z / Math.SQRT2)) / 2
const random = randomGenerator(12)
const inputs = (n: number): number[] => Array.from({ length: n }, () => 4 * random.uniform() - 2)

/** Targets whose noise grows with x, which the posterior does not know. */
const truth = (x: number): { mean: number, sd: number } => ({ mean: Math.sin(2 * x), sd: 0.2 + 0.15 * Math.abs(x) })
const observe = (xs: readonly number[]): Tensor => column(xs.map(x => truth(x).mean + truth(x).sd * random.normal()))

/** Classes whose probabilities are those of a softmax of these logits. */
const chances = (x: number): number[] => {
  const weights = [Math.exp(x), Math.exp(-x), Math.exp(0.5 - 0.3 * x * x)]
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map(weight => weight / sum)
}
const drawClass = (x: number): number => {
  const [p, u] = [chances(x), random.uniform()]
  return u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2
}
const classes = (xs: readonly number[]): Tensor => float64([xs.length], xs.map(drawClass))

const regressionNetwork = perceptron(drawer(3), 1, 5, 1, 'Tanh')
const classNetwork = perceptron(drawer(6), 1, 4, 3, 'Tanh')
const training = inputs(60)

const KINDS: readonly Partial<LaplaceOptions>[] = [{}, { subset: 'last_layer', structure: 'kron' }, { subset: 'all',
  structure: 'diag', priorPrecision: 1, sigmaNoise: 0.5 }]

for (const options of KINDS) {
  t.test(`intervals cover as Beta(k, n + 1 - k) says: ${JSON.stringify(options)}`, async t => {
    const posterior = await laplace(regressionNetwork, { likelihood: 'regression', ...options }).fit(column(training),
      observe(training))
    const [n, level] = [50, 0.85]
    const coverages: number[] = []
    for (let i = 0; i < REPETITIONS; i++) {
      const xs = inputs(n)
      const calibrated = await posterior.conformalize(column(xs), observe(xs))
      const { lower, upper, interval } = await calibrated.predict(column(GRID), { level, uncertainty: false })
      if (i === 0) t.equal(interval, 'conformal')
      coverages.push(GRID.reduce((sum, x, j) => {
        const { mean, sd } = truth(x)
        return sum + (cdf((upper!.data[j] - mean) / sd) - cdf((lower!.data[j] - mean) / sd)) / GRID.length
      }, 0))
    }
    const rank = Math.ceil((n + 1) * level - 1e-9)
    const distance = betaDistances(coverages, rank, n + 1 - rank)
    t.ok(distance.mean < 4 && distance.variance < 4, JSON.stringify(distance))
  })
}

t.test('sets cover new rows as Beta(k, n + 1 - k) says, and at the level at least', async t => {
  const posterior = await laplace(classNetwork, { likelihood: 'classification' }).fit(column(training),
    classes(training))
  const [n, level] = [50, 0.9]
  const rank = Math.ceil((n + 1) * level - 1e-9)
  for (const options of [{ score: 'lac' }, { score: 'aps' }, { score: 'aps', randomised: true }] as const) {
    const coverages: number[] = []
    for (let i = 0; i < REPETITIONS; i++) {
      const xs = inputs(n)
      const calibrated = await posterior.conformalize(column(xs), classes(xs), { ...options, seed: i })
      const { sets } = await calibrated.predict(column(GRID), { level, uncertainty: false })
      coverages.push(
        GRID.reduce(
          (sum, x, j) => sum + chances(x).reduce((own, p, c) => own + p * sets!.data[3 * j + c], 0) / GRID.length,
          0,
        ),
      )
    }
    const distance = betaDistances(coverages, rank, n + 1 - rank)
    const mean = coverages.reduce((a, b) => a + b, 0) / REPETITIONS
    // Adaptive scores without randomness tie at 1, and draws for new rows add to the spread of the coverage.
    if (options.score === 'lac') t.ok(distance.mean < 4 && distance.variance < 4, `lac ${JSON.stringify(distance)}`)
    else if ('randomised' in options) t.ok(distance.mean < 4, `randomised ${JSON.stringify(distance)}`)
    else t.ok(mean > level - 4 * Math.sqrt(level * (1 - level) / (n + 2) / REPETITIONS), `adaptive ${mean}`)
  }
})

t.test('intervals and quantiles in closed form', async t => {
  const posterior = await laplace(regressionNetwork, { likelihood: 'regression' }).fit(column(training),
    observe(training))
  const [x, level] = [column([-1, 0, 1.5]), 0.9]
  const { mean, variance, predictiveVariance, ...own } = await posterior.predict(x, { level,
    quantiles: [0.05, 0.5, 0.975] })
  const [m, sd] = [mean.data, Array.from(predictiveVariance!.data, Math.sqrt)]
  t.match(own, { interval: 'gaussian', level })
  t.same(own.quantiles!.shape, [3, 1, 3])
  for (let i = 0; i < 3; i++) {
    t.ok(Math.abs(own.lower!.data[i] - (m[i] - centralHalfWidth(0.9) * sd[i])) < 1e-12)
    t.ok(Math.abs(own.upper!.data[i] - (m[i] + centralHalfWidth(0.9) * sd[i])) < 1e-12)
    ;[0.05, 0.5, 0.975].forEach((p, q) => {
      t.ok(Math.abs(own.quantiles!.data[3 * i + q] - (m[i] + normalQuantile(p) * sd[i])) < 1e-12)
    })
  }
  const credible = await posterior.predict(x, { level, noise: false })
  t.equal(credible.interval, 'credible')
  t.ok(
    credible.upper!.data.every((value, i) =>
      Math.abs(value - (m[i] + centralHalfWidth(0.9) * Math.sqrt(variance.data[i]))) < 1e-12
    ),
  )

  // Scores |y - mean| / sd by hand; the 18th of 19 bounds a new row with probability 0.9.
  const held = inputs(19)
  const y = observe(held)
  const at = await posterior.predict(column(held))
  const scores = Array.from(y.data,
    (value, i) => Math.abs(value - at.mean.data[i]) / Math.sqrt(at.predictiveVariance!.data[i])).sort((a, b) => a - b)
  const calibrated = await posterior.conformalize(column(held), y)
  t.same(calibrated.conformal, { kind: 'split', score: 'residual', rows: 19 })
  t.equal(posterior.conformal, undefined, 'the old one is as it was')
  const given = await calibrated.predict(x, { level, quantiles: [0.05, 0.5, 0.95] })
  for (let i = 0; i < 3; i++) {
    t.ok(Math.abs(given.upper!.data[i] - (m[i] + scores[17] * sd[i])) < 1e-12)
    t.ok(Math.abs(given.lower!.data[i] - (m[i] - scores[17] * sd[i])) < 1e-12)
    const ends = [given.lower!.data[i], m[i], given.upper!.data[i]]
    t.ok(ends.every((end, q) => Math.abs(end - given.quantiles!.data[3 * i + q]) < 1e-12), 'quantiles are its ends')
  }
  const wide = await calibrated.predict(x, { level: 0.99 })
  t.ok(wide.upper!.data.every(value => value === Infinity), 'too few rows')
  t.match(wide.notes.join(), /needs 99 rows/)
  t.equal((await calibrated.predict(x, { level, noise: false })).interval, 'credible')
  t.ok('aleatoric' in given && given.aleatoric!.data.length === 3, 'what waits to be read is still there')
})

t.test('without rows: the leave-one-out residuals of the linear model, as refits say', async t => {
  const b = new GraphBuilder('float64')
  const draw = drawer(9)
  const network: Graph = b.build([b.node('MatMul', [b.input('x', [BATCH, 2]), b.parameter('w', draw(2, 1), true)])])
  const n = 15
  const x = draw(n, 2)
  const y = float64([n, 1],
    Array.from({ length: n }, (_, i) => x.data[2 * i] - 2 * x.data[2 * i + 1] + random.normal()))
  const posterior = await laplace(network, { likelihood: 'regression' }).fit(x, y)
  const sigma2 = Number(posterior.sigmaNoise) ** 2
  // The prior is in units of the targets.
  const targets = Array.from(y.data, Number)
  const middle = targets.reduce((sum, value) => sum + value / n, 0)
  const delta = posterior.choice!.delta[0] / targets.reduce((sum, value) => sum + (value - middle) ** 2 / n, 0)
  const expected = Array.from({ length: n }, (_, left) => {
    // P = X'X / sigma^2 + delta I without row `left`, and w = P^-1 X'y / sigma^2.
    let [a, c, d, u, v] = [delta, 0, delta, 0, 0]
    for (let i = 0; i < n; i++) {
      if (i === left) continue
      const [p, q] = [x.data[2 * i], x.data[2 * i + 1]]
      a += p * p / sigma2
      c += p * q / sigma2
      d += q * q / sigma2
      u += p * y.data[i] / sigma2
      v += q * y.data[i] / sigma2
    }
    const det = a * d - c * c
    const [p, q] = [x.data[2 * left], x.data[2 * left + 1]]
    const mean = (p * (d * u - c * v) + q * (a * v - c * u)) / det
    const variance = (p * p * d - 2 * p * q * c + q * q * a) / det
    return Math.abs(y.data[left] - mean) / Math.sqrt(variance + sigma2)
  }).sort((p, q) => p - q)
  const calibrated = await posterior.conformalize()
  t.same(calibrated.conformal, { kind: 'jackknife', score: 'residual', rows: n })
  const { lower, upper, mean, predictiveVariance, interval, notes } = await calibrated.predict(x, { level: 0.75 })
  t.equal(interval, 'jackknife')
  t.match(notes.join(), /approximate/)
  for (let i = 0; i < n; i++) {
    // The size of the intervals is that of the predictive variance at a level of 90 %; the residuals say their shape.
    const half = expected[11] / expected[14] * 1.6448536269514722 * Math.sqrt(predictiveVariance!.data[i])
    t.ok(Math.abs(upper!.data[i] - mean.data[i] - half) < 1e-8 * half)
    t.ok(Math.abs(mean.data[i] - lower!.data[i] - half) < 1e-8 * half)
  }
})

t.test('saved with the posterior; a new prior drops it', async t => {
  const held = inputs(30)
  const posterior = await laplace(classNetwork, { likelihood: 'classification' }).fit(column(training),
    classes(training))
  const y = classes(held)
  for (const options of [{ score: 'lac' }, { score: 'aps' }, { score: 'aps', randomised: true, seed: 5 }] as const) {
    for (const rows of [[column(held), y], []] as const) {
      const calibrated = await posterior.conformalize(rows[0], rows[1], options)
      const again = loadPosterior(calibrated.save())
      t.same(again.conformal, calibrated.conformal)
      t.same(again.conformal?.kind, rows.length === 0 ? 'jackknife' : 'split')
      const [a, b] = [await calibrated.predict(column(GRID), { level: 0.8 }),
        await again.predict(column(GRID), { level: 0.8 })]
      t.same(b.sets, a.sets)
      t.equal(again.withPrior({ priorPrecision: 3 }).conformal, undefined)
      t.match(again.withPrior({ priorPrecision: 3 }).notes.join(), /conformalize again/)
    }
  }
  const fromFile = await loadPosterior(posterior.save()).conformalize()
  t.same((await fromFile.predict(column(GRID), { level: 0.7 })).sets,
    (await (await posterior.conformalize()).predict(column(GRID), { level: 0.7 })).sets, 'left-out scores are kept')
  const bytes = (await posterior.conformalize(column(held), y)).save()
  const text = new TextDecoder('latin1').decode(bytes)
  const damaged = bytes.slice()
  damaged.set(new TextEncoder().encode('"approximatf"'), text.indexOf('"approximate"'))
  t.throws(() => loadPosterior(damaged), { code: 'UNTRUSTED_INPUT' })
})

t.test('binary: sets over the classes 0 and 1', async t => {
  const network = perceptron(drawer(2), 1, 3, 1, 'Tanh')
  const label = (xs: readonly number[]): Tensor => column(xs.map(x => +(x + random.normal() > 0)))
  const posterior = await laplace(network, { likelihood: 'binary' }).fit(column(training), label(training))
  const held = inputs(40)
  const y = label(held)
  const { probabilities } = await posterior.predict(column(held))
  const scores = Array.from(y.data, (c, i) => (c === 1 ? 1 - probabilities!.data[i] : probabilities!.data[i]))
    .sort((a, b) => a - b)
  const calibrated = await posterior.conformalize(column(held), y, { score: 'lac' })
  const answer = await calibrated.predict(column(GRID), { level: 0.9 })
  t.same(answer.sets!.shape, [GRID.length, 2])
  const bound = scores[36]
  answer.probabilities!.data.forEach((p, i) => {
    const expected = [p <= bound ? 1 : 0, 1 - p <= bound ? 1 : 0]
    t.same(Array.from(answer.sets!.data.slice(2 * i, 2 * i + 2)),
      expected.includes(1) ? expected : [+(p < 0.5), +(p >= 0.5)])
  })
  t.same((await posterior.conformalize()).conformal, { kind: 'jackknife', score: 'aps', rows: training.length })
})

t.test('what cannot be is refused, with the way out', async t => {
  const x = column(training)
  const regression = await laplace(regressionNetwork, { likelihood: 'regression' }).fit(x, observe(training))
  const sets = await laplace(classNetwork, { likelihood: 'classification' }).fit(x, classes(training))
  const plain = await laplace(classNetwork, { likelihood: 'classification', priorPrecision: 1 }).fit(x,
    classes(training))
  for (const level of [0, 1, -0.5, 90, NaN, '0.9' as unknown as number]) {
    await t.rejects(regression.predict(x, { level }), { code: 'BAD_OPTION' })
    await t.rejects(regression.predict(x, { quantiles: [0.5, level] }), { code: 'BAD_OPTION' })
  }
  await t.rejects(regression.predict(x, { quantiles: [] }), { code: 'BAD_OPTION' })
  await t.rejects(sets.predict(x, { level: 0.9 }), { code: 'BAD_COMBINATION', message: /conformalize/ })
  await t.rejects(plain.conformalize(), { code: 'NOT_FITTED', message: /conformalize\(x, y\)/ })
  await t.rejects(regression.conformalize(x), { code: 'BAD_ARRAY' })
  await t.rejects(regression.conformalize(x, observe(training), { score: 'aps' }), { code: 'BAD_COMBINATION' })
  await t.rejects(sets.conformalize(x, classes(training), { score: 'raps' as 'aps' }), { code: 'BAD_OPTION' })
  await t.rejects(sets.conformalize(x, classes(training), { randomised: true, seed: -1 }), { code: 'BAD_OPTION' })
  await t.rejects(sets.conformalize(x, classes(inputs(3))), { code: 'SHAPE_MISMATCH' })
  const calibrated = await sets.conformalize(x, classes(training))
  await t.rejects(calibrated.predict(x, { level: 0.9, link: 'mc' }), { code: 'BAD_COMBINATION' })
  await t.rejects(calibrated.predict(x, { level: 0.9, predictive: 'nn' }), { code: 'BAD_COMBINATION' })
  await t.rejects(calibrated.predict(x, { quantiles: [0.5] }), { code: 'BAD_COMBINATION' })
  await t.rejects(calibrated.predict(x, { level: 0.9, noise: false }), { code: 'BAD_COMBINATION' })
  const labels = float64([training.length, 3], Array.from({ length: 3 * training.length }, (_, i) => +(i % 2 === 0)))
  const many = await laplace(classNetwork, { likelihood: 'multilabel' }).fit(x, labels)
  await t.rejects(many.conformalize(x, labels), { code: 'BAD_COMBINATION' })
  await t.rejects(many.conformalize(), { code: 'BAD_COMBINATION' })
})
