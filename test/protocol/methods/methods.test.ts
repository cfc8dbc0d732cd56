import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { float64 } from '../../../core/tensor/tensor.js'
import { doublesToWire, tensorToWire } from '../../../protocol/frames/arrays.js'
import type { DecodedMap } from '../../../protocol/frames/decoded-map.js'
import type { WireMap } from '../../../protocol/frames/encode.js'
import { METHODS } from '../../../protocol/methods/method-table.js'
import { relativeDifference } from '../../support/compare.js'
import { arrayIn, caseFiles, createCaller, fittedTo } from './method-calls.js'

const iris = caseFiles('tabular-iris')
const run = iris.expected.runs.find(candidate => candidate.subset === 'last_layer' && candidate.structure === 'kron') ??
  iris.expected.runs[0]
const [setting] = run.settings

t.test('readNetwork, inspect, forward', async t => {
  const caller = createCaller()
  const { handle, summary } = await caller.call('readNetwork', { bytes: iris.bytes }) as { handle: string,
    summary: DecodedMap }
  t.match(handle, /^model:\d+$/)
  t.same(Object.keys(summary), ['format', 'inputs', 'outputs', 'parameters', 'parameterCount', 'layers', 'precision',
    'digest', 'notes'])
  t.match(summary, { format: 'onnx', inputs: [{ dtype: 'float64', shape: [-1, 4] }], outputs: [{ shape: [-1, 3] }],
    parameterCount: 83, precision: 'float64' })
  t.match((summary['parameters'] as unknown[])[0], { name: '0.weight', shape: [10, 4], size: 40 })
  const { memory } = await caller.call('inspect', { model: handle, likelihood: 'classification' })
  t.match((memory as unknown[])[0], { subset: String, structure: String, bytes: Number })
  const { data } = arrayIn(await caller.call('forward', { model: handle, x: iris.xTest }), 'outputs')
  t.ok(relativeDifference(data, iris.expected.f.x_test.data) < 1e-6)
})

t.test('networks from layers, scikit-learn and nnet compute what their definition says', async t => {
  const caller = createCaller()
  const [w1, b1, w2, b2] = [[0.5, -1, 2, 0.25], [0.1, -0.2], [1, -1.5], [0.3]]
  const array = (shape: number[], values: number[]): WireMap => tensorToWire(float64(shape, values))
  const tanh = [1, -1].map((x0, i) => {
    const x1 = [0.5, 2][i]
    return Math.tanh(w1[0] * x0 + w1[1] * x1 + b1[0]) * w2[0] + Math.tanh(w1[2] * x0 + w1[3] * x1 + b1[1]) * w2[1] +
      b2[0]
  })
  const x = array([2, 2], [1, 0.5, -1, 2])
  const tensors = { '0.weight': array([2, 2], w1), '0.bias': array([2], b1), '2.weight': array([1, 2], w2),
    '2.bias': array([1], b2) }
  const columnMajor = { ...tensors, '0.weight': { ...array([2, 2], [w1[0], w1[2], w1[1], w1[3]]), order: 'F' } }
  const forms: WireMap[] = [
    { layers: [{ type: 'Linear', name: '0' }, { type: 'Tanh' }, { type: 'Linear', name: '2' }], tensors },
    { layers: [{ type: 'Linear', name: '0' }, { type: 'Tanh' }, { type: 'Linear', name: '2' }], tensors: columnMajor },
    { tensors, hints: { activation: 'tanh' } },
    {
      sklearn: { coefs: [array([2, 2], [w1[0], w1[2], w1[1], w1[3]]), array([2, 1], w2)],
        intercepts: [array([2], b1), array([1], b2)], activation: 'tanh', outActivation: 'identity' },
    },
  ]
  for (const form of forms) {
    const { handle } = await caller.call('readNetwork', form)
    t.ok(
      relativeDifference(arrayIn(await caller.call('forward', { model: String(handle), x }), 'outputs').data, tanh) <
        1e-12,
      Object.keys(form).join(),
    )
  }
  const { handle } = await caller.call('readNetwork', {
    nnet: { n: [1, 1, 1], wts: [0.5, -1.5, 0.25, 2], linout: true, softmax: false, entropy: false },
  })
  const { data } = arrayIn(await caller.call('forward', { model: String(handle), x: array([2, 1], [0, 1]) }), 'outputs')
  t.ok(relativeDifference(data, [0, 1].map(at => 0.25 + 2 / (1 + Math.exp(-(0.5 - 1.5 * at))))) < 1e-12)
  await t.rejects(caller.call('readNetwork', {}), { code: 'PROTOCOL', message: /bytes/ })
  await t.rejects(caller.call('readNetwork', { bytes: new Uint8Array(20) }), {
    code: /UNTRUSTED_INPUT|UNSUPPORTED_FORMAT/,
  })
})

t.test("a fit has the reference's numbers", async t => {
  const { caller, posterior, summary } = await fittedTo(iris)
  t.same(Object.keys(summary), [
    'likelihood',
    'subset',
    'structure',
    'curvature',
    'outputs',
    'parameterCount',
    'examples',
    'loss',
    'logLikelihood',
    'logMarginalLikelihood',
    'priorPrecision',
    'priorMean',
    'sigmaNoise',
    'temperature',
    'tuned',
    'effectiveParameters',
    'precision',
    'engine',
    'seed',
    'notes',
    'digest',
    'logEvidenceAtMode',
    'choice',
    'conformal',
    'training',
    'inputs',
    'declaredInputs',
    'parameters',
  ])
  t.match(summary, { likelihood: 'classification', subset: 'last_layer', structure: 'kron', outputs: 3,
    parameterCount: 33, examples: 112, tuned: 'none', engine: 'typescript', effectiveParameters: null })
  t.ok(relativeDifference([Number(summary['logMarginalLikelihood'])], [setting.marglik.log_marginal_likelihood]) < 1e-6)
  const answer = await caller.call('predict', { posterior, x: iris.xTest, options: { covariance: true } })
  t.ok(relativeDifference(arrayIn(answer, 'probabilities').data, setting.predictive.probit.data) < 1e-6)
  t.ok(relativeDifference(arrayIn(answer, 'covariance').data, setting.predictive.f_var.data) < 1e-6)
  t.same(Object.keys(await caller.call('predict', { posterior, x: iris.xTest, options: { uncertainty: false } })), [
    'mean',
    'variance',
    'probabilities',
    'notes',
  ])
})

t.test('tune, withPrior and logMarginalLikelihood make and ask of other priors; the old posterior stays', async t => {
  const { caller, posterior, summary } = await fittedTo(iris)
  const { optimum } = run.tuned.scalar
  const tuned = await caller.call('tune', { posterior, options: { tune: 'marglik' } })
  const found = tuned['summary'] as DecodedMap
  t.ok(relativeDifference([Number(found['logMarginalLikelihood'])], [optimum.log_marginal_likelihood]) < 1e-6)
  t.equal(found['tuned'], 'marglik')
  const { handle } = await caller.call('withPrior', { posterior, priorPrecision: optimum.delta })
  const value = async (params: WireMap): Promise<number> =>
    Number((await caller.call('logMarginalLikelihood', params))['value'])
  t.ok(relativeDifference([await value({ posterior: String(handle) })], [optimum.log_marginal_likelihood]) < 1e-9)
  t.ok(
    relativeDifference([await value({ posterior, priorPrecision: optimum.delta })], [optimum.log_marginal_likelihood]) <
      1e-9,
  )
  t.equal(await value({ posterior }), summary['logMarginalLikelihood'])
  t.equal(await value({ posterior, priorPrecision: null, sigmaNoise: null }), summary['logMarginalLikelihood'],
    'nil is absent')
  const layerwise = await caller.call('withPrior', { posterior,
    priorPrecision: doublesToWire([2], Float64Array.of(1, 1)) })
  t.ok(
    relativeDifference([Number((layerwise['summary'] as DecodedMap)['logMarginalLikelihood'])], [
      Number(summary['logMarginalLikelihood']),
    ]) < 1e-12,
  )
  const linearized = await caller.call('tune', { posterior, options: { tune: 'linearized' }, x: iris.x, y: iris.y })
  t.equal((linearized['summary'] as DecodedMap)['tuned'], 'linearized')
  await t.rejects(caller.call('tune', { posterior, options: { tune: 'linearized' } }), { message: /data/ })
  const grid = await caller.call('tune', { posterior, options: { tune: 'grid' },
    validation: { x: iris.xTest, y: iris.yTest } })
  t.equal((grid['summary'] as DecodedMap)['tuned'], 'grid')
  const plain = await caller.call('fit', { model: 'model:1', options: { likelihood: 'classification' }, x: iris.x,
    y: iris.y })
  t.match(plain['summary'], { tuned: 'auto', subset: 'all', structure: 'lowrank' }, 'the default of a fit')
  const { delta, leaveOneOutNll } = (plain['summary'] as DecodedMap)['choice'] as DecodedMap
  t.ok(Array.isArray(delta) && Number(leaveOneOutNll) > 0, 'the summary says what was chosen')
})

t.test('predict sends the parts that are asked for', async t => {
  const { caller, posterior } = await fittedTo(iris)
  const all = await caller.call('predict', { posterior, x: iris.xTest, options: { uncertainty: false } })
  t.same(Object.keys(all), ['mean', 'variance', 'probabilities', 'notes'])
  const some = await caller.call('predict', { posterior, x: iris.xTest, options: { uncertainty: false },
    parts: ['probabilities', 'mean', 'epistemic'] })
  t.same(Object.keys(some), ['mean', 'probabilities', 'notes'])
  t.same(some['probabilities'], all['probabilities'])
  await t.rejects(caller.call('predict', { posterior, x: iris.xTest, parts: ['meen'] }), { code: 'BAD_OPTION',
    message: /mean/ })
  await t.rejects(caller.call('predict', { posterior, x: iris.xTest, parts: 'mean' }), { code: 'PROTOCOL' })
})

t.test('R8 samples: shapes, seeds, the same seed the same bytes', async t => {
  const { caller, posterior } = await fittedTo(iris)
  const draw = async (method: string, more: WireMap): Promise<{ shape: readonly number[], bytes: Uint8Array }> => {
    const { samples } = await caller.call(method, { posterior, samples: 5, seed: 7, ...more }) as {
      samples: { shape: number[], data: Uint8Array }
    }
    return { shape: samples.shape, bytes: samples.data }
  }
  for (const [method, more, shape] of [
    ['sample', {}, [5, 33]],
    ['functionalSamples', { x: iris.xTest }, [5, 38, 3]],
    ['predictiveSamples', { x: iris.xTest, predictive: 'nn' }, [5, 38, 3]],
  ] as const) {
    const first = await draw(method, more)
    t.same(first.shape, shape, method)
    t.equal(Buffer.compare(first.bytes, (await draw(method, more)).bytes), 0)
    t.not(Buffer.compare(first.bytes, (await draw(method, { ...more, seed: 8 })).bytes), 0)
  }
  for (const seed of [-1, 0.5, 'x', null, 2 ** 53]) {
    await t.rejects(caller.call('sample', { posterior, samples: 1, seed }), { code: 'PROTOCOL', message: /seed/ })
  }
  await t.rejects(caller.call('sample', { posterior, samples: 0, seed: 1 }), { code: 'PROTOCOL', message: /samples/ })
  const { seed } = await caller.call('predict', { posterior, x: iris.xTest,
    options: { link: 'mc', samples: 20, seed: 11 } })
  t.equal(seed, 11, 'results carry their seed')
})

t.test('get, logProb, functionalVariance and metrics', async t => {
  for (const structure of ['full', 'kron', 'diag']) {
    const { caller, posterior } = await fittedTo(iris, { structure })
    const names = ['H', 'mean', 'posteriorVariance', 'posteriorPrecision', 'posteriorCovariance', 'scatter', 'loss',
      'logLikelihood', 'logMarginalLikelihood', 'logDetPosteriorPrecision', 'logDetPriorPrecision', 'logDetRatio',
      'priorPrecision', 'priorPrecisionDiag', 'sigmaNoise', 'temperature', 'summary']
    const values = await caller.call('get', { posterior, names })
    t.same(Object.keys(values), names)
    t.equal((values['H'] as DecodedMap)['structure'], structure)
    t.same(arrayIn(values, 'posteriorCovariance').shape, [33, 33])
    t.ok(
      relativeDifference([Number(values['logMarginalLikelihood'])], [
        Number(values['logLikelihood']) - 0.5 * (Number(values['logDetRatio']) + Number(values['scatter'])),
      ]) < 1e-12,
    )
    if (structure === 'kron') {
      t.same(Object.keys(values['posteriorPrecision'] as DecodedMap), ['structure', 'blocks', 'delta'])
    }
    const mean = arrayIn(values, 'mean')
    t.ok(
      relativeDifference(
        arrayIn(await caller.call('logProb', { posterior, theta: tensorToWire(mean) }), 'logProb').data,
        [0.5 * Number(values['logDetPosteriorPrecision']) - 16.5 * Math.log(2 * Math.PI)],
      ) < 1e-9,
    )
    t.same(arrayIn(await caller.call('functionalVariance', { posterior, x: iris.xTest }), 'covariance').shape, [38, 3,
      3])
    t.same(
      arrayIn(await caller.call('functionalVariance', { posterior, x: iris.xTest, joint: true }), 'covariance').shape,
      [114, 114],
    )
    await t.rejects(caller.call('get', { posterior, names: ['meen'] }), { code: 'BAD_OPTION',
      message: /Did you mean 'mean'/ })
  }
  const scores = await createCaller().call('metrics', { likelihood: 'classification', y: [0, 1],
    probabilities: doublesToWire([2, 2], Float64Array.of(0.75, 0.25, 0.5, 0.5)) })
  t.ok(relativeDifference([Number(scores['nll'])], [-(Math.log(0.75) + Math.log(0.5)) / 2]) < 1e-12)
})

t.test('save and load, with the network and without', async t => {
  const { caller, model, posterior } = await fittedTo(iris)
  const wanted = await caller.call('predict', { posterior, x: iris.xTest })
  const { data } = await caller.call('save', { posterior }) as { data: Uint8Array }
  const small = (await caller.call('save', { posterior, network: false }))['data'] as Uint8Array
  t.ok(small.length < data.length)
  const other = createCaller()
  const { handle } = await other.call('load', { data }) as { handle: string }
  t.same(await other.call('predict', { posterior: handle, x: iris.xTest }), wanted)
  const again = await caller.call('load', { data: small, model })
  t.same(await caller.call('predict', { posterior: String(again['handle']), x: iris.xTest }), wanted)
  await t.rejects(other.call('load', { data: small }), { message: /network/ })
  await t.rejects(other.call('load', { data: data.subarray(0, 100) }), { code: 'UNTRUSTED_INPUT' })
})

t.test('paths are read only below the folders that are allowed', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'polylaplace-'))
  t.teardown(() => {
    rmSync(folder, { recursive: true })
  })
  writeFileSync(join(folder, 'iris.onnx'), iris.bytes)
  const allowed = createCaller([folder])
  const { handle } = await allowed.call('readNetwork', { path: 'iris.onnx' })
  const answer = await allowed.call('fit', { model: String(handle),
    options: { likelihood: 'classification', priorPrecision: 1 }, x: iris.x, y: iris.y })
  const { data } = await allowed.call('save', { posterior: String(answer['handle']) })
  writeFileSync(join(folder, 'iris.posterior'), data as Uint8Array)
  t.ok((await allowed.call('load', { data: 'iris.posterior' }))['handle'])
  const refused = createCaller()
  for (const [method, params] of [['readNetwork', { path: join(folder, 'iris.onnx') }], ['load', {
    data: join(folder, 'iris.posterior'),
  }]] as const) {
    await t.rejects(refused.call(method, params), { code: 'PROTOCOL', message: /--read-dir/ }, method)
  }
})

t.test('H2 unknown options are named with the nearest known one', async t => {
  const { caller, model, posterior } = await fittedTo(iris)
  const cases: [string, WireMap, RegExp][] = [
    ['fit', { model, options: { likelihood: 'classification', structur: 'kron' }, x: iris.x, y: iris.y },
      /Did you mean 'structure'/],
    ['fit', { model, options: { likelihood: 'classification', validation: {} }, x: iris.x, y: iris.y },
      /no option 'validation'/],
    ['predict', { posterior, x: iris.xTest, options: { lnk: 'probit' } }, /Did you mean 'link'/],
    ['tune', { posterior, options: { tun: 'marglik' } }, /Did you mean 'tune'/],
    ['fit', { model, options: { likelihood: 'clasification' }, x: iris.x, y: iris.y }, /Did you mean 'classification'/],
  ]
  for (const [method, params, message] of cases) {
    await t.rejects(caller.call(method, params), { name: 'OptionError', message })
  }
  await t.rejects(caller.call('fit', { model, options: { likelihood: 'classification' }, x: iris.x }), {
    code: 'BAD_ARRAY',
    message: /^y /,
  })
})

t.test('every method of the table is there, and refuses parameters of the wrong kind with a typed error', async t => {
  const caller = createCaller()
  const strange: readonly unknown[] = [undefined, null, true, -1, 0.5, 'x', '__proto__', new Uint8Array(3), [], [1], {},
    { dtype: 'f64', shape: [1], data: new Uint8Array(8) }]
  const keys = ['model', 'posterior', 'fit', 'x', 'y', 'options', 'bytes', 'data', 'partial', 'partials', 'layers',
    'tensors', 'nnet', 'sklearn', 'names', 'samples', 'seed', 'likelihood', 'theta', 'validation', 'path', 'hints']
  for (const method of METHODS.keys()) {
    for (let round = 0; round < 60; round++) {
      const params = Object.fromEntries(
        keys.map((key, i) => [key, strange[(round * 7 + i * (round + 1)) % strange.length]]),
      ) as WireMap
      const error = await caller.call(method, params).then(() => undefined, (reason: unknown) =>
        reason as { code?: string, message?: string })
      if (error !== undefined && (error.code === undefined || error.code === 'INTERNAL')) {
        t.fail(`${method}: ${error.message}`, { params })
      }
    }
    t.ok(true, method)
  }
  await t.rejects(caller.call('nonsense', {}), { code: 'UNKNOWN_METHOD' })
})

t.test('freed objects are gone', async t => {
  const { caller, posterior } = await fittedTo(iris)
  caller.free(posterior)
  await t.rejects(caller.call('predict', { posterior, x: iris.xTest }), { code: 'UNKNOWN_HANDLE' })
})

t.test('parameters that a method does not have are refused, of every method', async t => {
  const caller = createCaller()
  for (const [name, { takes }] of METHODS) {
    t.ok(takes.length > 0, name)
    await t.rejects(caller.call(name, { nonsense: 1 }), { code: 'UNKNOWN_OPTION', message: /'nonsense'/ }, name)
  }
  const network = { bytes: iris.bytes, hint: {} }
  await t.rejects(caller.call('forecast', { network, options: { likelihood: 'classification' }, rows: 9 }), {
    code: 'UNKNOWN_OPTION',
    message: /Did you mean 'hints'/,
  })
})

t.test('the names of the classes are saved with the posterior', async t => {
  const { caller, posterior } = await fittedTo(iris)
  const labels = ['setosa', 'versicolor', 'virginica']
  const saved = await caller.call('save', { posterior, labels })
  t.same((await caller.call('load', { data: saved['data'] as Uint8Array }))['labels'], labels)
  const unnamed = await caller.call('save', { posterior })
  t.notOk('labels' in await caller.call('load', { data: unnamed['data'] as Uint8Array }))
  await t.rejects(caller.call('save', { posterior, labels: [1, 2, 3] }), { code: 'PROTOCOL' })
})
