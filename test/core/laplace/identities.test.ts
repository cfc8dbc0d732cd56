/** @file The identities of the mathematics, on random networks and data, to 1e-12 (relative to the largest entry). */
import fc from 'fast-check'
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const RUNS = { numRuns: 15, seed: 20 }

/** Sizes of a small network, the number of examples, and a seed. */
const settings = fc.record({ inputs: fc.integer({ min: 1, max: 4 }), hidden: fc.integer({ min: 1, max: 5 }),
  outputs: fc.integer({ min: 2, max: 4 }), n: fc.integer({ min: 1, max: 9 }), seed: fc.nat(1e6) })

function labels(n: number, outputs: number): Tensor {
  return float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))
}

const fit = (graph: Graph, options: LaplaceOptions, x: Tensor, y: Tensor) =>
  laplace(graph, { priorPrecision: 1, ...options }).fit(x, y)
const close = (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-12): boolean =>
  relativeDifference(actual, expected) <= tolerance

t.test('one example: the kron diagonal is the GGN diagonal', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ inputs, hidden, outputs, seed }) => {
    const draw = drawer(seed)
    const graph = perceptron(draw, inputs, hidden, outputs, 'Tanh')
    const [x, y] = [draw(1, inputs), labels(1, outputs)]
    const kron = (await fit(graph, { likelihood: 'classification', subset: 'all', structure: 'kron' }, x, y)).H
      .toDense()
    const diag = (await fit(graph, { likelihood: 'classification', subset: 'all', structure: 'diag' }, x, y)).H
    return diag.structure === 'diag' && close(diag.diagonal.map((_, i) => kron[i * diag.size + i]), diag.diagonal)
  }), RUNS)
  t.pass()
})

t.test('the diagonal is that of the full curvature; the last layer is a block of all', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ inputs, hidden, outputs, n, seed }) => {
    const draw = drawer(seed)
    const graph = perceptron(draw, inputs, hidden, outputs, 'Sigmoid')
    const [x, y] = [draw(n, inputs), labels(n, outputs)]
    const full = (await fit(graph, { likelihood: 'classification', subset: 'all', structure: 'full' }, x, y)).H
      .toDense()
    const size = Math.sqrt(full.length)
    const diag = (await fit(graph, { likelihood: 'classification', subset: 'all', structure: 'diag' }, x, y)).H
    const last = (await fit(graph, { likelihood: 'classification', structure: 'full' }, x, y)).H.toDense()
    const own = Math.sqrt(last.length)
    const block = last.map((_, i) => full[(size - own + Math.floor(i / own)) * size + size - own + i % own])
    return diag.structure === 'diag' && close(diag.diagonal.map((_, i) => full[i * size + i]), diag.diagonal) &&
      close(block, last)
  }), RUNS)
  t.pass()
})

t.test('deep linear regression: kron is exact for each weight', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ inputs, hidden, outputs, n, seed }) => {
    const draw = drawer(seed)
    const graph = perceptron(draw, inputs, hidden, outputs, undefined)
    const [x, y] = [draw(n, inputs), draw(n, outputs)]
    const kron = (await fit(graph, { likelihood: 'regression', subset: 'all', structure: 'kron' }, x, y)).H.toDense()
    const full = (await fit(graph, { likelihood: 'regression', subset: 'all', structure: 'full' }, x, y)).H.toDense()
    const size = Math.sqrt(full.length)
    let offset = 0
    for (const length of [hidden * inputs, hidden, outputs * hidden, outputs]) {
      const pick = (matrix: Float64Array): Float64Array =>
        Float64Array.from({ length: length * length }, (_, i) =>
          matrix[(offset + Math.floor(i / length)) * size + offset + i % length])
      if (!close(pick(kron), pick(full))) return false
      offset += length
    }
    return true
  }), RUNS)
  t.pass()
})

t.test('a linear model with Gaussian likelihood is Bayesian linear regression in closed form', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ inputs, n, seed }) => {
    const draw = drawer(seed)
    const b = new GraphBuilder('float64')
    const graph = b.build([b.node('MatMul', [b.input('x', [BATCH, inputs]), b.parameter('w', draw(inputs, 1), true)])])
    const [x, y] = [draw(n, inputs), draw(n, 1)]
    const [delta, sigma] = [0.7, 0.4]
    const posterior = await fit(graph, { likelihood: 'regression', subset: 'all', structure: 'full',
      priorPrecision: delta, sigmaNoise: sigma }, x, y)
    const precision = new Float64Array(inputs * inputs)
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < inputs; j++) {
        for (let r = 0; r < n; r++) {
          precision[i * inputs + j] += x.data[r * inputs + i] * x.data[r * inputs + j] / sigma ** 2
        }
      }
      precision[i * inputs + i] += delta
    }
    // P Sigma = I.
    const { data: covariance } = posterior.posteriorCovariance()
    const product = Float64Array.from({ length: inputs * inputs }, (_, at) => {
      let sum = 0
      for (let k = 0; k < inputs; k++) {
        sum += precision[Math.floor(at / inputs) * inputs + k] * covariance[k * inputs + at % inputs]
      }
      return sum
    })
    const identity = product.map((_, at) => (at % (inputs + 1) === 0 ? 1 : 0))
    const { variance } = await posterior.predict(x)
    const expected = Float64Array.from({ length: n }, (_, r) => {
      let sum = 0
      for (let i = 0; i < inputs; i++) {
        for (let j = 0; j < inputs; j++) {
          sum += x.data[r * inputs + i] * covariance[i * inputs + j] *
            x.data[r * inputs + j]
        }
      }
      return sum
    })
    return close(product, identity, 1e-10) && close(variance.data, expected, 1e-10)
  }), RUNS)
  t.pass()
})

t.test('one logit is two logits (0, f)', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ inputs, n, seed }) => {
    const draw = drawer(seed)
    const weight = draw(1, inputs)
    const single = new GraphBuilder('float64')
    const one = single.build([
      single.node('Gemm', [single.input('x', [BATCH, inputs]), single.parameter('w', weight)], { transB: 1 }),
    ])
    const double = new GraphBuilder('float64')
    const f = double.node('Gemm', [double.input('x', [BATCH, inputs]), double.parameter('w', weight)], { transB: 1 })
    const two = double.build([double.node('Concat', [double.node('Mul', [f, double.scalar(0)]), f], { axis: 1 })])
    const x = draw(n, inputs)
    const y = Array.from({ length: n }, (_, i) => i % 2)
    const a = await fit(one, { likelihood: 'binary', subset: 'all', structure: 'full' }, x, float64([n, 1], y))
    const b = await fit(two, { likelihood: 'classification', subset: 'all', structure: 'full' }, x, float64([n], y))
    return close(a.H.toDense(), b.H.toDense(), 1e-10) &&
      Math.abs(a.logMarginalLikelihood() - b.logMarginalLikelihood()) < 1e-10
  }), RUNS)
  t.pass()
})

t.test('a weight that is used twice contributes twice, with its cross terms', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ hidden, n, seed }) => {
    const draw = drawer(seed)
    const weight = draw(hidden, hidden)
    const b = new GraphBuilder('float64')
    const w = b.parameter('w', weight)
    const graph = b.build([
      b.node('Gemm', [b.node('Tanh', [b.node('Gemm', [b.input('x', [BATCH, hidden]), w], { transB: 1 })]), w], {
        transB: 1,
      }),
    ])
    const [x, y] = [draw(n, hidden), draw(n, hidden)]
    const full = (await fit(graph, { likelihood: 'regression', subset: 'all', structure: 'full' }, x, y)).H.toDense()
    // J by central differences.
    const size = hidden * hidden
    const forward = async (theta: Float64Array): Promise<ArrayLike<number>> => {
      const changed = { ...graph, initializers: new Map(graph.initializers).set('w', float64([hidden, hidden], theta)) }
      return (await (await fit(changed, { likelihood: 'regression', subset: 'all', structure: 'diag' }, x, y)).forward(
        x,
      )).data
    }
    const columns: Float64Array[] = []
    for (let i = 0; i < size; i++) {
      const [up, down] = [Float64Array.from(weight.data), Float64Array.from(weight.data)]
      up[i] += 1e-5
      down[i] -= 1e-5
      const [a, c] = [await forward(up), await forward(down)]
      columns.push(Float64Array.from(a, (value, k) => (value - c[k]) / 2e-5))
    }
    const expected = Float64Array.from({ length: size * size },
      (_, at) => columns[Math.floor(at / size)].reduce((sum, value, k) => sum + value * columns[at % size][k], 0))
    return close(full, expected, 1e-6)
  }), { ...RUNS, numRuns: 5 })
  t.pass()
})
