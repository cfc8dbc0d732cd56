/** @file A regression on more rows than are solved exactly: mode, covariance and evidence of all rows. */
import t from 'tap'
import { scaledJacobian, standardised } from '../../../core/curvature/scaled-jacobian.js'
import { chosenEngine } from '../../../core/engine/chosen-engine.js'
import { fitLinearModel } from '../../../core/fit/linear-fit.js'
import { BATCH, GraphBuilder, laplace, tensor } from '../../../core/index.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { linearProblem } from '../../../core/linear-model/linear-problem.js'
import { outputFamily } from '../../../core/linear-model/regression-model.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { resolveOptions } from '../../../core/options/resolved-options.js'
import { createWorkerPool } from '../../../core/parallel/worker-pool.js'
import { createEvaluator } from '../../../core/programs/evaluator.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'
import { covarianceTimes } from '../../support/linear-problems.js'

const random = randomGenerator(21)
const normals = (count: number, scale = 1): Float64Array =>
  random.fillNormal(new Float64Array(count)).map(value => scale * value)

function network(sizes: readonly number[], precision: 'float32' | 'float64') {
  const b = new GraphBuilder(precision)
  let value = b.input('x', [BATCH, sizes[0]])
  sizes.slice(1).forEach((out, i) => {
    value = b.node('Gemm', [value,
      b.parameter(`${i}.w`, tensor(precision, [out, sizes[i]], normals(out * sizes[i], 1 / Math.sqrt(sizes[i])))),
      b.parameter(`${i}.b`, tensor(precision, [out], normals(out, 0.1)))], { transB: 1 })
    if (i < sizes.length - 2) value = b.node('Tanh', [value])
  })
  return b.build([value])
}

for (const precision of ['float64', 'float32'] as const) {
  t.test(`${precision}: each output's posterior is that of all rows at the sample's prior and noise`, async t => {
    const [examples, outputs] = [500, 2]
    const prepared = prepareNetwork(network([5, 10, outputs], precision), 'regression')
    const evaluator = createEvaluator(prepared, 'all', chosenEngine({ name: 'typescript', threads: 1 }, precision, {}),
      precision)
    const options = resolveOptions({ likelihood: 'regression' })
    const pool = createWorkerPool(evaluator, 'regression', {}, { engine: 'typescript', threads: 1,
      outputNoise: undefined })
    const x = new Map([['x', tensor(precision, [examples, 5], normals(examples * 5))]])
    const { f, jacobian } = await evaluator.jacobian(x)
    // Outputs on scales of 1 and 100.
    const labels = Float64Array.from(f, (value, i) => (i % 2 === 0 ? 1 : 100) * (value + 0.3 * random.normal()))
    const rows = { x, labels, examples }
    const sampled = await fitLinearModel(evaluator, options, rows, 150, {})
    const whole = await fitLinearModel(evaluator, options, rows, 150, {}, { pool })
    t.ok(whole.allRows && !sampled.allRows)
    const { prior } = whole.curvature
    if (prior === undefined) throw new Error('The last layer is not in units of the targets.')
    const problem = linearProblem(likelihoodModel('regression'), evaluator.slots,
      scaledJacobian(evaluator.slots, jacobian, prior.scale), Float64Array.from(f), labels,
      standardised(evaluator.theta, prior))
    whole.curvature.models.forEach((model, c) => {
      t.equal(model.delta, sampled.curvature.models[c].delta)
      const exact = outputFamily(problem, c, {}).modelAt(model, 1e-8)
      const label = `output ${c}`
      const [own, few] = [model, sampled.curvature.models[c]].map(({ weights }) =>
        relativeDifference(standardised(weights, prior), exact.weights)
      )
      t.ok(own < 1e-3, `${label}: mode ${own}`)
      t.ok(few > 0.05, `${label}: not the sample's`)
      const v = normals(evaluator.theta.length)
      const difference = relativeDifference(covarianceTimes(model, v), covarianceTimes(exact, v))
      // In float32 products lose eigenvalues below a ten-millionth of the largest.
      t.ok(difference < (precision === 'float64' ? 0.02 : 0.2), `${label}: covariance ${difference}`)
      t.ok(Math.abs(model.effectiveParameters / exact.effectiveParameters - 1) < 0.02, `${label}: gamma`)
      t.ok(Math.abs(model.evidence / exact.evidence - 1) < 0.01, `${label}: ${model.evidence} ${exact.evidence}`)
    })
  })
}

t.test('with no option set, also in words', async t => {
  const [rows, inputs] = [400, 12]
  const data = normals(rows * inputs)
  const y = Float64Array.from({ length: rows }, (_, n) => data[n * inputs] + 0.2 * random.normal())
  const posterior = await laplace(network([inputs, 420, 1], 'float32'), { likelihood: 'regression', threads: 1,
    memoryLimit: 2 ** 26 }).fit(tensor('float32', [rows, inputs], data), tensor('float64', [rows, 1], y))
  const { choice, structure } = posterior.summary()
  t.equal(structure, 'lowrank')
  t.match(choice?.reason,
    /Mode and covariance are those of all 400 rows.*prior, noise and scores come from \d+ of them/)
  const { mean, variance, novelty } = await posterior.predict(tensor('float32', [3, inputs], data.slice(0, 3 * inputs)))
  t.ok([...mean.data, ...variance.data, ...novelty!.data].every(Number.isFinite))
})
