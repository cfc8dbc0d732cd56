/** @file A prior precision that is given is that of the posterior, by the linear model over all weights too. */
import t from 'tap'
import { laplace } from '../../../core/index.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const draw = drawer(4)
const [x, xNew] = [draw(40, 3), draw(7, 3)]

for (const outputs of [1, 2]) {
  const graph = perceptron(draw, 3, 6, outputs, 'Tanh')
  const y = draw(40, outputs)
  const fit = (options: Partial<LaplaceOptions>) =>
    laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'lowrank', ...options }).fit(x, y)

  t.test(`${outputs} outputs: prior and noise given are those of the full posterior`, async t => {
    for (const priorPrecision of [0.05, 1.3]) {
      const given = { priorPrecision, sigmaNoise: 0.4 }
      const [own, full] = [await fit({ ...given, tune: 'none' }), await fit({ ...given, structure: 'full' })]
      t.equal(own.priorPrecision, priorPrecision)
      t.same(own.sigmaNoise, full.sigmaNoise)
      // Several outputs have models of their own, with weights of their own.
      if (outputs > 1) continue
      const [mine, exact] = [await own.predict(xNew), await full.predict(xNew)]
      // Directions that the data tell less than a hundredth of the prior are left out.
      t.ok(relativeDifference(mine.variance.data, exact.variance.data) < 0.01, `variance at ${priorPrecision}`)
    }
  })

  t.test(`${outputs} outputs: the noise is tuned beside a given prior, and the prior beside a given noise`, async t => {
    const prior = await fit({ priorPrecision: 2 })
    t.equal(prior.priorPrecision, 2)
    const around = [0.97, 1, 1.03].map(factor => {
      const sigmaNoise = typeof prior.sigmaNoise === 'number'
        ? factor * prior.sigmaNoise
        : prior.sigmaNoise.map(value => factor * value)
      return fit({ priorPrecision: 2, sigmaNoise, tune: 'none' })
    })
    const [less, own, more] = (await Promise.all(around)).map(posterior => posterior.logEvidenceAtMode)
    t.ok(own !== undefined && less !== undefined && more !== undefined && own > less && own > more,
      `${less} < ${own} > ${more}`)
    const noise = await fit({ sigmaNoise: 0.4 })
    t.not(noise.priorPrecision, 2)
  })

  t.test(`${outputs} outputs: a way of tuning goes before a prior that is given`, async t => {
    for (const structure of ['lowrank', 'kron'] as const) {
      const [one, two] = [await fit({ structure, tune: 'auto' }),
        await fit({ structure, tune: 'auto', priorPrecision: 3 })]
      t.same(two.priorPrecision, one.priorPrecision, structure)
    }
    const last = { subset: 'last_layer', structure: 'kron' } as const
    const [free, given] = [await fit(last), await fit({ ...last, priorPrecision: 3 })]
    t.equal(given.priorPrecision, 3)
    t.ok(free.examples === given.examples)
  })
}

t.test("the linear model's own ways of tuning are its only ones", t => {
  const of = (tune: 'marglik' | 'grid', rank?: number) => () =>
    laplace(perceptron(draw, 3, 6, 1, 'Tanh'), { likelihood: 'regression', subset: 'all', structure: 'lowrank', tune,
      ...(rank === undefined ? {} : { rank }), ...(tune === 'grid' ? { validation: { x, y: draw(40, 1) } } : {}) })
  for (const tune of ['marglik', 'grid'] as const) {
    t.throws(of(tune), { code: 'BAD_COMBINATION', message: /'auto'.*'validated'.*with a rank/ })
    t.doesNotThrow(of(tune, 3))
  }
  t.end()
})
