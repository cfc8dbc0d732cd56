/** @file A regression of several outputs: each has error bars of its own, whatever the scales, subset and structure. */
import t from 'tap'
import { BATCH, type Graph, GraphBuilder, laplace, type LaplaceOptions, type LaplacePosterior,
  loadPosterior } from '../../../core/index.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer } from '../../support/random-network.js'

const [N, INPUTS, HIDDEN] = [60, 3, 8]
const draw = drawer(3)
const [x, xNew, w, b, v, noise] = [draw(N, INPUTS), draw(5, INPUTS), draw(HIDDEN, INPUTS), draw(HIDDEN),
  draw(2, HIDDEN), draw(N, 2)]

/** Two outputs, the second times `scale`, with the targets that it gives and noise of 0.3. */
function problem(scale: number): { graph: Graph, y: Tensor } {
  const scales = [1, scale]
  const builder = new GraphBuilder('float64')
  const hidden = builder.node('Tanh', [
    builder.node('Gemm', [builder.input('x', [BATCH, INPUTS]), builder.parameter('w', w), builder.parameter('b', b)], {
      transB: 1,
    }),
  ])
  const rows = Float64Array.from(v.data, (value, i) => value * scales[Math.floor(i / HIDDEN)])
  const graph = builder.build([
    builder.node('Gemm', [hidden, builder.parameter('v', float64([2, HIDDEN], rows)),
      builder.parameter('c', float64([2], [0.1, 0.2 * scale]))], { transB: 1 }),
  ])
  const y = Float64Array.from({ length: 2 * N }, (_, i) => {
    const [n, c] = [i >> 1, i % 2]
    let sum = 0.1 * (c + 1)
    for (let h = 0; h < HIDDEN; h++) {
      let z = b.data[h]
      for (let d = 0; d < INPUTS; d++) z += w.data[h * INPUTS + d] * x.data[n * INPUTS + d]
      sum += v.data[c * HIDDEN + h] * Math.tanh(z)
    }
    return scales[c] * (sum + 0.3 * noise.data[i])
  })
  return { graph, y: float64([N, 2], y) }
}

const KINDS: Partial<LaplaceOptions>[] = [{}, { subset: 'last_layer' }, { subset: 'last_layer', structure: 'full' }, {
  subset: 'last_layer',
  structure: 'kron',
}, { subset: 'last_layer', structure: 'diag' }, { subset: 'all', structure: 'kron' }, { subset: 'all',
  structure: 'full' }, { subset: 'all', structure: 'diag' }]
const SCALE = 1000

for (const options of KINDS) {
  const name = JSON.stringify(options)
  const fit = ({ graph, y }: ReturnType<typeof problem>): Promise<LaplacePosterior> =>
    laplace(graph, { likelihood: 'regression', ...options }).fit(x, y)
  t.test(`outputs on scales 1 and ${SCALE}: ${name}`, async t => {
    const [one, other] = [await fit(problem(1)), await fit(problem(SCALE))]
    const [a, z] = [await one.predict(xNew), await other.predict(xNew)]
    const sigma = other.sigmaNoise as Float64Array
    t.ok(sigma[0] > 0.1 && sigma[0] < 1, `noise ${sigma[0]}`)
    t.ok(sigma[1] > 0.1 * SCALE && sigma[1] < SCALE, `noise ${sigma[1]}`)
    for (let n = 0; n < 5; n++) {
      const sd = (variance: Tensor, c: number) => Math.sqrt(variance.data[2 * n + c])
      const [first, second] = [0, 1].map(c => sd(z.predictiveVariance!, c) / sd(a.predictiveVariance!, c))
      t.ok(first > 0.8 && first < 1.25, `the first output does not feel the second: ${first}`)
      t.ok(second > 0.6 * SCALE && second < 1.7 * SCALE, `the second is as wide as its scale: ${second}`)
      t.ok(Math.abs(z.predictiveVariance!.data[2 * n] - z.variance.data[2 * n] - sigma[0] ** 2) < 1e-12)
    }
    if (options.subset === 'last_layer') {
      const again = await other.tune({ tune: 'auto' }, { data: { x, y: problem(SCALE).y } })
      const refitted = await again.predict(xNew)
      t.ok(relativeDifference(refitted.predictiveVariance!.data, z.predictiveVariance!.data) < 1e-6,
        'tuned again: the noise of all weights too')
      const { delta = [] } = other.choice ?? {}
      t.equal(delta.length, 2, 'a prior an output')
    }
    const loaded = loadPosterior(other.save())
    t.same((await loaded.predict(xNew)).predictiveVariance!.data, z.predictiveVariance!.data, 'saved')
    t.same(loaded.sigmaNoise, sigma)
    t.same(loaded.training, other.training)
    for (const who of ['network', 'posterior'] as const) {
      const [before, after] = [one, other].map(({ training }) => training?.[who])
      if (before === undefined || after === undefined || 'accuracy' in before || 'accuracy' in after) continue
      const ratios = after.rmseByOutput!.map((error, c) => error / before.rmseByOutput![c])
      t.ok(ratios[0] > 0.7 && ratios[0] < 1.4 && ratios[1] > 0.7 * SCALE && ratios[1] < 1.4 * SCALE, `${who} ${ratios}`)
    }
    const [rows, y] = [(await other.forward(x)).data, problem(SCALE).y.data]
    const log = Array.from(y, (value, i) => {
      const s = sigma[i % 2]
      return -0.5 * ((Number(value) - Number(rows[i])) / s) ** 2 - Math.log(s * Math.sqrt(2 * Math.PI))
    }).reduce((sum, value) => sum + value, 0)
    t.ok(Math.abs(other.logLikelihood / log - 1) < 1e-9, 'the log likelihood has these noises')
  })
}

for (const options of KINDS.filter(({ subset }) => subset !== 'all')) {
  t.test(`noises that are given, on scales 1 and ${SCALE}: ${JSON.stringify(options)}`, async t => {
    const fit = (scale: number): Promise<LaplacePosterior> => {
      const { graph, y } = problem(scale)
      return laplace(graph, { likelihood: 'regression', sigmaNoise: [0.3, 0.3 * scale], ...options }).fit(x, y)
    }
    const [one, other] = [await fit(1), await fit(SCALE)]
    const [a, z] = [await one.predict(xNew), await other.predict(xNew)]
    t.match(other.choice, { sigmaNoise: [0.3, 0.3 * SCALE],
      explanation: /0\.300, 300 \(an output each\), as it was given/ })
    t.notMatch(other.choice?.explanation, /evidence|left out|leave-one-out/, 'nothing of a noise that was found')
    for (let n = 0; n < 5; n++) {
      const [first, second] = [0, 1].map(c => Math.sqrt(z.variance.data[2 * n + c] / a.variance.data[2 * n + c]))
      t.ok(first > 0.8 && first < 1.25, `the first output does not feel the second: ${first}`)
      t.ok(second > 0.6 * SCALE && second < 1.7 * SCALE, `the second is as unsure as its scale: ${second}`)
    }
    t.same((await loadPosterior(other.save()).predict(xNew)).variance.data, z.variance.data, 'saved')
  })
}

t.test('a last layer whose noise all weights find does not say that it is at its floor', async t => {
  const [HERE, UNITS] = [30, 60]
  const many = drawer(5)
  const rows = many(HERE, INPUTS)
  const builder = new GraphBuilder('float64')
  const hidden = builder.node('Tanh', [
    builder.node('Gemm', [builder.input('x', [BATCH, INPUTS]), builder.parameter('w', many(UNITS, INPUTS)),
      builder.parameter('b', many(UNITS))], { transB: 1 }),
  ])
  const graph = builder.build([
    builder.node('Gemm', [hidden, builder.parameter('v', many(1, UNITS)), builder.parameter('c', many(1))], {
      transB: 1,
    }),
  ])
  const posterior = await laplace(graph, { likelihood: 'regression', subset: 'last_layer' }).fit(rows, many(HERE, 1))
  t.ok(Number(posterior.sigmaNoise) > 0.1, `noise ${Number(posterior.sigmaNoise)}`)
  t.notMatch(posterior.notes.join(), /floor/)
})
