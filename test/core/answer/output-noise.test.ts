/** @file Noises that are given one an output. */
import t from 'tap'
import { BATCH, GraphBuilder, laplace, type LaplaceOptions, loadPosterior,
  mergePartialFits } from '../../../core/index.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const [INPUTS, HIDDEN, OUTPUTS, N] = [3, 4, 3, 40]
const draw = drawer(8)
const graph = perceptron(draw, INPUTS, HIDDEN, OUTPUTS, 'Tanh')
const [x, xNew, y] = [draw(N, INPUTS), draw(7, INPUTS), draw(N, OUTPUTS)]

const KINDS: Partial<LaplaceOptions>[] = [
  ...(['last_layer', 'all'] as const).flatMap(subset =>
    (['kron', 'full', 'diag'] as const).map(structure => ({ subset, structure, priorPrecision: 0.7 }))
  ),
  { subset: 'last_layer', structure: 'kron', tune: 'linearized' },
  { subset: 'last_layer', structure: 'full', tune: 'linearized', priorStructure: 'layerwise' },
  { subset: 'last_layer', structure: 'diag', tune: 'marglik' },
  { subset: 'last_layer', structure: 'kron' },
  { subset: 'all', structure: 'full', tune: 'marglik' },
  { structure: 'lowrank' },
]

const fit = (sigmaNoise: number | readonly number[], options: Partial<LaplaceOptions>, given = { graph, y }) =>
  laplace(given.graph, { likelihood: 'regression', sigmaNoise, ...options }).fit(x, given.y)

/** A network whose output c is k_c times that of another. */
function scaled(k: readonly number[]): { graph: typeof graph, y: Tensor } {
  const initializers = new Map(graph.initializers)
  for (const name of ['2.weight', '2.bias']) {
    const { shape, data } = initializers.get(name)!
    const width = data.length / OUTPUTS
    initializers.set(name, float64(shape, Array.from(data, (value, i) => value * k[Math.floor(i / width)])))
  }
  return { graph: { ...graph, initializers },
    y: float64(y.shape, Array.from(y.data, (value, i) => value * k[i % OUTPUTS])) }
}

const close = (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): boolean =>
  relativeDifference(actual, expected) < tolerance

for (const options of KINDS) {
  const name = JSON.stringify(options)
  t.test(`equal noises are one noise: ${name}`, async t => {
    const sigma = 0.37
    const one = await fit(sigma, options)
    const each = await fit([sigma, sigma, sigma], options)
    const [a, b] = [await one.predict(xNew), await each.predict(xNew)]
    t.ok(close(b.mean.data, a.mean.data, 1e-12))
    // Iterations of tuning stop at other last digits.
    const tolerance = options.priorPrecision === undefined ? 1e-7 : 1e-12
    t.ok(close(b.variance.data, a.variance.data, tolerance), `${relativeDifference(b.variance.data, a.variance.data)}`)
    t.ok(close(b.predictiveVariance!.data, a.predictiveVariance!.data, tolerance))
    t.ok(
      close([each.logLikelihood, each.logMarginalLikelihood()], [one.logLikelihood, one.logMarginalLikelihood()],
        tolerance),
    )
    t.equal(each.sigmaNoise, sigma)
  })

  t.test(`saved, and loaded with its noises: ${name}`, async t => {
    const posterior = await fit([0.1, 1, 30], options)
    t.same(posterior.sigmaNoise, Float64Array.of(0.1, 1, 30))
    const again = loadPosterior(posterior.save())
    t.same(again.sigmaNoise, posterior.sigmaNoise)
    const [a, b] = [await posterior.predict(xNew), await again.predict(xNew)]
    t.same(b.predictiveVariance!.data, a.predictiveVariance!.data)
    t.same(Array.from(a.aleatoric!.data.slice(0, 3)), [0.1, 1, 30].map(s => s * s))
    t.same(a.epistemic!.data, a.variance.data)
    t.equal(again.logMarginalLikelihood(), posterior.logMarginalLikelihood())
  })
}

t.test('scale: k times the targets, the weights and the noise of an output give k times its error bars', async t => {
  const k = [1, 1000, 0.02]
  const sigma = [0.3, 0.5, 0.2]
  const large = scaled(k)
  // Prior precisions of weights scale with 1 / k^2: one for each parameter of the last layer.
  const width = HIDDEN + 1
  const precision = Array.from({ length: OUTPUTS * width },
    (_, i) => 0.8 / k[i < OUTPUTS * HIDDEN ? Math.floor(i / HIDDEN) : i - OUTPUTS * HIDDEN] ** 2)
  const times = (values: Tensor): number[] => Array.from(values.data, (value, i) => value * k[i % OUTPUTS] ** 2)
  for (const structure of ['full', 'diag'] as const) {
    const options = { subset: 'last_layer', structure } as const
    const own = await fit(sigma, { ...options, priorPrecision: new Array<number>(precision.length).fill(0.8) })
    const other = await fit(sigma.map((s, c) => s * k[c]), { ...options, priorPrecision: precision }, large)
    const [a, b] = [await own.predict(xNew), await other.predict(xNew)]
    for (const key of ['variance', 'predictiveVariance', 'aleatoric', 'epistemic'] as const) {
      const expected = times(a[key]!)
      t.ok(b[key]!.data.every((value, i) => Math.abs(value / expected[i] - 1) < 1e-10), `${structure} ${key}`)
    }
    const jump = N * k.reduce((sum, value) => sum + Math.log(value), 0)
    t.ok(Math.abs(other.logLikelihood - own.logLikelihood + jump) < 1e-8, 'densities of scaled targets')
  }
})

t.test('scale: the linear model gives each output its own prior, noise and error bars', async t => {
  const k = [1, 1000, 0.02]
  const weight = draw(OUTPUTS, INPUTS)
  const layer = (scale: readonly number[]) => {
    const b = new GraphBuilder('float64')
    const rows = float64([OUTPUTS, INPUTS], Array.from(weight.data, (w, i) => w * scale[Math.floor(i / INPUTS)]))
    return b.build([b.node('Gemm', [b.input('x', [BATCH, INPUTS]), b.parameter('w', rows)], { transB: 1 })])
  }
  // Targets that depend on the inputs: of others the prior precision would run to its bound, which has no scale.
  const labels = (scale: readonly number[]): Tensor =>
    float64([N, OUTPUTS], Array.from(y.data, (noise, i) => {
      const [n, c] = [Math.floor(i / OUTPUTS), i % OUTPUTS]
      return scale[c] * (0.3 * noise + x.data[n * INPUTS + c] - weight.data[c] * x.data[n * INPUTS])
    }))
  const sigma = [0.3, 0.5, 0.2]
  for (const given of [sigma, undefined]) {
    const fitted = async (scale: readonly number[]) =>
      (await laplace(layer(scale), { likelihood: 'regression', structure: 'lowrank', sigmaNoise: given?.map((s, c) =>
        s * scale[c]
      ) }).fit(x, labels(scale))).predict(xNew, { level: 0.9 })
    const [a, b] = [await fitted([1, 1, 1]), await fitted(k)]
    for (const key of ['variance', 'aleatoric', 'epistemic', 'predictiveVariance'] as const) {
      t.ok(b[key]!.data.every((value, i) => Math.abs(value / (a[key]!.data[i] * k[i % OUTPUTS] ** 2) - 1) < 1e-6), key)
    }
    for (const key of ['mean', 'lower', 'upper'] as const) {
      t.ok(close(Array.from(b[key]!.data, (value, i) => value / k[i % OUTPUTS]), a[key]!.data, 1e-6), key)
    }
  }
})

t.test('H holds the noises: the last layer of a regression in closed form', async t => {
  const sigma = [0.5, 2, 10]
  const posterior = await fit(sigma, { subset: 'last_layer', structure: 'full', priorPrecision: 1 })
  const plain = await fit(1, { subset: 'last_layer', structure: 'full', priorPrecision: 1 })
  const [h, unit] = [posterior.H.toDense(), plain.H.toDense()]
  const size = Math.sqrt(h.length)
  const output = (i: number): number => (i < OUTPUTS * HIDDEN ? Math.floor(i / HIDDEN) : i - OUTPUTS * HIDDEN)
  t.ok(close(h, unit.map((value, at) => value / sigma[output(at % size)] ** 2), 1e-12))
  let loss = 0
  const f = await posterior.forward(x)
  y.data.forEach((value, i) => {
    loss += ((f.data[i] - value) / sigma[i % OUTPUTS]) ** 2 / 2 +
      Math.log(sigma[i % OUTPUTS] * Math.sqrt(2 * Math.PI))
  })
  t.ok(Math.abs(posterior.logLikelihood / -loss - 1) < 1e-12)
})

t.test('partial fits with noises add up to the whole, and to no other noises', async t => {
  const options = { likelihood: 'regression', subset: 'all', structure: 'kron', priorPrecision: 1 } as const
  const fits = laplace(graph, { ...options, sigmaNoise: [0.5, 1, 2] })
  const half = (values: Tensor, from: number): Tensor => {
    const width = values.data.length / N
    return float64([N / 2, width], values.data.slice(from * width, (from + N / 2) * width))
  }
  const parts = [await fits.fitPartial(half(x, 0), half(y, 0)), await fits.fitPartial(half(x, N / 2), half(y, N / 2))]
  const merged = await fits.fitMerged(mergePartialFits(parts[0], parts[1]))
  const whole = await fits.fit(x, y)
  t.ok(close((await merged.predict(xNew)).variance.data, (await whole.predict(xNew)).variance.data, 1e-12))
  const others = laplace(graph, { ...options, sigmaNoise: [0.5, 1, 3] })
  await t.rejects(others.fitMerged(parts[0]), { code: 'DIGEST_MISMATCH' })
})

t.test('noises that cannot be used are refused', async t => {
  const options = { likelihood: 'regression', priorPrecision: 1, subset: 'last_layer' } as const
  t.throws(() => laplace(graph, { ...options, sigmaNoise: [1, 2] }), { code: 'BAD_OPTION' })
  t.throws(() => laplace(graph, { ...options, sigmaNoise: [1, 2, -1] }), { code: 'BAD_OPTION' })
  t.throws(() => laplace(graph, { ...options, sigmaNoise: [1, 2, Infinity] }), { code: 'BAD_OPTION' })
  t.throws(() => laplace(graph, { ...options, sigmaNoise: [] }), { code: 'BAD_OPTION' })
  t.throws(() => laplace(graph, { ...options, likelihood: 'classification', sigmaNoise: [1, 2, 3] }), {
    code: 'BAD_COMBINATION',
  })
  const posterior = await fit([1, 2, 3], options)
  t.throws(() => posterior.withPrior({ sigmaNoise: 2 }), { code: 'BAD_COMBINATION' })
  t.throws(() => posterior.logMarginalLikelihood({ sigmaNoise: 2 }), { code: 'BAD_COMBINATION' })
  await t.rejects(posterior.tune({ tune: 'marglik', sigmaNoise: true }), { code: 'BAD_COMBINATION' })
  t.same((await fit([2], options)).sigmaNoise, 2, 'one number in a list')
})

t.test('the noises that a last layer finds for itself are those of each output', async t => {
  const k = [1, 1000, 0.02]
  const fitted = async (scale: readonly number[]) => {
    const { graph: network, y: targets } = scaled(scale)
    const posterior = await laplace(network, { likelihood: 'regression', subset: 'last_layer' }).fit(x, targets)
    return posterior.sigmaNoise as Float64Array
  }
  const [a, b] = [await fitted([1, 1, 1]), await fitted(k)]
  // The prior is common to the outputs, so that the residuals change a little with the scales.
  t.ok(b.every((sigma, c) => Math.abs(sigma / (a[c] * k[c]) - 1) < 0.3), `${b} ${a}`)
})
