/** @file The size of a regression's errors: its parts against their definitions, and what a fit makes of them. */
import t from 'tap'
import { laplace, loadPosterior } from '../../../core/index.js'
import { cholesky, triangularInverse } from '../../../core/kernels/linear-algebra.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { outputFamily } from '../../../core/linear-model/regression-model.js'
import { shuffledParameters, untrainedErrors } from '../../../core/linear-model/untrained.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { errorScale, excess } from '../../../core/tuning/error-scale.js'
import { randomProblem } from '../../support/linear-problems.js'
import { drawer, perceptron } from '../../support/random-network.js'
import { normalInputs, trainedNetwork } from '../../support/trained-network.js'

t.test('the factor is the geometric mean of two excesses, held within a factor of two', async t => {
  const quantile = 1.6448536269514722
  const errors = (largest: number, n = 99): Float64Array =>
    Float64Array.from({ length: n }, (_, i) => largest * (n - i) / 90)
  t.ok(Math.abs(excess(errors(quantile)) - 1) < 1e-12, 'the 90th of 99 errors is their 90 % quantile')
  t.ok(Math.abs(excess(Float64Array.of(3, 1)) - 3 / quantile) < 1e-12, 'of few rows the largest')
  for (const [own, untrained, expected] of [[1, 1, 1], [0.8, 1.25, 1], [0.5, 1, Math.SQRT1_2], [1, 1.44, 1.2], [1, 50,
    Math.SQRT2], [9, 9, 2], [0, 1, 0.5]]) {
    const k = errorScale(errors(own * quantile), errors(untrained * quantile))
    t.ok(Math.abs(k - expected) < 1e-9, `${own} ${untrained} -> ${k}`)
  }
  t.equal(errorScale(Float64Array.of(NaN), Float64Array.of(1)), 1, 'nothing known')
})

t.test('shuffled parameters are those of the same tensors', async t => {
  const { problem: { slots }, theta } = randomProblem('regression', 9, 2, 4)
  const other = shuffledParameters(theta, slots, 3, 1)
  t.same(other, shuffledParameters(theta, slots, 3, 1), 'by the seed')
  t.notSame(other, theta)
  for (const { offset, size } of slots) {
    const own = (values: Float64Array) => values.slice(offset, offset + size).sort()
    t.same(own(other), own(theta))
  }
  const apart = shuffledParameters(theta, slots, 3, 2)
  for (const { offset, size, shape } of slots) {
    if (shape[0] !== 2) continue
    for (const row of [0, 1]) {
      const own = (values: Float64Array) => values.slice(offset + row * size / 2, offset + (row + 1) * size / 2).sort()
      t.same(own(apart), own(theta), 'outputs stay apart')
    }
  }
})

for (const [what, examples, hidden] of [['fewer rows than weights', 14, 4], ['more rows than weights', 60,
  3]] as const) {
  t.test(`${what}: errors of rows left out about the mean of the targets`, async t => {
    const outputs = 2
    const { problem, dense } = randomProblem('regression', examples, outputs, 6, hidden)
    const { slots, jacobian, labels } = problem
    const errors = untrainedErrors(slots, jacobian, labels, {})
    const means = [0, 1].map(c => labels.filter((_, i) => i % outputs === c).reduce((a, b) => a + b) / examples)
    const about = { ...problem, f0: labels.map((_, i) => means[i % outputs]) }
    const size = dense.length / (examples * outputs)
    for (let c = 0; c < outputs; c++) {
      const { delta, sigma, floored } = outputFamily(about, c, {}).tuned
      t.notOk(floored)
      const a = new Float64Array(examples * examples)
      for (let n = 0; n < examples; n++) {
        for (let m = 0; m < examples; m++) {
          let k = 0
          for (let i = 0; i < size; i++) k += dense[(n * outputs + c) * size + i] * dense[(m * outputs + c) * size + i]
          a[n * examples + m] = k / delta + (n === m ? sigma ** 2 : 0)
        }
      }
      t.equal(cholesky(examples, a), -1)
      const half = triangularInverse(examples, a)
      // [A^-1 (y - m)]_n / [A^-1]_nn
      const inverse = (n: number, m: number) => {
        let sum = 0
        for (let i = 0; i < examples; i++) sum += half[i * examples + n] * half[i * examples + m]
        return sum
      }
      for (const n of [0, 3, examples - 1]) {
        let solved = 0
        for (let m = 0; m < examples; m++) solved += inverse(n, m) * (labels[m * outputs + c] - means[c])
        t.ok(Math.abs(errors[n * outputs + c] - solved / inverse(n, n)) < 1e-6, `row ${n}`)
      }
    }
  })
}

const regression = likelihoodModel('regression')
const N = 60
const x = normalInputs(N, 2, 3)
const noise = normalInputs(N, 1, 4)
const y = Float64Array.from({ length: N }, (_, n) => Math.sin(2 * x[2 * n]) + x[2 * n + 1] + 0.3 * noise[n])
const [rows, targets] = [float64([N, 2], x), float64([N, 1], y)]
const fit = (steps: number, options = {}) =>
  laplace(trainedNetwork(regression, { x, y, examples: N }, 1, steps), { likelihood: 'regression', ...options })
    .fit(rows, targets)

t.test('a network that underfits leaves the answer to its linear model', async t => {
  const [young, trained] = [await fit(20), await fit(4000)]
  t.match(young.choice, { networkWeight: 0, linearWeight: 1 })
  t.ok(young.choice!.r! > 1)
  t.match(young.choice!.explanation, /The linear model answers/)
  t.ok(young.choice!.explanation.includes('times what the evidence says'))
  t.match(trained.choice, { networkWeight: 0.5, linearWeight: 0.5 })
  t.ok(trained.choice!.r! < 1)
  const other = await loadPosterior(young.save()).predict(rows)
  t.same(other.mean.data, (await young.predict(rows)).mean.data, 'saved')
  const error = (mean: ArrayLike<number>) => y.reduce((sum, value, n) => sum + (value - mean[n]) ** 2, 0) / N
  t.ok(error(other.mean.data) < 0.7 * error((await young.forward(rows)).data), 'with smaller errors')
})

t.test('the mean does not depend on the size of the errors, nor a given noise on it', async t => {
  const tuned = await fit(4000)
  const [sigma] = tuned.choice!.sigmaNoise!
  const given = await fit(4000, { sigmaNoise: sigma })
  t.equal(given.sigmaNoise, sigma)
  t.notOk(given.choice!.explanation.includes('times what the evidence says'))
  t.match(tuned.choice!.explanation, 'times what the evidence says')
})

t.test('the noise does not collapse where there are more weights than rows, and that is said', async t => {
  const draw = drawer(2)
  const graph = perceptron(draw, 8, 40, 1, 'Tanh')
  const many = draw(60, 8)
  const none = laplace(graph, { likelihood: 'regression' })
  const f = await (await none.fit(many, draw(60, 1))).forward(many)
  const posterior = await none.fit(many, f)
  const { choice: { sigmaNoise: [sigma] = [0], leaveOneOutNll } = {}, notes } = { ...posterior.summary() }
  t.ok(notes.some(note => note.includes('do not tell noise from weights')))
  t.ok(sigma > 0.01 && Number.isFinite(leaveOneOutNll), `sigma ${sigma}`)
})

t.test('targets that no weight explains are said to be noise, as far as the evidence can tell', async t => {
  const draw = drawer(2)
  const none = laplace(perceptron(draw, 8, 5, 1, 'Tanh'), { likelihood: 'regression' })
  const x = draw(60, 8)
  // Hidden units of signs alone, and targets that have nothing to do with them.
  const signs = float64([60, 8], Float64Array.from(x.data, value => 1e6 * value))
  const said = async (rows: typeof signs, targets: typeof signs): Promise<boolean> =>
    (await none.fit(rows, targets)).summary().notes.some(note => note.includes('takes all of the targets for noise'))
  let times = 0
  for (let i = 0; i < 10; i++) times += Number(await said(signs, draw(60, 1)))
  t.ok(times >= 3, `${times} of 10 draws of noise`)
  t.notOk(await said(x, await (await none.fit(x, draw(60, 1))).forward(x)), 'not where the network explains them')
})
