/** @file Mixtures of posteriors against the members' own predictions. */
import t from 'tap'
import type { Prediction } from '../../../core/answer/prediction.js'
import { laplace, Mixture } from '../../../core/index.js'
import { countShare } from '../../../core/likelihood/poisson-mixture.js'
import { isNumberReport } from '../../../core/metrics/index.js'
import { erf } from '../../../core/ops/erf.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { Mixture as NodeMixture } from '../../../node/mixture.js'
import { Posterior } from '../../../node/posterior.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const N = 7
const SHARES = [0.25, 0.75]
const x = drawer(4)(N, 3)

async function members(likelihood: 'regression' | 'classification' | 'multilabel' | 'poisson' | 'heteroscedastic') {
  const y = likelihood === 'regression'
    ? drawer(5)(N, 2)
    : likelihood === 'heteroscedastic'
    ? drawer(5)(N, 1)
    : float64(likelihood === 'classification' ? [N] : [N, 2],
      Array.from({ length: likelihood === 'classification' ? N : 2 * N }, (_, i) => i % 2))
  return Promise.all(
    [1, 2].map(seed =>
      laplace(perceptron(drawer(seed), 3, 4, 2, 'Tanh'), { likelihood, subset: 'all', structure: 'full',
        priorPrecision: 9, ...(likelihood === 'regression' ? { sigmaNoise: seed } : {}) }).fit(x, y)
    ),
  )
}

const at = (tensor: Tensor | undefined, i: number): number => Number(tensor?.data[i])
const mixed = (own: readonly Prediction[], of: (prediction: Prediction) => Tensor | undefined, i: number): number =>
  SHARES.reduce((sum, w, k) => sum + w * at(of(own[k]), i), 0)

for (const likelihood of ['regression', 'classification', 'multilabel', 'poisson'] as const) {
  t.test(likelihood, async t => {
    const posteriors = await members(likelihood)
    const own = await Promise.all(posteriors.map(posterior => posterior.predict(x, { seed: 3 })))
    const both = await new Mixture(posteriors, [1, 3]).predict(x, { seed: 3 })
    for (const i of [0, 5, 13]) {
      const mean = mixed(own, one => one.mean, i)
      const squares = SHARES.reduce((sum, w, k) => sum + w * (at(own[k].variance, i) + at(own[k].mean, i) ** 2), 0)
      t.ok(Math.abs(at(both.mean, i) - mean) < 1e-12)
      t.ok(Math.abs(at(both.variance, i) - (squares - mean ** 2)) < 1e-10)
      if (likelihood === 'regression' || likelihood === 'poisson') {
        const centre = (one: Prediction) => one.predictiveMean ?? one.mean
        const m = mixed(own, centre, i)
        const second = SHARES.reduce(
          (sum, w, k) => sum + w * (at(own[k].predictiveVariance, i) + at(centre(own[k]), i) ** 2),
          0,
        )
        t.ok(Math.abs(at(both.predictiveVariance, i) - (second - m ** 2)) < 1e-8 * second)
        t.ok(Math.abs(at(both.aleatoric, i) + at(both.epistemic, i) - at(both.predictiveVariance, i)) < 1e-8 * second)
      } else t.ok(Math.abs(at(both.probabilities, i) - mixed(own, one => one.probabilities, i)) < 1e-14)
    }
    if (likelihood === 'classification') {
      const [p, q] = [at(both.probabilities, 4), at(both.probabilities, 5)]
      const left = -p * Math.log(p) - q * Math.log(q) - mixed(own, one => one.aleatoric, 2)
      t.ok(Math.abs(at(both.epistemic, 2) - Math.max(0, left)) < 1e-12)
    }
    const single = await new Mixture(posteriors.slice(0, 1)).predict(x, { uncertainty: false })
    t.ok(relativeDifference(single.variance.data, own[0].variance.data) < 1e-12)
    t.equal(single.aleatoric, undefined)
    const arrays = await new NodeMixture(posteriors.map(core => new Posterior(core)), [1, 3]).predict(x, { seed: 3 })
    t.strictSame(arrays.mean.data, both.mean.data)
  })
}

t.test('what does not go together is refused', async t => {
  const [regression] = await members('regression')
  const [classes] = await members('classification')
  t.throws(() => new Mixture([]), { code: 'BAD_OPTION' })
  t.throws(() => new Mixture([regression, classes]), { code: 'BAD_COMBINATION', message: /one likelihood/ })
  for (const weights of [[1], [1, -1], [0, 0], [NaN, 1], [1, Infinity]]) {
    t.throws(() => new Mixture([regression, regression], weights), { code: 'BAD_OPTION', message: /weights/ })
  }
  await t.rejects(new Mixture([regression]).predict(x, { jont: true } as never), { code: 'UNKNOWN_OPTION' })
})

t.test('quantiles and intervals of a regression are those of the mixed density', async t => {
  const posteriors = await members('regression')
  const both = new Mixture(posteriors, [1, 3])
  const own = await Promise.all(posteriors.map(posterior => posterior.predict(x)))
  for (const noise of [true, false]) {
    const { level, interval, lower, upper, quantiles } = await both.predict(x, { level: 0.8, quantiles: [0.1, 0.3, 0.9],
      noise })
    t.same([level, interval], [0.8, noise ? 'gaussian' : 'credible'])
    for (const i of [0, 6, 13]) {
      t.ok(
        Math.abs(at(lower, i) - at(quantiles, 3 * i)) < 1e-9 &&
          Math.abs(at(upper, i) - at(quantiles, 3 * i + 2)) < 1e-9,
      )
      const density = (q: number): number =>
        SHARES.reduce((sum, w, k) => {
          const v = at(noise ? own[k].predictiveVariance : own[k].variance, i)
          return sum + w * Math.exp(-((q - at(own[k].mean, i)) ** 2) / (2 * v)) / Math.sqrt(2 * Math.PI * v)
        }, 0)
      // Simpson's rule from far below to the quantile.
      const [from, to, steps] = [at(quantiles, 3 * i + 1) - 60, at(quantiles, 3 * i + 1), 40_000]
      let mass = 0
      for (let s = 0; s <= steps; s++) {
        mass += (s === 0 || s === steps ? 1 : s % 2 === 1 ? 4 : 2) * density(from + s * (to - from) / steps)
      }
      t.ok(Math.abs(mass * (to - from) / steps / 3 - 0.3) < 1e-8)
    }
  }
  const classes = new Mixture(await members('classification'))
  await t.rejects(classes.predict(x, { level: 0.9 }), { code: 'BAD_COMBINATION', message: /conformalize\(x, y\)/ })
  await t.rejects(classes.predict(x, { quantiles: 0.5 }), { code: 'BAD_COMBINATION' })
  await t.rejects(both.predict(x, { level: 1 }), { code: 'BAD_OPTION' })
})

t.test('quantiles of counts are those of the mixed distribution', async t => {
  const posteriors = await members('poisson')
  const both = new Mixture(posteriors, [1, 3])
  const own = await Promise.all(posteriors.map(posterior => posterior.predict(x)))
  const { quantiles, lower, upper, interval } = await both.predict(x, { quantiles: [0.1, 0.6], level: 0.8 })
  t.equal(interval, 'poisson')
  const share = (i: number, k: number): number =>
    SHARES.reduce((sum, w, m) => sum + w * countShare(k, at(own[m].mean, i), at(own[m].variance, i)), 0)
  const rates = await both.predict(x, { quantiles: 0.6, noise: false })
  t.equal(rates.interval, 'credible')
  const normal = (z: number): number => (1 + erf(z / Math.SQRT2)) / 2
  for (const i of [0, 5, 13]) {
    for (const [q, p] of [[0, 0.1], [1, 0.6]]) {
      const k = at(quantiles, 2 * i + q)
      t.ok(share(i, k) >= p && share(i, k - 1) < p, `${i} ${p} ${k}`)
    }
    t.equal(at(lower, i), at(quantiles, 2 * i))
    t.ok(at(upper, i) >= at(quantiles, 2 * i + 1))
    const below = SHARES.reduce(
      (sum, w, m) =>
        sum + w * normal((Math.log(at(rates.quantiles, i)) - at(own[m].mean, i)) / Math.sqrt(at(own[m].variance, i))),
      0,
    )
    t.ok(Math.abs(below - 0.6) < 1e-10)
  }
})

t.test('of means and log variances the intervals are about the means', async t => {
  const posteriors = await members('heteroscedastic')
  const both = new Mixture(posteriors, [1, 3])
  const own = await Promise.all(posteriors.map(posterior => posterior.predict(x)))
  const normal = (z: number): number => (1 + erf(z / Math.SQRT2)) / 2
  for (const noise of [true, false]) {
    const { quantiles } = await both.predict(x, { quantiles: [0.3], noise })
    t.same(quantiles?.shape, [N, 1, 1])
    for (const i of [0, 3, 6]) {
      const below = SHARES.reduce((sum, w, m) => {
        const spread = noise ? own[m].predictiveVariance : own[m].epistemic
        return sum + w * normal((at(quantiles, i) - at(own[m].predictiveMean, i)) / Math.sqrt(at(spread, i)))
      }, 0)
      t.ok(Math.abs(below - 0.3) < 1e-10)
    }
  }
})

t.test('covariances are those of the mixture, of a row and of all rows', async t => {
  const posteriors = await members('regression')
  const both = new Mixture(posteriors, [1, 3])
  const { covariance, variance } = await both.predict(x, { covariance: true })
  const { covariance: joint } = await both.predict(x, { joint: true })
  const own = await Promise.all(posteriors.map(posterior => posterior.functionalVariance(x, { joint: true })))
  const size = 2 * N
  const mean = (a: number): number => mixed(own as never, one => one.mean, a)
  for (const [a, b] of [[0, 0], [2, 3], [5, 9]]) {
    const expected = SHARES.reduce((sum, w, k) =>
      sum + w * (at(own[k].covariance, a * size + b) +
          (at(own[k].mean, a) - mean(a)) * (at(own[k].mean, b) - mean(b))), 0)
    t.ok(Math.abs(at(joint, a * size + b) - expected) < 1e-12)
    if (a >> 1 === b >> 1) t.ok(Math.abs(at(covariance, 2 * a + b % 2) - expected) < 1e-12)
  }
  t.ok(Math.abs(at(covariance, 4 * 3) - at(variance, 6)) < 1e-12)
  t.ok(relativeDifference((await both.functionalVariance(x, { joint: true })).covariance.data, joint?.data ?? []) === 0)
})

t.test('gradients of the input are the slopes of the prediction', async t => {
  for (const likelihood of ['regression', 'classification'] as const) {
    const both = new Mixture(await members(likelihood), [1, 3])
    const gradients = await both.inputGradients(x)
    const step = 1e-5
    const moved = (sign: number): Tensor =>
      float64([N, 3], Float64Array.from(x.data, (value, i) => Number(value) + (i % 3 === 1 ? sign * step : 0)))
    const [up, down] = await Promise.all([1, -1].map(sign =>
      both.predict(moved(sign), { link: likelihood ===
          'classification'
        ? 'probit'
        : undefined })
    ))
    for (const part of ['mean', 'variance', 'probabilities'] as const) {
      if (gradients[part] === undefined) continue
      for (let i = 0; i < 2 * N; i++) {
        const slope = (at(up[part], i) - at(down[part], i)) / (2 * step)
        t.ok(Math.abs(at(gradients[part], 3 * i + 1) - slope) < 1e-7 * Math.max(1, Math.abs(slope)), `${part} ${i}`)
      }
    }
  }
})

t.test('calibrated by rows held out, sets and intervals hold what they say', async t => {
  const held = drawer(11)(N, 3)
  const y = float64([N], Array.from({ length: N }, (_, i) => i % 2))
  const classes = new Mixture(await members('classification'), [1, 3])
  const calibrated = await classes.conformalize(held, y, { score: 'lac' })
  t.same(calibrated.conformal, { kind: 'split', score: 'lac', rows: N })
  t.equal(classes.conformal, undefined)
  const p = await classes.predict(held)
  const worst = Math.max(...Array.from({ length: N }, (_, n) => 1 - at(p.probabilities, 2 * n + n % 2)))
  const { sets, interval } = await calibrated.predict(x, { level: N / (N + 1) })
  t.equal(interval, 'conformal')
  const now = await calibrated.predict(x)
  for (let i = 0; i < 2 * N; i++) {
    if (1 - at(now.probabilities, i) <= worst) t.equal(at(sets, i), 1)
    else t.ok(at(sets, i) === 0 || at(now.probabilities, i) >= 0.5)
  }
  await t.rejects(calibrated.predict(x, { level: 0.9, predictive: 'nn' }), { code: 'BAD_COMBINATION' })
  await t.rejects(classes.conformalize(undefined, y), { code: 'BAD_OPTION', message: /conformalize\(x, y\)/ })
  await t.rejects(new Mixture(await members('multilabel')).conformalize(held, float64([N, 2], Array(2 * N).fill(1))), {
    code: 'BAD_COMBINATION',
  })
  const numbers = new Mixture(await members('regression'), [1, 3])
  const targets = drawer(12)(N, 2)
  const { mean, predictiveVariance } = await numbers.predict(held)
  const scores = Array.from({ length: N },
    (_, n) => Math.abs(at(targets, 2 * n) - at(mean, 2 * n)) / Math.sqrt(at(predictiveVariance, 2 * n))).sort((a, b) =>
      a - b
    )
  const wide = await (await numbers.conformalize(held, targets)).predict(x, { level: 4 / (N + 1) })
  const half = scores[3] * Math.sqrt(at(wide.predictiveVariance, 0))
  t.ok(Math.abs(at(wide.upper, 0) - at(wide.mean, 0) - half) < 1e-12)
})

t.test('is compared with the networks together, by its own distribution', async t => {
  const posteriors = await members('regression')
  const y = drawer(12)(N, 2)
  const both = new Mixture(posteriors, [1, 3])
  const own = await Promise.all(posteriors.map(posterior => posterior.predict(x)))
  const { posterior, network, temperature } = await both.compare(x, y)
  const density = (i: number, spread: (k: number) => number): number =>
    SHARES.reduce(
      (sum, w, k) =>
        sum + w * Math.exp(-((at(y, i) - at(own[k].mean, i)) ** 2) / (2 * spread(k))) / Math.sqrt(2 * Math.PI *
            spread(k)),
      0,
    )
  const nll = (spread: (k: number, i: number) => number): number =>
    -Array.from({ length: 2 * N }, (_, i) => Math.log(density(i, k => spread(k, i)))).reduce((a, b) => a + b, 0)
    / (2 * N)
  t.ok(Math.abs(posterior.nll - nll((k, i) => at(own[k].predictiveVariance, i))) < 1e-10)
  t.ok(Math.abs(network.nll - nll(k => (k + 1) ** 2)) < 1e-10)
  t.equal(temperature, undefined)
  const crps = Array.from({ length: 2 * N }, (_, i) => crpsBySum(at(y, i), own, i)).reduce((a, b) => a + b, 0)
  t.ok(isNumberReport(posterior) && Math.abs(posterior.crps - crps / (2 * N)) < 1e-4)
  for (const likelihood of ['poisson', 'heteroscedastic'] as const) {
    const [one] = await members(likelihood)
    const labels = likelihood === 'poisson' ?
      float64([N, 2], Array.from({ length: 2 * N }, (_, i) => i % 4)) :
      drawer(5)(
        N,
        1,
      )
    const alone = await one.compare(x, labels)
    const twice = await new Mixture([one, one]).compare(x, labels)
    for (const score of ['nll', 'crps', 'rmse', 'sharpness', 'deviance'] as const) {
      const [a, b] = [alone, twice].map(({ posterior: report }) =>
        isNumberReport(report) ? score in report ? report[score] ?? 0 : 0 : NaN
      )
      t.ok(Math.abs(a - b) < 1e-9, `${likelihood} ${score} ${a} ${b}`)
    }
  }
  const classes = await members('classification')
  const labels = float64([N], Array.from({ length: N }, (_, i) => i % 2))
  const compared = await new Mixture(classes, [1, 3]).compare(x, labels, { outliers: drawer(3)(4, 3) })
  const p = (await new Mixture(classes, [1, 3]).predict(x)).probabilities
  const expected = -Array.from({ length: N }, (_, n) => Math.log(at(p, 2 * n + n % 2))).reduce((a, b) => a + b, 0) / N
  t.ok(Math.abs(compared.posterior.nll - expected) < 1e-12)
  t.same(compared.outliers?.map(({ of }) => of), ['network', 'posterior'])
})

/** The integral of (F - 1{t >= y})^2 by the rule of midpoints, on both sides of y. */
function crpsBySum(y: number, own: readonly Prediction[], i: number): number {
  const step = 0.005
  let sum = 0
  for (let k = -5000; k < 5000; k++) {
    const q = y + (k + 0.5) * step
    const share = SHARES.reduce(
      (total, w, k) =>
        total + w * (1 + erf((q - at(own[k].mean, i)) / Math.sqrt(2 * at(own[k].predictiveVariance, i)))) / 2,
      0,
    )
    sum += step * (share - (q >= y ? 1 : 0)) ** 2
  }
  return sum
}

t.test('draws are of members by their weights', async t => {
  const posteriors = await members('regression')
  const both = new Mixture(posteriors, [1, 3])
  const { mean, variance } = await both.predict(x)
  const count = 4000
  const draws = (await both.functionalSamples(x, count, { seed: 2 })).data
  for (const i of [0, 6, 13]) {
    const own = Float64Array.from({ length: count }, (_, s) => Number(draws[s * 2 * N + i]))
    const average = own.reduce((a, b) => a + b, 0) / count
    const spread = own.reduce((sum, value) => sum + (value - average) ** 2, 0) / count
    t.ok(Math.abs(average - at(mean, i)) < 5 * Math.sqrt(at(variance, i) / count))
    t.ok(Math.abs(spread / at(variance, i) - 1) < 0.15)
  }
  const p = await new Mixture(await members('classification')).predictiveSamples(x, 3, { seed: 1 })
  t.same(p.shape, [3, N, 2])
  t.ok(Array.from({ length: 3 * N }, (_, i) => at(p, 2 * i) + at(p, 2 * i + 1)).every(sum => Math.abs(sum - 1) < 1e-12))
})
