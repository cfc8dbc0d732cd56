/**
 * @file The choice by held-out rows: its pieces against their definitions, and a simulated case that only held-out rows
 * can settle.
 */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace, type LaplaceOptions, loadPosterior, metrics } from '../../../core/index.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { chooseNoise } from '../../../core/tuning/validated-noise.js'
import { chooseValidated, DELTA_STEPS, steppedDelta } from '../../../core/tuning/validated.js'

/** x -> scale x of one input: a logit, or a mean. */
function line(slope: number, units = 1): Graph {
  const b = new GraphBuilder('float64')
  const hidden = b.node('Tanh', [
    b.node('Gemm', [b.input('x', [BATCH, 1]), b.parameter('v', tensor('float64', [units, 1], [0.3])),
      b.parameter('a', tensor('float64', [units], [0]))], { transB: 1 }),
  ])
  return b.build([
    b.node('Gemm', [hidden, b.parameter('w', tensor('float64', [1, units], [slope / 0.3])),
      b.parameter('b', tensor('float64', [1], [0]))], { transB: 1 }),
  ])
}

/** Labels that are 1 with probability sigmoid(slope x); x from -1 to 1. */
function draws(rows: number, slope: number, seed: number): { x: Tensor, y: Tensor } {
  const random = randomGenerator(seed)
  const x = Float64Array.from({ length: rows }, () => 2 * random.uniform() - 1)
  const y = x.map(value => (random.uniform() < 1 / (1 + Math.exp(-slope * value)) ? 1 : 0))
  return { x: float64([rows, 1], x), y: float64([rows, 1], y) }
}

const nll = async (graph: Graph, options: Partial<LaplaceOptions>, train: { x: Tensor, y: Tensor },
  test: { x: Tensor, y: Tensor }): Promise<number> => {
  const posterior = await laplace(graph, { likelihood: 'binary', ...options }).fit(train.x, train.y)
  return (await posterior.compare(test.x, test.y)).posterior.nll
}

t.test('the weight is its mean under likelihood and prior', t => {
  const labels = Float64Array.of(1, 1, 0, 1, 0)
  const f = Float64Array.of(2, -1, -0.5, 0.3, 1)
  const rows = { likelihood: likelihoodModel('binary'), examples: 5, outputs: 1, labels, f }
  const truth = Float64Array.of(0.7, 0.6, 0.4, 0.9, 0.5)
  const byTraining = { link: 'probit', varianceScale: 1, networkWeight: 0.8, linearWeight: 0.2 } as const
  const choice = chooseValidated(rows, [{ step: 0, link: 'probit', varianceScale: 1, truth }], byTraining)
  const network = f.map((value, i) => 1 / (1 + Math.exp(labels[i] === 1 ? -value : value)))
  let [total, weighted] = [0, 0]
  for (let i = 0; i <= 20; i++) {
    const w = i / 20
    const prior = Math.max(w, 1e-3) ** 0.2 * Math.max(1 - w, 1e-3) ** 0.8
    const density = prior * truth.reduce((product, p, n) => product * (w * p + (1 - w) * network[n]!), 1)
    total += density
    weighted += density * w
  }
  t.ok(Math.abs(choice.linearWeight - weighted / total) < 1e-12)
  t.ok(Math.abs(choice.linearWeight + choice.networkWeight - 1) < 1e-12)
  t.end()
})

t.test('without evidence the choice stays with the training rows; a step is bought by enough of it', t => {
  const rows = { likelihood: likelihoodModel('binary'), examples: 2, outputs: 1, labels: Float64Array.of(1, 0),
    f: Float64Array.of(0, 0) }
  const byTraining = { link: 'probit', varianceScale: 0.5, networkWeight: 0.5, linearWeight: 0.5 } as const
  const at = (step: number, varianceScale: number, p: number) =>
    ({ step, link: 'probit', varianceScale, truth: Float64Array.of(p, p) }) as const
  const even = DELTA_STEPS.flatMap(step => [0, 0.5, 1].map(scale => at(step, scale, 0.5)))
  t.match(chooseValidated(rows, even, byTraining), { step: 0, varianceScale: 0.5 })
  t.equal(chooseValidated(rows, [at(0, 0.5, 0.05), at(2, 0.5, 0.06)], byTraining).step, 0)
  t.equal(chooseValidated(rows, [at(0, 0.5, 0.001), at(1, 0.5, 0.999)], byTraining).step, 1)
  t.equal(steppedDelta(3, 2), 48)
  t.end()
})

t.test('noise that the training rows hide is found in held-out rows', t => {
  const random = randomGenerator(3)
  const examples = 400
  const f = new Float64Array(examples)
  const labels = f.map(() => 2 * random.normal())
  const rowsAt = () => ({ f, variance: f })
  const rows = { examples, outputs: 1, labels, f }
  const [found] = chooseNoise(rows, [{ delta: 1, sigma: 1 }], rowsAt).outputs
  t.ok(Math.abs(Math.log(found!.sigma / 2)) < 0.13, `sigma ${found!.sigma} for 2`)
  t.equal(chooseNoise(rows, [{ delta: 1, sigma: 1 }], rowsAt, 'none').outputs[0]!.sigma, 1)
  const few = { examples: 1, outputs: 1, labels: Float64Array.of(4), f: Float64Array.of(0) }
  const one = () => ({ f: Float64Array.of(0), variance: Float64Array.of(0) })
  t.ok(chooseNoise(few, [{ delta: 1, sigma: 1 }], one).outputs[0]!.sigma < 2, 'one row changes little')
  t.end()
})

t.test('held-out rows win where the network is far too sure, with both posteriors', async t => {
  // The network's logits are eight times too steep.
  const graph = line(8)
  const [train, heldOut, test] = [draws(40, 1, 1), draws(200, 1, 2), draws(2000, 1, 3)]
  for (const subset of ['auto', 'last_layer'] as const) {
    const plain = await nll(graph, { subset }, train, test)
    const validated = await nll(graph, { subset, validation: heldOut }, train, test)
    const posterior = await laplace(graph, { likelihood: 'binary', subset, validation: heldOut }).fit(train.x, train.y)
    const compared = await posterior.compare(test.x, test.y)
    t.ok(validated <= plain + 1e-3, `${subset}: ${validated} after ${plain}`)
    t.ok(validated < 0.75 * compared.network.nll, `${subset}: ${validated}, network ${compared.network.nll}`)
    t.equal(posterior.tuned, 'validated')
    t.match(posterior.choice?.heldOut, { rows: 200, temperature: Number })
    const loaded = loadPosterior(posterior.save())
    t.same(loaded.choice, posterior.choice, 'the file keeps the choice')
    const [a, b] = [await loaded.predict(test.x), await posterior.predict(test.x)]
    t.same(a.probabilities, b.probabilities)
  }
})

t.test("compare: the network's report is that of forward, and temperature scaling is a posterior's answer", async t => {
  const graph = line(8)
  const [train, heldOut, test] = [draws(40, 1, 1), draws(60, 1, 2), draws(300, 1, 3)]
  const posterior = await laplace(graph, { likelihood: 'binary', validation: heldOut, calibrate: 'temperature' })
    .fit(train.x, train.y)
  const compared = await posterior.compare(test.x, test.y)
  const f = await posterior.forward(test.x)
  const sigmoid = (scale: number): Tensor => float64(f.shape, f.data.map(v => 1 / (1 + Math.exp(-v / scale))))
  const own = metrics('binary', test.y, { probabilities: sigmoid(1) })
  for (const key of ['nll', 'ece', 'brier', 'accuracy'] as const) {
    t.ok(Math.abs(own[key]! - (compared.network as unknown as Record<string, number>)[key]!) < 1e-12, key)
  }
  t.ok(compared.temperatureValue! > 3, 'a network that is eight times too steep')
  const scaled = metrics('binary', test.y, { probabilities: sigmoid(compared.temperatureValue!) })
  t.ok(Math.abs(scaled['nll']! - compared.posterior.nll) < 1e-12)
  t.same(compared.temperature, compared.posterior)
  t.equal(compared.temperatureFrom, 'validation')
  const plain = await (await laplace(graph, { likelihood: 'binary' }).fit(train.x, train.y)).compare(test.x, test.y)
  t.match(plain, { temperatureFrom: 'half of these rows', temperature: { points: 150 }, rows: 300 })
})

t.test('a share of the rows is held out, the same ones however they come', async t => {
  const graph = line(4)
  const { x, y } = draws(100, 1, 5)
  const fit = laplace(graph, { likelihood: 'binary', validation: 0.2, seed: 4 })
  const whole = await fit.fit(x, y)
  t.equal(whole.examples, 80)
  t.equal(whole.choice?.heldOut?.rows, 20)
  t.same((await fit.fit(x, y)).choice, whole.choice, 'drawn by the seed')
  const part = (from: number, to: number) => ({ x: float64([to - from, 1], x.data.slice(from, to)),
    y: float64([to - from, 1], y.data.slice(from, to)) })
  const batches = await fit.fit([part(0, 30), part(30, 70), part(70, 100)])
  t.equal(batches.examples, 80)
  t.equal(batches.choice?.heldOut?.rows, 20)
})

t.test('held-out rows that cannot be used end in typed errors', async t => {
  const graph = line(4)
  const { x, y } = draws(30, 1, 5)
  const fit = (validation: unknown, more: object = {}) => async () =>
    laplace(graph, { likelihood: 'binary', validation, ...more } as LaplaceOptions).fit(x, y)
  for (const share of [0, 1, -0.1, 1.5, NaN]) await t.rejects(fit(share), { name: 'OptionError', code: 'BAD_OPTION' })
  await t.rejects(fit(0.1), { code: 'BAD_OPTION', message: /holds out 3 of them/ })
  await t.rejects(fit('x'), { code: 'BAD_OPTION' })
  const few = draws(3, 1, 1)
  await t.rejects(fit(few), { code: 'BAD_OPTION', message: /3 held-out rows/ })
  await t.rejects(fit({ x: float64([0, 1], []), y: float64([0, 1], []) }), { code: 'EMPTY_DATA' })
  await t.rejects(fit({ x: float64([6, 2], new Float64Array(12)), y: float64([6, 1], new Float64Array(6)) }), {
    code: 'SHAPE_MISMATCH',
    message: /^In the held-out rows/,
  })
  await t.rejects(fit({ x: float64([6, 1], new Float64Array(6)), y: float64([6, 1], [0, 1, 2, 0, 1, 1]) }), {
    code: 'BAD_LABELS',
    message: /^In the held-out rows/,
  })
  await t.rejects(fit(0.5, { tune: 'marglik' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(undefined, { tune: 'validated' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(undefined, { calibrate: 'temperature' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(0.5, { calibrate: 'temperature', likelihood: 'regression' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(0.5, { calibrate: 'temperature', subset: 'all', structure: 'kron' }), { code: 'BAD_COMBINATION' })
})
