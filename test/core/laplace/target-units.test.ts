/** @file A regression in other units of its targets, and with another zero of them, is the same regression. */
import t from 'tap'
import { BATCH, type Graph, GraphBuilder, laplace, type LaplaceOptions, type LaplacePosterior,
  loadPosterior } from '../../../core/index.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer } from '../../support/random-network.js'

const [N, INPUTS, HIDDEN] = [40, 3, 7]
const draw = drawer(8)
const [x, xNew, w, b, v, c, y] = [draw(N, INPUTS), draw(5, INPUTS), draw(HIDDEN, INPUTS), draw(HIDDEN), draw(2, HIDDEN),
  draw(2), draw(N, 2)]

/** What the numbers of an output are multiplied by, and what is added to them. */
interface Units {
  readonly scale: readonly number[]
  readonly shift: readonly number[]
}

const inUnits = (values: ArrayLike<number>, { scale, shift }: Units): Float64Array =>
  Float64Array.from(values, (value, i) => scale[i % 2] * value + shift[i % 2])

/** The network whose outputs are in these units. */
function network(units: Units): Graph {
  const builder = new GraphBuilder('float64')
  const hidden = builder.node('Tanh', [
    builder.node('Gemm', [builder.input('x', [BATCH, INPUTS]), builder.parameter('w', w), builder.parameter('b', b)], {
      transB: 1,
    }),
  ])
  const rows = Float64Array.from(v.data, (value, i) => value * units.scale[Math.floor(i / HIDDEN)])
  return builder.build([
    builder.node('Gemm', [hidden, builder.parameter('v', float64([2, HIDDEN], rows)),
      builder.parameter('c', float64([2], inUnits(Array.from(c.data, Number), units)))], { transB: 1 }),
  ])
}

const fit = (units: Units, targets: ArrayLike<number>, options: Partial<LaplaceOptions>): Promise<LaplacePosterior> =>
  laplace(network(units), { likelihood: 'regression', ...options }).fit(x, float64([N, 2], inUnits(targets, units)))

const ONE: Units = { scale: [1, 1], shift: [0, 0] }
const OTHERS: Record<string, Units> = {
  'units of a thousandth': { scale: [1000, 1000], shift: [0, 0] },
  'outputs on scales 1 and 1000': { scale: [1, 1000], shift: [0, 0] },
  'another zero': { scale: [1, 1], shift: [300, -20] },
  'all of it': { scale: [0.02, 5000], shift: [7, 9e5] },
}

for (const [name, units] of Object.entries(OTHERS)) {
  t.test(name, async t => {
    const targets = Array.from(y.data, Number)
    const [one, other] = [await fit(ONE, targets, {}), await fit(units, targets, {})]
    const close = (found: Tensor | undefined, expected: Tensor | undefined, powers: number, label: string): void => {
      if (found === undefined || expected === undefined) {
        t.fail(label)
        return
      }
      const own = Float64Array.from(found.data, (value, i) =>
        powers === 1 ? (value - units.shift[i % 2]) / units.scale[i % 2] : value / units.scale[i % 2] ** 2)
      t.ok(relativeDifference(own, Float64Array.from(expected.data, Number)) < 1e-6, label)
    }
    const [a, z] = [await one.predict(xNew, { level: 0.9 }), await other.predict(xNew, { level: 0.9 })]
    for (const part of ['mean', 'lower', 'upper'] as const) {
      close(z[part], a[part], 1, part)
    }
    for (const part of ['variance', 'predictiveVariance'] as const) {
      close(z[part], a[part], 2, part)
    }
    t.ok(relativeDifference(z.novelty!.data, a.novelty!.data) < 1e-9, 'novelty')
    const logScales = N * units.scale.reduce((sum, value) =>
      sum + Math.log(value), 0)
    for (const evidence of ['logMarginalLikelihood', 'logEvidenceAtMode', 'logLikelihood'] as const) {
      const [before, after] = [one, other].map(posterior => Number(posterior.summary()[evidence]))
      t.ok(Math.abs(after + logScales - before) < 1e-5 * Math.abs(before), `${evidence}: ${after} ${before}`)
    }
    t.same((await loadPosterior(other.save()).predict(xNew)).variance.data, z.variance.data, 'saved')
    const joint = await other.functionalVariance(xNew, { joint: true })
    t.ok(
      relativeDifference(Float64Array.from({ length: 10 }, (_, i) => joint.covariance.data[11 * i]), z.variance.data) <
        1e-9,
      'the joint covariance has these variances',
    )
    const [first, validated] = await Promise.all(
      [ONE, units].map(own =>
        fit(own, targets, { validation: { x: xNew, y: float64([5, 2], inUnits(targets.slice(0, 10), own)) } })
      ),
    )
    close((await validated.predict(xNew)).variance, (await first.predict(xNew)).variance, 2, 'with held-out rows')
  })
}

t.test('a prior that is given is that of the weights as they are', async t => {
  const posterior = await fit(OTHERS['all of it'], Array.from(y.data, Number), { priorPrecision: 2, subset: 'all',
    structure: 'lowrank' })
  const theta = [w, b].flatMap(({ data }) => Array.from(data, Number))
  const head = network(OTHERS['all of it']).initializers
  const all = [...theta, ...['v', 'c'].flatMap(name => Array.from(head.get(name)?.data ?? [], Number))]
  const scatter = 2 * 2 * all.reduce((sum, value) => sum + value * value, 0)
  t.ok(Math.abs(posterior.scatter / scatter - 1) < 1e-12, `${posterior.scatter} ${scatter}`)
})

t.test('targets that are all the same', async t => {
  for (const value of [0, 1e-3, 12345.678]) {
    const posterior = await fit(ONE, new Float64Array(2 * N).fill(value), {})
    const { mean, variance } = await posterior.predict(xNew)
    t.ok([...mean.data, ...variance.data].every(Number.isFinite), `${value}`)
  }
})

t.test('what another prior would change in silence is refused', async t => {
  const posterior = await fit(ONE, Array.from(y.data, Number), {})
  t.throws(() => posterior.withPrior({ priorPrecision: 5 }), { code: 'BAD_COMBINATION', message: /of the 2 outputs/ })
  t.throws(() => posterior.logMarginalLikelihood({ priorPrecision: 5 }), { code: 'BAD_COMBINATION' })
  t.throws(() => posterior.withPrior({ priorMean: 0.5 }), { code: 'BAD_COMBINATION', message: /fit again/ })
})
