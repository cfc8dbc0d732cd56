/** @file The package's Node entry: arrays of every usual kind, options, errors, files. */
import ndarray from 'ndarray'
import t from 'tap'
import { float64 } from '../../core/tensor/tensor.js'
import { laplace, type LaplaceOptions, loadPosterior, mergePartialFits, mergePartials, metrics,
  readNetwork } from '../../index.js'
import { relativeDifference } from '../support/compare.js'
import { referenceCase } from '../support/reference-case.js'

const regression = referenceCase('regression-1d')
const classes = referenceCase('classification-4')

/** Rows of a tensor as nested arrays. */
function nested({ shape, data }: { shape: readonly number[], data: ArrayLike<number> }): number[][] {
  const width = data.length / shape[0]
  return Array.from({ length: shape[0] }, (_, n) => Array.from({ length: width }, (_, i) => data[n * width + i]))
}

t.test('ndarrays, nested arrays, typed arrays and batches give the same posterior', async t => {
  const { graph, x, y } = classes
  const options = { likelihood: 'classification' } as const
  const expected = (await laplace(graph, options).fit(x, y)).priorPrecision as number
  const labels = Array.from(y.data)
  t.equal((await laplace(graph, options).fit(nested(x), labels)).priorPrecision, expected, 'nested arrays')
  t.equal((await laplace(graph, options).fit(ndarray(x.data, [...x.shape]), Int32Array.from(labels))).priorPrecision,
    expected, 'an ndarray and a typed array')
  const transposed = ndarray(x.data.slice(), [...x.shape]).transpose(1, 0)
  const copy = ndarray(new Float64Array(x.data.length), [...x.shape])
  for (let i = 0; i < x.shape[0]; i++) for (let j = 0; j < x.shape[1]; j++) copy.set(i, j, transposed.get(j, i))
  t.equal((await laplace(graph, options).fit(copy.transpose(1, 0).transpose(1, 0), labels)).priorPrecision, expected,
    'strided ndarrays')
  async function* stream(): AsyncGenerator<[number[][], number[]]> {
    const rows = nested(x)
    for (let at = 0; at < rows.length; at += 17) {
      yield [rows.slice(at, at + 17), labels.slice(at, at + 17)]
      // What a filter has left nothing of changes nothing.
      yield [[], []]
    }
  }
  const streamed = await laplace(graph, options).fit(stream())
  t.ok(Math.abs(streamed.priorPrecision as number / expected - 1) < 1e-9, 'an async iterable of batches')
})

t.test('predictions are ndarrays; the uncertainty adds up', async t => {
  const { graph, x, y, xTest, yTest } = classes
  const posterior = await laplace(graph, { likelihood: 'classification' }).fit(x, y)
  const { mean, variance, probabilities, aleatoric, epistemic } = await posterior.predict(xTest)
  const [n, c] = [xTest.shape[0], 4]
  t.same([mean.shape, variance.shape, probabilities!.shape, aleatoric!.shape, epistemic!.shape], [[n, c], [n, c], [n,
    c], [n], [n]])
  for (let i = 0; i < n; i++) {
    t.ok(aleatoric!.get(i) > 0 && epistemic!.get(i) >= 0)
    let sum = 0
    for (let k = 0; k < c; k++) sum += probabilities!.get(i, k)
    t.ok(Math.abs(sum - 1) < 1e-12)
  }
  t.ok(metrics('classification', yTest, { probabilities: probabilities! }).nll < 2)
  t.match(String(posterior), /prior precision .*tuned by auto/)
})

t.test('outliers of a comparison may be nested arrays; the same rows are told by chance', async t => {
  const { graph, x, y, xTest, yTest } = classes
  const posterior = await laplace(graph, { likelihood: 'classification' }).fit(x, y)
  const { outliers = [] } = await posterior.compare(xTest, yTest, { outliers: nested(xTest), onProgress: () => {} })
  t.same(outliers.map(({ of, auroc }) => [of, auroc]), [['network', 0.5], ['temperature', 0.5], ['posterior', 0.5], [
    'novelty',
    0.5,
  ]])
  await t.rejects(posterior.compare(xTest, yTest, { outlier: xTest } as object), { code: 'UNKNOWN_OPTION' })
})

t.test('regression tunes its noise', async t => {
  const { graph, x, y, xTest } = regression
  const posterior = await laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'full' }).fit(x, y)
  t.ok(Math.abs(Number(posterior.sigmaNoise) - 0.25) < 0.02, `noise ${posterior.sigmaNoise}`)
  const { variance, predictiveVariance, aleatoric, epistemic } = await posterior.predict(xTest)
  t.ok(Math.abs(predictiveVariance!.get(0, 0) - variance.get(0, 0) - Number(posterior.sigmaNoise) ** 2) < 1e-12)
  t.equal(epistemic!.get(0, 0), variance.get(0, 0))
  t.equal(aleatoric!.get(0, 0), Number(posterior.sigmaNoise) ** 2)
  t.equal(posterior.tuned, 'auto')
})

t.test('a saved posterior predicts alone', async t => {
  const { graph, x, y, xTest } = classes
  for (const options of [{}, { structure: 'full' }, { subset: 'all', structure: 'diag' }] as const) {
    const posterior = await laplace(graph, { likelihood: 'classification', ...options } as LaplaceOptions).fit(x, y)
    const again = loadPosterior(posterior.save())
    t.same((await again.predict(xTest)).probabilities!.data, (await posterior.predict(xTest)).probabilities!.data)
    t.equal(again.logMarginalLikelihood(), posterior.logMarginalLikelihood())
  }
  const posterior = await laplace(graph, { likelihood: 'classification' }).fit(x, y)
  const bytes = posterior.save({ network: false })
  t.throws(() => loadPosterior(bytes), { code: 'BAD_OPTION' })
  t.throws(() => loadPosterior(bytes, { network: regression.graph }), { code: 'DIGEST_MISMATCH' })
  t.equal(loadPosterior(bytes, { network: graph }).priorPrecision, posterior.priorPrecision)
  for (const length of [0, 7, 16, 100, bytes.length - 1]) {
    t.throws(() => loadPosterior(bytes.slice(0, length), { network: graph }), { code: 'UNTRUSTED_INPUT' },
      `${length} bytes`)
  }
  await t.rejects(loadPosterior(posterior.save()).tune({ tune: 'marglik' }), { code: 'DIGEST_MISMATCH' })
  await t.rejects(posterior.tune({ tune: 'marglik' }), { message: /linear model over all weights .* Fit again/ })
})

t.test('data for an input that nothing reads are passed over, by a saved posterior too', async t => {
  const graph = await readNetwork(new URL('../fixtures/inputs/unread-input.onnx', import.meta.url))
  const x = nested(classes.x).slice(0, 20).map(row => row.slice(0, 2))
  const given = { x, unread: x.map(() => [1]) }
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer' }).fit(given,
    x.map((_, i) => i % 3))
  const again = loadPosterior(posterior.save())
  t.same(again.core.declaredInputs, ['unread', 'x'])
  t.same(again.core.inputs.map(({ name }) => name), ['x'])
  t.match(String(again), /parameters: weight \(3 x 2\), bias \(3\)/)
  const { data } = (await posterior.predict(x)).variance
  t.same((await again.predict(given)).variance.data, data)
  t.same((await again.predict({ x })).variance.data, data)
  await t.rejects(again.predict({ x, unred: x }), { code: 'BAD_ARRAY', message: /did you mean 'unread'/ })
})

t.test('merged partial fits equal one fit; any batch size gives the same', async t => {
  const { graph, x, y, xTest } = classes
  const rows = nested(x)
  const labels = Array.from(y.data)
  for (const options of [{ structure: 'kron' }, { structure: 'full' }, { subset: 'all', structure: 'kron' }, {
    subset: 'all',
    structure: 'full',
  }, { subset: 'all', structure: 'diag' }] as const) {
    const given = { likelihood: 'classification', priorPrecision: 2, ...options } as const
    const whole = await laplace(graph, given).fit(x, y)
    const expected = (await whole.predict(xTest)).variance.data
    for (const batchSize of [1, 7, 1000]) {
      const other = await laplace(graph, { ...given, batchSize }).fit(x, y)
      t.ok(relativeDifference((await other.predict(xTest)).variance.data, expected) < 1e-12, `batches of ${batchSize}`)
    }
    const fit = laplace(graph, given)
    const parts = await Promise.all(
      [[0, 10], [10, 31], [31, rows.length]].map(([from, to]) =>
        fit.fitPartial(rows.slice(from, to), labels.slice(from, to))
      ),
    )
    const [a, b, c] = parts
    for (const merged of [mergePartialFits(mergePartialFits(a, b), c), mergePartialFits(c, mergePartialFits(b, a))]) {
      const posterior = await fit.fitMerged(merged)
      t.ok(relativeDifference((await posterior.predict(xTest)).variance.data, expected) < 1e-12)
      t.ok(Math.abs(posterior.logMarginalLikelihood() / whole.logMarginalLikelihood() - 1) < 1e-12)
    }
    t.throws(() => mergePartialFits(mergePartialFits(a, b), b), { code: 'DUPLICATE_CHUNK' })
    const twice = await fit.fitMerged(mergePartials([a, b, c, c, a, b], 'count'))
    t.ok(relativeDifference(twice.H.toDense(), whole.H.toDense().map(v => 2 * v)) < 1e-12, 'data given twice is 2H')
    await t.rejects(laplace(regression.graph, { likelihood: 'regression' }).fitMerged(a), { code: 'DIGEST_MISMATCH' })
  }
})

t.test('bad input gives a typed error that says what to do', async t => {
  const { graph, x, y, xTest } = classes
  const fit = laplace(graph, { likelihood: 'classification' })
  const labels = Array.from(y.data)
  await t.rejects(fit.fit(nested(x).map(row => row.slice(1)), labels), { code: 'SHAPE_MISMATCH',
    message: /network's input/ })
  await t.rejects(fit.fit(x, labels.slice(1)), { code: 'SHAPE_MISMATCH', message: /rows/ })
  await t.rejects(fit.fit(x, labels.map(v => v + 1)), { code: 'BAD_LABELS', message: /counted from 1/ })
  await t.rejects(fit.fit(x, labels.map(v => v + 0.5)), { code: 'BAD_LABELS', message: /regression/ })
  await t.rejects(fit.fit(x, labels.map(v => [0, 1, 2, 3].map(c => Number(c === v)))), { code: 'BAD_LABELS',
    message: /one-hot/ })
  await t.rejects(fit.fit(x, labels.map(String) as unknown as number[]), { code: 'BAD_LABELS', message: /text/ })
  await t.rejects(fit.fit(nested(x).map(row => row.map(String)) as unknown as number[][], labels), { code: 'BAD_LABELS',
    message: /^x holds text \('.*'\); make numbers of it: Number\(text\)/ })
  await t.rejects(fit.fit(nested(x).map(() => ['red', 'blue']) as unknown as number[][], labels), { code: 'BAD_LABELS',
    message: /^x holds text \('red'\); give the numbers that the network itself takes/ })
  await t.rejects(fit.fit(ndarray([1, null, 3, 4] as unknown as number[], [2, 2]), [0, 1]), { code: 'BAD_ARRAY',
    message: /^x must hold numbers only; found null/ })
  await t.rejects(fit.fit([], []), { code: 'EMPTY_DATA' })
  await t.rejects(fit.fit([[[], []]] as unknown as [number[][], number[]][]), { code: 'EMPTY_DATA' })
  await t.rejects(fit.fit({ ...x, data: x.data.map((v, i) => (i === 3 ? NaN : v)) }, labels), { code: 'NOT_FINITE',
    message: /row/ })
  await t.rejects(fit.fit(nested(x) as unknown as []), { code: 'BAD_ARRAY', message: /give y too/ }, 'rows without y')
  t.throws(() => laplace(graph, { likelihood: 'clasification' } as unknown as LaplaceOptions), { code: 'BAD_OPTION',
    message: /Did you mean 'classification'/ })
  t.throws(() => laplace(graph, { likelihood: 'classification', strcture: 'full' } as unknown as LaplaceOptions), {
    code: 'UNKNOWN_OPTION',
    message: /Did you mean 'structure'/,
  })
  t.throws(() => laplace(graph, { likelihood: 'classification', tune: 'grid' } as unknown as LaplaceOptions), {
    code: 'BAD_COMBINATION',
    message: /validation/,
  })
  t.throws(() => laplace(graph, { likelihood: 'classification', priorPrecision: -1 }), { code: 'BAD_OPTION',
    message: /positive/ })
  t.throws(() => laplace(graph, { likelihood: 'binary' }), { code: 'BAD_COMBINATION', message: /classification/ })
  t.throws(() => laplace(regression.graph, { likelihood: 'classification' }), { code: 'BAD_COMBINATION',
    message: /binary/ })
  await t.rejects(laplace(graph, { likelihood: 'classification', memoryLimit: 1000 }).fit(x, y), {
    code: 'OUT_OF_MEMORY',
    message: /KiB/,
  })
  const posterior = await fit.fit(x, y)
  await t.rejects(posterior.predict(xTest, { link: 'probbit' as 'probit' }), { code: 'BAD_OPTION',
    message: /Did you mean 'probit'/ })
  await t.rejects(posterior.predict(nested(xTest)[0]), { code: 'SHAPE_MISMATCH', message: /row/ })
  await t.rejects(posterior.predict(xTest, { seed: -1, link: 'mc' }), { code: 'BAD_OPTION' })
})

t.test('a cancelled fit throws and leaves nothing behind', async t => {
  const { graph, x, y } = classes
  const controller = new AbortController()
  const seen: number[] = []
  const work = { signal: controller.signal, onProgress: ({ done }: { done: number }) => {
    seen.push(done)
    if (seen.length === 2) controller.abort()
  } }
  await t.rejects(laplace(graph, { likelihood: 'classification', subset: 'all', batchSize: 5 }).fit(x, y, work), {
    code: 'CANCELLED',
  })
  t.same(seen, [5, 10])
})

t.test('seeds: the same seed the same bytes; sample covariance is that of the posterior', async t => {
  const { graph, x, y, xTest } = classes
  for (const structure of ['full', 'kron', 'diag'] as const) {
    for (const subset of ['last_layer', 'all'] as const) {
      const posterior = await laplace(graph, { likelihood: 'classification', subset, structure, priorPrecision: 3 })
        .fit(x, y)
      t.same(posterior.sample(3, { seed: 5 }).data, posterior.sample(3, { seed: 5 }).data)
      const count = 20000
      const { data } = posterior.sample(count, { seed: 1 })
      const size = posterior.parameterCount
      const covariance = posterior.posteriorCovariance()
      let worst = 0
      for (const [i, j] of [[0, 0], [1, 0], [size - 1, size - 1], [size - 1, size - 2]]) {
        let sum = 0
        for (let s = 0; s < count; s++) {
          sum += (data[s * size + i] - posterior.mean[i]) * (data[s * size + j] - posterior.mean[j]) / count
        }
        const scale = Math.sqrt(covariance.get(i, i) * covariance.get(j, j))
        worst = Math.max(worst, Math.abs(sum - covariance.get(i, j)) / scale)
      }
      t.ok(worst < 0.05, `${subset} ${structure}: ${worst.toFixed(3)}`)
      const nn = await posterior.predict(xTest, { predictive: 'nn', samples: 20 })
      t.equal(nn.probabilities!.shape[1], 4)
      t.same((await posterior.predictiveSamples(xTest, 2, { seed: 3 })).shape, [2, xTest.shape[0], 4])
    }
  }
  t.same(float64([1], [1]).shape, [1])
})

t.test('sampled weights: the last layer by its features equals the network with other weights', async t => {
  const { graph, x, y, xTest } = regression
  const last = await laplace(graph, { likelihood: 'regression', priorPrecision: 1 }).fit(x, y)
  const all = await laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'diag', priorPrecision: 1e12 })
    .fit(x, y)
  const plain = (await all.forward(xTest)).data
  const samples = await all.functionalSamples(xTest, 2, { predictive: 'nn' })
  t.ok(relativeDifference(samples.data.slice(0, plain.length), plain) < 1e-4,
    'a tight prior leaves the network as it is')
  const draws = await last.functionalSamples(xTest, 4000, { predictive: 'nn', seed: 2 })
  const { variance } = await last.predict(xTest)
  const n = xTest.shape[0]
  const own = Array.from({ length: n },
    (_, i) =>
      Array.from({ length: 4000 }, (_, s) => (draws.data[s * n + i] - plain[i]) ** 2).reduce((a, b) => a + b) / 4000)
  t.ok(relativeDifference(own, variance.data) < 0.1)
})

t.test('a file in place of the network: what to write', t => {
  const wrong: unknown[] = ['model.onnx', new URL('file:///model.onnx'), new Uint8Array(3), Promise.resolve(),
    undefined]
  for (const network of wrong) {
    t.throws(() => laplace(network as Parameters<typeof laplace>[0], { likelihood: 'regression' }), {
      code: 'BAD_OPTION',
      message: network === 'model.onnx' ? /laplace\(await readNetwork\('model\.onnx'\)/ : /await readNetwork\(path\)/,
    })
  }
  t.end()
})
