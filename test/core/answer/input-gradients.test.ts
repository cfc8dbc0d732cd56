/** @file Gradients with respect to the input against central differences of predictions, on random networks. */
import fc from 'fast-check'
import t from 'tap'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks } from '../../support/random-network.js'

const LIKELIHOODS = ['classification', 'multilabel', 'regression'] as const

function labelsFor(likelihood: (typeof LIKELIHOODS)[number], n: number, outputs: number): Tensor {
  return likelihood === 'classification'
    ? float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))
    : float64([n, outputs], Array.from({ length: n * outputs }, (_, i) => i % 2))
}

const settings = fc.record({ kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  likelihood: fc.constantFrom(...LIKELIHOODS), seed: fc.nat(1000),
  subset: fc.constantFrom('all' as const, 'last_layer' as const, 'subnetwork' as const),
  structure: fc.constantFrom('full' as const, 'diag' as const, 'functional' as const) })

const STEP = 1e-5

t.test('of mean, variance and probabilities, for every subset and structure', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ kind, likelihood, seed, subset, structure }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const options: LaplaceOptions = { likelihood, subset, structure, priorPrecision: 1,
      subnetwork: subset === 'subnetwork' ? { count: 8, by: 'random', seed } : undefined }
    const posterior = await laplace(graph, options).fit(x, labelsFor(likelihood, 5, outputs))
    const width = x.data.length / 5
    const gradients = await posterior.inputGradients(x)
    const at = async (change: number, column: number) =>
      posterior.predict({ ...x, data: Float64Array.from(x.data, (v, i) => (i % width === column ? v + change : v)) }, {
        link: 'probit',
        uncertainty: false,
      })
    const column = seed % width
    const [up, down] = [await at(STEP, column), await at(-STEP, column)]
    const parts = likelihood === 'regression' ? ['mean', 'variance'] as const : ['variance', 'probabilities'] as const
    return parts.every(part => {
      const slope = Array.from(up[part]!.data, (value, i) => (value - down[part]!.data[i]) / (2 * STEP))
      const own = Array.from({ length: 5 * outputs }, (_, i) => gradients[part]!.data[i * width + column])
      const size = Math.max(...slope.map(Math.abs), 1e-3)
      return relativeDifference(own, slope) < 1e-5 || own.every((value, i) => Math.abs(value - slope[i]) < 1e-6 * size)
    })
  }), { numRuns: 40, seed: 6 })
  t.pass()
})

t.test('answers that mix the network with a linear model are refused', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(1))
  const posterior = await laplace(graph, { likelihood: 'classification' }).fit(x, labelsFor('classification', 5, 3))
  await t.rejects(posterior.inputGradients(x), { code: 'BAD_COMBINATION', message: /marglik/ })
})
