/** @file Random combinations of options on random networks: each works, with finite numbers, or is refused by type. */
import fc from 'fast-check'
import t from 'tap'
import { LaplaceError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { CURVATURES, LINKS, PRIOR_STRUCTURES, ROW_LIKELIHOODS, STRUCTURES,
  TUNE_METHODS } from '../../../core/options/words.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks } from '../../support/random-network.js'

const REFUSALS = ['OptionError', 'NumericalError', 'DataError', 'GraphError', 'ResourceError', 'ShapeError']

const combination = fc.record({
  kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  likelihood: fc.constantFrom(...ROW_LIKELIHOODS),
  structure: fc.constantFrom(...STRUCTURES, 'gp' as const),
  subset: fc.constantFrom('all' as const, 'last_layer' as const, 'subnetwork' as const),
  curvature: fc.constantFrom(...CURVATURES),
  tune: fc.constantFrom(undefined, ...TUNE_METHODS),
  priorStructure: fc.constantFrom(undefined, ...PRIOR_STRUCTURES),
  priorPrecision: fc.constantFrom(undefined, 1, 100),
  sigmaNoise: fc.constantFrom(undefined, undefined, 0.5, 'full' as const),
  rank: fc.constantFrom(undefined, 2, 0.9),
  nystroem: fc.constantFrom(undefined, undefined, true),
  independentOutputs: fc.constantFrom(undefined, undefined, true),
  link: fc.constantFrom(undefined, ...LINKS),
  seed: fc.nat(1000),
})

function labels(likelihood: LaplaceOptions['likelihood'], n: number, outputs: number, seed: number): Tensor {
  const width = likelihood === 'classification' ? 1 : likelihood === 'heteroscedastic' ? outputs / 2 : outputs
  const { data } = drawer(seed)(n, Math.max(1, Math.floor(width)))
  const number = likelihood === 'regression' || likelihood === 'heteroscedastic'
  const values = Float64Array.from(data,
    (value, i) => number ? value : likelihood === 'classification' ? i % outputs : Number(value > 0))
  return float64(likelihood === 'classification' ? [n] : [n, values.length / n], values)
}

t.test('every combination works or is refused, and a file gives the same predictions', async t => {
  let worked = 0
  await fc.assert(fc.asyncProperty(combination, async ({ kind, link, seed, ...given }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const y = labels(given.likelihood, 5, outputs, seed)
    const options = Object.fromEntries(
      Object.entries({ ...given, seed,
        ...(given.subset === 'subnetwork' ? { subnetwork: { count: 7, by: 'random', seed } } : {}),
        ...(given.tune === 'grid' || given.tune === 'validated' ? { validation: { x, y } } : {}) }).filter((
          [, value],
        ) => value !== undefined),
    ) as unknown as LaplaceOptions
    try {
      const posterior = await laplace(graph, options).fit(x, y)
      const [own, again] = await Promise.all(
        [posterior, loadPosterior(posterior.save())].map(each =>
          each.predict(x, { link: seed % 3 === 0 ? link : undefined, uncertainty: false, seed: 1 })
        ),
      )
      worked++
      return own.mean.data.every(Number.isFinite) && own.variance.data.every(value => value >= 0)
        && relativeDifference(again.variance.data, own.variance.data) < 1e-9
    } catch (error) {
      // What is thrown is typed, with a sentence that says what to do; never a fault of the library's own.
      if (!(error instanceof LaplaceError) || !REFUSALS.includes(error.name)) throw error
      return error.message.length > 40
    }
  }), { numRuns: 400, seed: 11 })
  t.ok(worked > 5, `${worked} of 400 worked`)
})
