/** @file What predictions of each likelihood have, for the compiler and when they run. */
import t from 'tap'
import type { Graph } from '../../core/graph/graph.js'
import { laplace, type LaplaceFit, type LaplaceOptions, loadPosterior, type Posterior,
  type Prediction } from '../../index.js'
import { toNdArray } from '../../node/arrays.js'
import { drawer, perceptron } from '../support/random-network.js'

const draw = drawer(3)
const x = toNdArray(draw(12, 2))
const network = (outputs: number): Graph => perceptron(draw, 2, 4, outputs, 'Tanh')
const fitted = { subset: 'last_layer', structure: 'kron', priorPrecision: 1 } as const

t.test('classes have probabilities, and no numbers of observations', async t => {
  const classes = Array.from({ length: 12 }, (_, i) => i % 3)
  const posterior = await laplace(network(3), { ...fitted, likelihood: 'classification' }).fit(x, classes)
  const prediction = await posterior.predict(x)
  t.same(prediction.probabilities.shape, [12, 3])
  t.same(prediction.epistemic?.shape, [12])
  // @ts-expect-error a classification has no predictive variance
  t.equal(prediction.predictiveVariance, undefined)
  // @ts-expect-error nor an interval
  t.equal(prediction.lower, undefined)
  const likelihood: 'classification' = posterior.likelihood
  t.equal(likelihood, 'classification')
})

t.test('a regression has the variance of observations, and no probabilities; so do posteriors made of it', async t => {
  const numbers = toNdArray(draw(12, 1))
  const posterior = await laplace(network(1), { ...fitted, likelihood: 'regression' }).fit(x, numbers)
  for (const own of [posterior, posterior.withPrior({ priorPrecision: 2 }), await posterior.conformalize(x, numbers)]) {
    const prediction = await own.predict(x, { level: 0.9 })
    t.same(prediction.predictiveVariance.shape, [12, 1])
    t.same(prediction.lower?.shape, [12, 1])
    // @ts-expect-error a regression has no probabilities
    t.equal(prediction.probabilities, undefined)
    // @ts-expect-error nor sets of classes
    t.equal(prediction.sets, undefined)
    // @ts-expect-error the mean of an observation is the mean
    t.equal(prediction.predictiveMean, undefined)
  }
})

t.test('counts have the mean of observations', async t => {
  const counts = Array.from({ length: 12 }, (_, i) => i % 4)
  const posterior = await laplace(network(1), { ...fitted, likelihood: 'poisson' }).fit(x, counts)
  const prediction = await posterior.predict(x)
  t.same([prediction.predictiveMean.shape, prediction.predictiveVariance.shape], [[12, 1], [12, 1]])
  // @ts-expect-error counts have no probabilities
  t.equal(prediction.probabilities, undefined)
})

t.test('where the likelihood is not known, everything may be there', async t => {
  const labels = Array.from({ length: 12 }, (_, i) => i % 2)
  const binary: Posterior<'binary'> = await laplace(network(1), { ...fitted, likelihood: 'binary' }).fit(x, labels)
  const any: Posterior = binary
  const prediction: Prediction = await any.predict(x)
  const again = await loadPosterior(binary.save()).predict(x)
  t.same(prediction.probabilities?.shape, again.probabilities?.shape)
  t.equal(again.predictiveVariance, undefined)
  // @ts-expect-error it may be missing
  t.same(prediction.probabilities.shape, [12, 1])
  const either: Posterior<'binary' | 'multilabel'> = binary
  t.same((await either.predict(x)).probabilities.shape, [12, 1], 'both have probabilities')
  const byOptions = (options: LaplaceOptions): LaplaceFit => laplace(network(1), options)
  const fit = await byOptions({ ...fitted, likelihood: 'binary' }).fit(x, labels)
  t.same((await fit.predict(x)).probabilities?.shape, [12, 1])
})

t.test('wrong options do not compile', t => {
  const wrong = (): unknown[] => [
    // @ts-expect-error classification has no noise
    laplace(network(3), { likelihood: 'classification', sigmaNoise: 1 }),
    // @ts-expect-error an option that does not exist
    laplace(network(3), { likelihood: 'classification', priorPrecission: 1 }),
    // @ts-expect-error a likelihood that does not exist
    laplace(network(3), { likelihood: 'classify' }),
  ]
  t.throws(wrong)
  t.end()
})
