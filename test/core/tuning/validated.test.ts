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

/** log of the mean over w of prior times likelihood, and the mean of w, written out. */
function overWeights(network: number[], truth: number[], defaultWeight: number): { score: number, weight: number } {
  let [total, weighted] = [0, 0]
  for (let i = 0; i <= 10; i++) {
    const w = i / 10
    const prior = Math.max(w, 1e-3) ** (4 * defaultWeight) * Math.max(1 - w, 1e-3) ** (4 * (1 - defaultWeight))
    const density = prior * truth.reduce((product, p, n) => product * (w * p + (1 - w) * network[n]!), 1)
    total += density
    weighted += density * w
  }
  return { score: Math.log(total / 11), weight: weighted / total }
}

t.test('the choice is the best of temperatures and candidates by likelihood and costs, written out', async t => {
  const random = randomGenerator(4)
  const examples = 90
  const labels = Float64Array.from({ length: examples }, () => Number(random.uniform() < 0.5))
  // Right in three rows of four, and ten times too sure.
  const f = labels.map(label => 10 * (2 * label - 1) * (random.uniform() < 0.75 ? 1 : -1))
  const rows = { likelihood: likelihoodModel('binary'), examples, outputs: 1, labels, f }
  const byTraining = { link: 'probit', varianceScale: 0.5, networkWeight: 0.7, linearWeight: 0.3 } as const
  const candidates = [[0, 0.5], [0, 1], [-1, 0.5], [2, 0]].map(([step = 0, varianceScale = 0]) =>
    ({ step, link: 'probit', varianceScale, truth: labels.map(() => 0.2 + 0.3 * random.uniform()) }) as const
  )
  const choice = await chooseValidated(rows, candidates, byTraining)
  const networkAt = (temperature: number): number[] =>
    Array.from(f, (value, i) => 1 / (1 + Math.exp((labels[i] === 1 ? -1 : 1) * value / temperature)))
  const all = candidates.flatMap(({ step, varianceScale, truth }) =>
    [0.5, Math.SQRT1_2, 1, Math.SQRT2, 2, 2 * Math.SQRT2, 4, 4 * Math.SQRT2, 8, 8 * Math.SQRT2, 16, 16 * Math.SQRT2, 32]
      .map(temperature => {
        const { score, weight } = overWeights(networkAt(temperature), [...truth], 0.3)
        const cost = step ** 2 + Math.log(temperature) ** 2 + 4 * Math.abs(varianceScale - 0.5)
        return { step, varianceScale, temperature, weight, truth, score: score - cost }
      })
  )
  const best = all.reduce((most, one) => (one.score > most.score ? one : most))
  t.ok(best.temperature > 2)
  t.match(choice, { step: best.step, varianceScale: best.varianceScale })
  t.ok(Math.abs(choice.networkTemperature! - best.temperature) < 1e-12)
  t.ok(Math.abs(choice.linearWeight - best.weight) < 1e-12)
  t.ok(Math.abs(choice.linearWeight + choice.networkWeight - 1) < 1e-12)
  const logs = (network: number[], truth: Float64Array, w: number): number[] =>
    Array.from(truth, (p, n) => Math.log((1 - w) * network[n]! + w * p))
  const [after, before] = [logs(networkAt(best.temperature), best.truth, best.weight),
    logs(networkAt(1), candidates[0]!.truth, 0.3)]
  const gains = after.map((value, n) => value - before[n]!)
  const mean = gains.reduce((sum, gain) => sum + gain / examples, 0)
  const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2 / (examples - 1), 0)
  t.ok(Math.abs(choice.gain.mean - mean) < 1e-12)
  t.ok(Math.abs(choice.gain.error - Math.sqrt(variance / examples)) < 1e-12)
})

t.test('without evidence the choice stays with the training rows; a step is bought by enough of it', async t => {
  const rows = { likelihood: likelihoodModel('binary'), examples: 2, outputs: 1, labels: Float64Array.of(1, 0),
    f: Float64Array.of(0, 0) }
  const byTraining = { link: 'probit', varianceScale: 0.5, networkWeight: 0.5, linearWeight: 0.5 } as const
  const at = (step: number, varianceScale: number, p: number) =>
    ({ step, link: 'probit', varianceScale, truth: Float64Array.of(p, p) }) as const
  const even = DELTA_STEPS.flatMap(step => [0, 0.5, 1].map(scale => at(step, scale, 0.5)))
  t.match(await chooseValidated(rows, even, byTraining), { ...byTraining, step: 0, gain: { mean: 0, error: 0 } })
  t.equal((await chooseValidated(rows, [at(0, 0.5, 0.05), at(2, 0.5, 0.06)], byTraining)).step, 0)
  t.equal((await chooseValidated(rows, [at(0, 0.5, 0.001), at(1, 0.5, 0.999)], byTraining)).step, 1)
  t.equal(steppedDelta(3, 2), 48)
})

t.test('one row does not outvote the training rows', async t => {
  const truth = (first: number, others: number) =>
    Float64Array.from({ length: 12 }, (_, n) => (n === 0 ? first : others))
  const rows = { likelihood: likelihoodModel('binary'), examples: 12, outputs: 1, labels: new Float64Array(12),
    f: new Float64Array(12) }
  const byTraining = { link: 'probit', varianceScale: 0, networkWeight: 0, linearWeight: 1 } as const
  const candidate = (step: number, p: Float64Array) => ({ step, link: 'probit', varianceScale: 0, truth: p }) as const
  const outlier = await chooseValidated(rows, [candidate(0, truth(1e-6, 0.8)), candidate(1, truth(0.3, 0.75))],
    byTraining)
  t.equal(outlier.step, 0)
  t.ok(outlier.gain.mean > 0 && outlier.gain.mean < outlier.gain.error, JSON.stringify(outlier.gain))
  const all = await chooseValidated(rows, [candidate(0, truth(0.6, 0.5)), candidate(1, truth(0.95, 0.9))], byTraining)
  t.equal(all.step, 1)
})

t.test('noise that the training rows hide is found in held-out rows', t => {
  const random = randomGenerator(3)
  const examples = 400
  const f = new Float64Array(examples)
  const labels = f.map(() => 2 * random.normal())
  const rowsAt = () => ({ f, variance: f })
  const byTraining = { outputs: [{ delta: 1, sigma: 1 }], linearWeight: 0.5 }
  const rows = { examples, outputs: 1, labels, f }
  const [found] = chooseNoise(rows, byTraining, rowsAt).outputs
  t.ok(Math.abs(Math.log(found!.sigma / 2)) < 0.13, `sigma ${found!.sigma} for 2`)
  t.equal(chooseNoise(rows, byTraining, rowsAt, 'none').outputs[0]!.sigma, 1)
  const few = { examples: 1, outputs: 1, labels: Float64Array.of(4), f: Float64Array.of(0) }
  const one = () => ({ f: Float64Array.of(0), variance: Float64Array.of(0) })
  t.ok(chooseNoise(few, byTraining, one).outputs[0]!.sigma < 2, 'one row changes little')
  t.end()
})

t.test('all weights in another structure: prior precision and noise by held-out rows, on any scale', async t => {
  for (const scale of [1, 1000]) {
    const random = randomGenerator(9)
    const rows = (count: number): { x: Tensor, y: Tensor } => {
      const x = Float64Array.from({ length: count }, () => 2 * random.uniform() - 1)
      return { x: float64([count, 1], x), y: float64([count, 1], x.map(v => scale * (2 * v + 0.3 * random.normal()))) }
    }
    const [train, heldOut] = [rows(30), rows(200)]
    const posterior = await laplace(line(2 * scale), { likelihood: 'regression', subset: 'all', structure: 'full',
      validation: heldOut }).fit(train.x, train.y)
    t.equal(posterior.tuned, 'validated')
    t.ok(Math.abs(Number(posterior.sigmaNoise) / (0.3 * scale) - 1) < 0.15, `sigma ${String(posterior.sigmaNoise)}`)
    const score = async (own: typeof posterior): Promise<number> =>
      (await own.compare(heldOut.x, heldOut.y)).posterior.nll
    const best = await score(posterior)
    for (const factor of [0.5, 0.8, 1.25, 2]) {
      const { priorPrecision } = posterior
      const sigmaNoise = Number(posterior.sigmaNoise)
      t.ok(best <= await score(posterior.withPrior({ sigmaNoise: sigmaNoise * factor })) + 1e-9, `noise x ${factor}`)
      t.ok(best <= await score(posterior.withPrior({ priorPrecision: Number(priorPrecision) * factor ** 2 })) + 1e-3,
        `prior precision x ${factor ** 2}`)
    }
  }
})

t.test('held-out rows win where the network is far too sure, with both posteriors', async t => {
  // The network's logits are eight times too steep.
  const graph = line(8)
  const [train, heldOut, test] = [draws(40, 1, 1), draws(600, 1, 2), draws(2000, 1, 3)]
  for (const subset of ['auto', 'last_layer'] as const) {
    const plain = await nll(graph, { subset }, train, test)
    const validated = await nll(graph, { subset, validation: heldOut }, train, test)
    const posterior = await laplace(graph, { likelihood: 'binary', subset, validation: heldOut }).fit(train.x, train.y)
    const compared = await posterior.compare(test.x, test.y)
    t.ok(validated <= plain + 1e-3, `${subset}: ${validated} after ${plain}`)
    t.ok(validated < 0.75 * compared.network.nll, `${subset}: ${validated}, network ${compared.network.nll}`)
    t.equal(posterior.tuned, 'validated')
    t.match(posterior.choice?.heldOut, { rows: 600, temperature: Number })
    t.ok(validated < compared.temperature!.nll + 0.01, `${subset}: ${validated}, scaled ${compared.temperature!.nll}`)
    const { trainingNll = NaN, nll: chosen = NaN, gain = NaN, gainError = NaN } = posterior.choice?.heldOut ?? {}
    t.ok(gain > gainError, 'the answer was changed')
    t.ok(Math.abs(trainingNll - chosen - gain) < 1e-12)
    const before = await laplace(graph, { likelihood: 'binary', subset }).fit(train.x, train.y)
    t.ok(Math.abs((await before.compare(heldOut.x, heldOut.y)).posterior.nll - trainingNll) < 1e-9)
    t.match(posterior.choice?.explanation, /The 600 held-out rows chose the answer.*temperature scaling, the baseline/)
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
  t.match(plain, { temperatureFrom: 'cross-validation', temperature: { points: 300 }, rows: 300 })
  t.notOk('temperatureNote' in plain)
})

t.test('compare: no row is scored by a temperature that it was fitted to', async t => {
  const posterior = await laplace(line(1), { likelihood: 'binary', tune: 'none' })
    .fit(float64([4, 1], [-1, 1, -2, 2]), float64([4], [0, 1, 0, 1]))
  // One wrong answer: the rows without it are separated, and its temperature goes to its bound.
  const x = float64([20, 1], Float64Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? -1 : 1) * (1 + i / 20)))
  const y = float64([20], Float64Array.from({ length: 20 }, (_, i) => (i === 7 ? 0 : i % 2)))
  const { temperature, temperatureValue, temperatureNote, network } = await posterior.compare(x, y)
  t.equal(temperature?.points, 20)
  t.ok(temperatureValue! > 0.1 && temperatureValue! < 10, 'of all rows')
  t.match(temperatureNote, /lower bound, 0.01/)
  t.ok(temperature!.nll > 3 * network.nll, 'the wrong row is scored by the temperature of rows without one')
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

t.test('a share of rows that the network has learnt by heart has been seen too, and this is said', async t => {
  const { x } = draws(60, 1, 9)
  const steep = { likelihood: 'binary', validation: 0.2 } as const
  const learnt = float64([60, 1], Float64Array.from(x.data, value => Number(value > 0)))
  const seen = await laplace(line(400), steep).fit(x, learnt)
  t.ok(seen.choice!.r! < 0.5, `r = ${seen.choice!.r}`)
  t.match(seen.notes.join(), /a share of rows that the network seems to have learnt by heart/)
  const heldOut = draws(20, 1, 10)
  const given = await laplace(line(400), { likelihood: 'binary', validation: heldOut }).fit(x, learnt)
  t.notMatch(given.notes.join(), /by heart/, 'rows that were given are for the user to know')
  const { x: others, y } = draws(60, 1, 11)
  const honest = await laplace(line(1), steep).fit(others, y)
  t.ok(honest.choice!.r! > 0.5)
  t.notMatch(honest.notes.join(), /by heart/)
})

t.test('a few held-out rows do not harm: the mean over many draws of ten', async t => {
  // A calm network: its slope is the truth.
  const graph = line(1)
  const [train, test] = [draws(80, 1, 11), draws(1000, 1, 12)]
  for (const subset of ['auto', 'last_layer'] as const) {
    const plain = await nll(graph, { subset }, train, test)
    let sum = 0
    for (let seed = 0; seed < 20; seed++) {
      sum += await nll(graph, { subset, validation: draws(10, 1, 100 + seed) }, train, test) / 20
    }
    t.ok(sum < plain + 0.01, `${subset}: ${sum} after ${plain}`)
  }
})

t.test('held-out rows that are rows of the fit, and classes that it lacks, are told', async t => {
  const graph = line(4)
  const { x, y } = draws(40, 1, 5)
  const notes = async (validation: { x: Tensor, y: Tensor } | number): Promise<string> =>
    (await laplace(graph, { likelihood: 'binary', validation }).fit(x, y)).notes.join(' ')
  t.match(await notes({ x, y }), /All 40 held-out rows \(validation\) are also rows of the fit/)
  const other = draws(20, 1, 6)
  t.notMatch(await notes(other), /rows of the fit/)
  const half = { x: float64([30, 1], [...other.x.data.slice(0, 15), ...x.data.slice(0, 15)]),
    y: float64([30, 1], [...other.y.data.slice(0, 15), ...y.data.slice(0, 15)]) }
  t.match(await notes(half), /15 of the 30 held-out rows/)
  const single = { x: { ...x, dtype: 'float32' as const, data: Float32Array.from(x.data) }, y }
  t.match(await notes(single), /All 40/, 'whatever they are stored in')
  const first = await laplace(graph, { likelihood: 'binary', subset: 'last_layer', tune: 'none' }).fit(x, y)
  const tuned = await first.tune({ tune: 'validated' }, { data: { x, y }, validation: { x, y } })
  t.match(tuned.notes.join(' '), /All 40/)

  const b = new GraphBuilder('float64')
  const three = b.build([
    b.node('Gemm', [b.input('x', [BATCH, 1]), b.parameter('w', tensor('float64', [3, 1], [1, 0, -1])),
      b.parameter('b', tensor('float64', [3], [0, 0, 0]))], { transB: 1 }),
  ])
  const labels = (values: ArrayLike<number>) => float64([values.length], Float64Array.from(values))
  const held = { x: other.x, y: labels(other.y.data.map((label, i) => (i < 3 ? 2 : label))) }
  const fit = await laplace(three, { likelihood: 'classification', validation: held }).fit(x, labels(y.data))
  t.match(fit.notes.join(' '), /3 of the held-out labels \(validation\) name a class that no row of the fit has: 2/)
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
  await t.rejects(fit({ x: float64([6, 1], [0, 1, NaN, 0, 0, 0]), y: float64([6, 1], new Float64Array(6)) }), {
    name: 'DataError',
    message: /^In the held-out rows/,
  })
  await t.rejects(fit(0.5, { tune: 'marglik' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(undefined, { tune: 'validated' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(undefined, { calibrate: 'temperature' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(0.5, { calibrate: 'temperature', likelihood: 'regression' }), { code: 'BAD_COMBINATION' })
  await t.rejects(fit(0.5, { calibrate: 'temperature', subset: 'all', structure: 'kron' }), { code: 'BAD_COMBINATION' })
})
