/** @file Mixtures of posteriors against the members' own predictions. */
import t from 'tap'
import type { Prediction } from '../../../core/answer/prediction.js'
import { laplace, Mixture } from '../../../core/index.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { Mixture as NodeMixture } from '../../../node/mixture.js'
import { Posterior } from '../../../node/posterior.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const N = 7
const SHARES = [0.25, 0.75]
const x = drawer(4)(N, 3)

async function members(likelihood: 'regression' | 'classification' | 'multilabel' | 'poisson') {
  const y = likelihood === 'regression'
    ? drawer(5)(N, 2)
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
  await t.rejects(new Mixture([regression]).predict(x, { joint: true } as never), { code: 'UNKNOWN_OPTION' })
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
  await t.rejects(classes.predict(x, { level: 0.9 }), { code: 'BAD_COMBINATION' })
  await t.rejects(new Mixture(await members('poisson')).predict(x, { quantiles: 0.5 }), { code: 'BAD_COMBINATION' })
})

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
