/** @file The linear model by products with J and J' alone, against the one that is solved exactly. */
import t from 'tap'
import { jacobianTimes } from '../../../core/curvature/jacobian-products.js'
import { selectExamples } from '../../../core/curvature/jacobian.js'
import { splitVectors } from '../../../core/curvature/parameter-vectors.js'
import { chosenEngine } from '../../../core/engine/chosen-engine.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { symmetricEigen } from '../../../core/kernels/linear-algebra.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { eigenpairsOf, lowRankFactor, modeOnAllRows, solveAllRows } from '../../../core/linear-model/all-rows.js'
import { hessianRoots } from '../../../core/linear-model/hessian-roots.js'
import { eigenpairsOfProducts, orthonormalRows } from '../../../core/linear-model/leading-eigenpairs.js'
import { type LinearProblem, linearProblem } from '../../../core/linear-model/linear-problem.js'
import { tuneDelta } from '../../../core/linear-model/mackay.js'
import { tailSpectrum } from '../../../core/linear-model/tail-spectrum.js'
import { weightSpace } from '../../../core/linear-model/weight-space.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { createWorkerPool } from '../../../core/parallel/worker-pool.js'
import { createEvaluator } from '../../../core/programs/evaluator.js'
import { sharedRows } from '../../../core/sums/shared-rows.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { takeRows } from '../../../core/tensor/rows.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { covarianceTimes } from '../../support/linear-problems.js'

const random = randomGenerator(11)
const normals = (count: number): Float64Array => random.fillNormal(new Float64Array(count))
const [examples, inputs, hidden, outputs] = [600, 6, 12, 4]
const chosen = Int32Array.from({ length: examples / 4 }, (_, i) => 4 * i)

/** The exact problem, its quarter, and the products of all rows. */
async function problems(precision: 'float32' | 'float64') {
  const b = new GraphBuilder(precision)
  const x = b.input('x', [BATCH, inputs])
  const layer = (from: string, name: string, rows: number, columns: number): string =>
    b.node('Gemm', [from,
      b.parameter(`${name}.w`, tensor(precision, [rows, columns], normals(rows * columns).map(value =>
        value / Math.sqrt(columns)
      ))), b.parameter(`${name}.b`, tensor(precision, [rows], normals(rows)))], { transB: 1 })
  const network = prepareNetwork(
    b.build([layer(b.node('Tanh', [layer(x, 'one', hidden, inputs)]), 'two', outputs, hidden)]),
    'classification',
  )
  const evaluator = createEvaluator(network, 'all', chosenEngine({ name: 'typescript', threads: 1 }, precision, {}),
    precision)
  const rows = new Map([['x', tensor(precision, [examples, inputs], normals(examples * inputs))]])
  const { f, jacobian } = await evaluator.jacobian(rows)
  const labels = Float64Array.from({ length: examples }, (_, n) => {
    const own = f.subarray(n * outputs, (n + 1) * outputs)
    return random.uniform() < 0.7 ? own.indexOf(Math.max(...own)) : Math.floor(random.uniform() * outputs)
  })
  const problem = linearProblem(likelihoodModel('classification'), evaluator.slots, jacobian, Float64Array.from(f),
    labels, evaluator.theta)
  const sample = linearProblem(problem.likelihood, evaluator.slots, selectExamples(jacobian, chosen),
    takeRows(f, chosen, outputs), takeRows(labels, chosen, 1), evaluator.theta)
  const pool = createWorkerPool(evaluator, 'classification', {}, { engine: 'typescript', threads: 1,
    outputNoise: undefined })
  const products = await sharedRows(pool, evaluator, rows, examples, 0, {})
  return { problem, sample, products }
}

/** The weights of a sample, and those of the network, with their outputs. */
function startOf({ slots, jacobian, f, f0, deviation }: LinearProblem, w: Float64Array) {
  const moved = jacobianTimes(jacobian, splitVectors(slots, w, 1))
  return [{ w, f: f0.map((value, i) => value + moved[i]) }, { w: deviation, f }] as const
}

for (const precision of ['float64', 'float32'] as const) {
  t.test(`${precision}: prior, mode, evidence, eigenvalues from a quarter of the rows and eight vectors`, async t => {
    const { problem, sample, products } = await problems(precision)
    const exact = weightSpace(problem)
    const wanted = await tuneDelta(exact, {})
    const start = weightSpace(sample)
    const { delta } = await tuneDelta(start, {})
    t.ok(relativeDifference(start.weights(), exact.weights()) > 0.1, 'the sample is elsewhere')
    const found = await solveAllRows({ rows: problem, products }, { delta, given: false,
      start: startOf(problem, start.weights()), leading: eigenpairsOf(start.factor(1e-6), delta, 4, 8), passes: 2,
      quadrature: { probes: 40, steps: 12 }, seed: 1 }, {})
    t.ok(found.converged)
    t.ok(Math.abs(found.delta / wanted.delta - 1) < 0.03, `delta ${found.delta} ${wanted.delta}`)
    t.ok(Math.abs(found.effectiveParameters / wanted.effectiveParameters - 1) < 0.03,
      `gamma ${found.effectiveParameters} ${wanted.effectiveParameters}`)
    await exact.mode(found.delta)
    t.ok(relativeDifference(found.mode.w, exact.weights()) < 3e-4,
      `mode ${relativeDifference(found.mode.w, exact.weights())}`)
    t.ok(Math.abs(found.logDetRatio / exact.logDetRatio() - 1) < 0.03, 'evidence')
    const { values } = symmetricEigen(8, gramOf(exact.factor(0, 8).rows, 8))
    const own = lowRankFactor(found.leading, found.delta, 0)
    const shares = symmetricEigen(own.rank, gramOf(own.rows, own.rank)).values
    t.ok(relativeDifference(shares.slice(-5), values.slice(-5)) < 0.02, `eigenvalues ${shares} ${values}`)
    await products.dispose()
  })
}

t.test('with as many eigenpairs as H has, the posterior is that of all rows', async t => {
  const { problem, sample, products } = await problems('float64')
  const exact = weightSpace(problem)
  const wanted = await tuneDelta(exact, {})
  const start = weightSpace(sample)
  await start.mode(wanted.delta)
  const leading = eigenpairsOf(start.factor(0), wanted.delta, 4)
  const found = await solveAllRows({ rows: problem, products }, { delta: wanted.delta, given: true,
    start: startOf(problem, start.weights()), leading, passes: 2, quadrature: { probes: 1, steps: 2 }, seed: 1 }, {})
  t.ok(found.share > 0.999, `share ${found.share}`)
  t.ok(relativeDifference(found.mode.f, wanted.mode.f) < 1e-4, 'outputs')
  t.ok(Math.abs(found.logDetRatio - exact.logDetRatio()) < 1e-2 * exact.logDetRatio(), 'evidence')
  const [own, other] = [lowRankFactor(found.leading, wanted.delta, 1e-8), exact.factor(1e-8)]
  const size = problem.deviation.length
  const v = normals(size)
  t.ok(relativeDifference(covarianceTimes(own, v), covarianceTimes(other, v)) < 1e-3, 'covariance')
  const tight = await modeOnAllRows({ rows: problem, products }, { delta: wanted.delta, leading,
    start: startOf(problem, start.weights())[0], tolerance: 1e-8 }, {})
  t.ok(relativeDifference(tight.w, exact.weights()) < 1e-6, 'the mode as closely as is asked for')
})

t.test('the curvature of a sample of the rows gives the same mode', async t => {
  const { problem, sample, products } = await problems('float64')
  const exact = weightSpace(problem)
  const { delta } = await tuneDelta(exact, {})
  const start = weightSpace(sample)
  await start.mode(delta)
  // Products of the sample's rows, by their own Jacobian.
  const root = hessianRoots(sample, sample.f)
  const none = { times: () => Promise.resolve(new Float64Array(0)),
    transposedTimes: () => Promise.resolve(new Float64Array(0)) }
  t.ok(root.rank === outputs - 1)
  const whole = products.curvatureTimes
  const curved = { chosen,
    products: { ...none, curvatureTimes: (own: typeof root, vectors: Float64Array, count: number) => {
      const roots = new Float64Array(examples * outputs * own.rank)
      chosen.forEach((n, i) => {
        roots.set(own.roots.subarray(i * outputs * own.rank, (i + 1) * outputs * own.rank), n * outputs * own.rank)
      })
      return whole({ rank: own.rank, roots }, vectors, count)
    } } }
  const found = await modeOnAllRows({ rows: problem, products, curved }, { delta,
    start: startOf(problem, start.weights())[0], leading: eigenpairsOf(start.factor(0), delta, 4), tolerance: 1e-5 },
    {})
  t.ok(relativeDifference(found.w, exact.weights()) < 1e-4, `mode ${relativeDifference(found.w, exact.weights())}`)
})

t.test('eigenpairs of products, and the spectrum beside them, are those of the matrix', async t => {
  const size = 40
  const root = normals(size * size).map((value, i) => value * 0.8 ** (i % size))
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      for (let k = 0; k < size; k++) {
        matrix[i * size + j] += root[i * size + k] * root[j * size + k]
      }
    }
  }
  const times = (rows: Float64Array, count: number): Float64Array => {
    const result = new Float64Array(count * size)
    for (let k = 0; k < count; k++) {
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) result[k * size + i] += matrix[i * size + j] * rows[k * size + j]
      }
    }
    return result
  }
  const { values } = symmetricEigen(size, matrix)
  let basis = orthonormalRows(10, normals(10 * size))
  for (let round = 0; round < 12; round++) {
    const { values: found, vectors } = eigenpairsOfProducts(10, basis, times(basis, 10))
    basis = orthonormalRows(found.length, vectors)
  }
  const { values: found, vectors } = eigenpairsOfProducts(10, basis, times(basis, 10))
  t.ok(relativeDifference(found.slice(0, 5), values.slice(-5).reverse()) < 1e-6, 'eigenvalues')
  const { nodes, weights } = await tailSpectrum((v, count) => Promise.resolve(times(v, count)), size, vectors,
    randomGenerator(3), { probes: 200, steps: 20 })
  const f = (value: number): number => value / (value + 0.1)
  const beside = values.reduce((sum, value) => sum + f(Math.max(0, value)), 0) -
    found.reduce((sum, value) => sum + f(value), 0)
  const sum = nodes.reduce((total, node, i) => total + weights[i] * f(node), 0)
  t.ok(Math.abs(sum / beside - 1) < 0.05, `trace ${sum} ${beside}`)
})

function gramOf(rows: Float64Array, count: number): Float64Array {
  const size = rows.length / count
  return Float64Array.from({ length: count * count }, (_, i) => {
    let sum = 0
    for (let k = 0; k < size; k++) sum += rows[Math.floor(i / count) * size + k] * rows[i % count * size + k]
    return sum
  })
}
